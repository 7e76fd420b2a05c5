"""The child network, its training on one task, and whether it knows mirrored images again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import as_floats, at_least_float32, channels_last, float32
from lit_metanas.inputs.shapes import Shape, as_shape
from lit_metanas.kinds.augmentation import NO_AUGMENTATION, augment, colours_can_change, mixed
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged, Objective
from lit_metanas.records.record import TRAINING_PASSES, Cost, SearchOutcome
from lit_metanas.records.statistics import wilson
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.sampling import changes_generator
from lit_metanas.tasks.task import Portion, Split, Task
from lit_metanas.training.muon import Muon
from lit_metanas.training.precision import FLOAT32, autocast, by_flags, for_network
from lit_metanas.training.recipes import (
    MUON,
    Recipe,
    WeightAverage,
    batches,
    check_changes,
    images_an_epoch,
    learning_rates,
    with_halved_batch,
)
from lit_metanas.training.trainers import apart_from_caller

MOST_SCORES, SCORED_AT_ONCE = 1 << 26, 500
"""The most scores kept in memory at a time, and the most examples that a network scores at once."""


def examples_at_once(objective: Objective, most: int) -> int:
    """Examples to score at once, so that scores of each step of long texts do not fill the memory."""
    return max(1, min(most, MOST_SCORES // (objective.outputs * (objective.steps or 1))))


@torch.no_grad()
def scores_of(network: Callable[[Tensor], Tensor], split: Split, objective: Objective) -> Tensor:
    """A network's scores of a split's examples, some at once."""
    return torch.cat([network(part) for part in _parts(split, objective)])


def judge(scores: Callable[[Tensor], Tensor], split: Split, objective: Objective) -> Judged:
    """How good a network is on a split's examples; ``scores`` maps inputs to its scores."""
    return objective.judge(evidence_of(scores, split, objective), split.labels)


@torch.no_grad()
def evidence_of(scores: Callable[[Tensor], Tensor], split: Split, objective: Objective) -> list[Any]:
    """What the metric compares with the targets of a split's examples."""
    return [each for part in _parts(split, objective) for each in objective.evidence(scores(part))]


def _parts(split: Split, objective: Objective) -> Iterator[Tensor]:
    """A split's inputs as networks take them, some at once."""
    return map(as_floats, split.inputs.split(examples_at_once(objective, SCORED_AT_ONCE)))


def batch_norms(network: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    """A network's batch-norm layers, in the order of its modules."""
    return [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]


AUXILIARY_WEIGHT = 0.4
"""Of the loss of an auxiliary classifier (Liu et al. 2019)."""


def training_loss(
    space: SearchSpace,
    network: nn.Module,
    objective: Objective,
    inputs: Tensor,
    labels: Tensor,
    *,
    weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    mixture: tuple[Tensor, float] | None = None,
) -> Tensor:
    """The loss that trains a child of a space: the objective's, and those of auxiliary classifiers; no autocast."""
    # Inputs that are mixed have as a `mixture` the places of the others in the batch, and the share of their own.

    def loss_at(scores: Tensor, places: Tensor | slice) -> Tensor:
        if weights is None:
            return objective.loss(scores, labels[places], label_smoothing=label_smoothing)
        # Not divided by the weights of a batch, which would be more where a rare class has an example in it.
        return (weights[places] * objective.losses(scores, labels[places], label_smoothing)).mean()

    def loss_of(scores: Tensor) -> Tensor:
        scores = at_least_float32(scores)
        own = loss_at(scores, slice(None))
        if mixture is None:
            return own
        others, share = mixture
        return share * own + (1 - share) * loss_at(scores, others)

    scores = space.training_scores(network, inputs, labels)
    with float32(inputs.device):
        losses = [loss_of(each) for each in scores]
    return sum((AUXILIARY_WEIGHT * each for each in losses[1:]), start=losses[0])


class Child(nn.Module):
    """The network of one architecture for one task, with its recipe, its objective and, if it has any, its average.

    A search trains it by the objective's loss, the recipe's optimizer and a learning rate that falls as a half cosine.
    Any other loop can take ``step_loss`` and ``optimizer_for``.

    Args:
        space: the search space that the architecture belongs to.
        architecture: one label for each active choice.
        shape: of one input.
        way: number of classes.
        recipe: training hyper-parameters.
        weights: a supernet's parameters to inherit by name; None starts from scratch.
        objective: what it is trained for; None is to tell ``way`` classes apart.

    Raises:
        ValueError: the objective and the network, or the recipe's augmentation, do not fit each other.

    Example:
        >>> space = lm.LayeredSpace()
        >>> child = lm.Child(space=space, architecture=space.sample(torch.Generator()), shape=(1, 28, 28), way=10)
        >>> child(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        architecture: Mapping[str, str],
        shape: Shape,
        way: int,
        recipe: Recipe | None = None,
        weights: Mapping[str, Tensor] | None = None,
        objective: Objective | None = None,
    ) -> None:
        super().__init__()
        self.objective = objective or Classification(way)
        space.check_objective(self.objective)
        self.space = space
        self.architecture: Architecture = space.canonical(architecture)
        self.shape = shape
        self.way = way
        self.recipe = recipe or Recipe()
        check_changes(self.recipe, as_shape(shape), self.objective)
        self.network: nn.Module = space.child(self.architecture, shape, way, weights)
        self.average = WeightAverage(self.network) if self.recipe.average else None
        self.colours = False  # whether augmentation may change them: only if all images lie in [0, 1]

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, shape ``(n, way)``, or ``(n, steps, way)``, for inputs of shape ``(n, *shape)``.

        In evaluation mode they are those of the averaged weights, if the recipe averages them.
        """
        network = self.network
        if self.average is not None and not self.training:
            network = self.average.module
        return cast(Tensor, network(inputs))

    def step_loss(
        self, inputs: Tensor, labels: Tensor, weights: Tensor | None = None, *, seed: int, epoch: int, step: int
    ) -> Tensor:
        """The loss of one step of training, after the recipe's augmentation; steps count from 0 within each epoch."""
        recipe, mixture = self.recipe, None
        if recipe.changes_examples:
            generator = changes_generator("train", seed, epoch, step)
            with float32(inputs.device):  # places within an image need more digits than bf16 has
                inputs = augment(
                    inputs,
                    recipe.augmentation,
                    generator,
                    shape=self.shape,
                    colours=self.colours,
                    mirror=recipe.mirror,
                    moving=self.objective.scored == "input",
                )
                if recipe.mixup:
                    inputs, others, share = mixed(inputs, recipe.mixup, generator)
                    mixture = others, share
            inputs = channels_last(inputs)
        return training_loss(
            self.space,
            self.network,
            self.objective,
            inputs,
            labels,
            weights=weights,
            label_smoothing=recipe.label_smoothing,
            mixture=mixture,
        )

    def optimizer_for(self, steps: int) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LRScheduler]:
        """The recipe's optimizer and its learning rates for a training of so many steps."""
        recipe = self.recipe
        rate, decay = recipe.learning_rate, recipe.weight_decay
        optimizer: torch.optim.AdamW
        if recipe.optimizer == MUON:
            optimizer = Muon(self.network, lr=rate, weight_decay=decay)
        else:
            # Fused, a step takes a sixth of the time for vectors of 70,000 tokens on a CPU.
            optimizer = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=decay, fused=True)
        if self.average is not None:
            self.average.window = recipe.average * steps
        return optimizer, learning_rates(optimizer, recipe, steps)


def chosen_child(task: Task, space: SearchSpace, found: SearchOutcome, recipe: Recipe, seed: int) -> Child:
    """The chosen network before its training; weights that it does not inherit are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Child(
            space=space,
            architecture=found.architecture,
            shape=task.shape,
            way=task.way,
            recipe=recipe,
            weights=found.weights if recipe.inherit else None,
            objective=task.objective,
        )


def training_cost(space: SearchSpace, architecture: Architecture, shape: Shape, way: int, *, images: int) -> Cost:
    """Cost of training a child on ``images`` images, with repetition."""
    return Cost(images=images, flops=TRAINING_PASSES * space.cost(architecture, shape, way).flops * images)


def recipe_cost(
    space: SearchSpace,
    architecture: Architecture,
    task: Task,
    part: Sized,
    recipe: Recipe,
    *,
    epochs: int | None = None,
) -> Cost:
    """Cost of training a child on a part of a task by a recipe, for its epochs or another number, at least 1."""
    images = images_an_epoch(len(part), recipe.batch_size) * (epochs or recipe.epochs)
    return training_cost(space, architecture, task.shape, task.way, images=images)


def fit_child(
    child: Child,
    train: Split | Portion,
    *,
    seed: int,
    epoch_ended: Callable[[], None] | None = None,
    precision: str = FLOAT32,
) -> Cost:
    """Train a child on one split, or a portion of it, on the device that it lies on; returns what it cost."""
    begun, average = {name: tensor.clone() for name, tensor in child.state_dict().items()}, child.average
    while True:
        try:
            return _fit(child, train, seed=seed, epoch_ended=epoch_ended, precision=precision)
        except (MemoryError, RuntimeError) as error:
            child.recipe = with_halved_batch(child.recipe, error, len(train))
        # Out here nothing holds what the error's training had in memory.
        child.average = average
        child.load_state_dict(begun)


def _fit(
    child: Child, train: Split | Portion, *, seed: int, epoch_ended: Callable[[], None] | None, precision: str
) -> Cost:
    number, places = len(train), None
    if isinstance(train, Portion):
        places, train = train.places, train.split
        floats = train.inputs.dim() == 4 and train.inputs.dtype != torch.uint8
        if floats or not child.recipe.changes_examples:  # all are brought to another form at once
            train, places = train.at(places), None
    epochs, device = child.recipe.epochs, train.inputs.device
    images = images_an_epoch(number, child.recipe.batch_size) * epochs
    cost = training_cost(child.space, child.architecture, child.shape, child.way, images=images)
    if (solve := child.space.solver(child.network)) is not None:
        part = train if places is None else train.at(places)
        if solve(part, child.objective, child.recipe.weight_decay, epochs, seed, epoch_ended):
            return replace(cost, steps=epochs * number)
    with torch.inference_mode(False), torch.enable_grad(), apart_from_caller(device), float32(device):
        child.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        data = train.trainable()  # A prediction step gets inference tensors, which cannot be trained on.
        if data.inputs.dtype != torch.uint8:  # a copy of all images of 8 bits might be all that the memory holds
            data = replace(data, inputs=channels_last(data.inputs))
        example = partial(scores_of, split=data.at(slice(1)), objective=child.objective)
        precision = for_network(by_flags(precision, device), child.network, device, scores=example)
        child.colours = child.recipe.augmentation != NO_AUGMENTATION and colours_can_change(data.inputs)
        loader = batches(data, child.recipe.batch_size, seed, places)
        torch.manual_seed(seed)
        # Not by a Trainer, whose own work takes up to an eighth of the time of a small network's steps.
        optimizer, schedule = child.optimizer_for(epochs * len(loader))
        for epoch in range(epochs):
            # An exhausted sampler has drawn the order of the next epoch.
            for step, (inputs, *others) in enumerate(islice(loader, len(loader))):
                if inputs.dtype == torch.uint8:
                    inputs = channels_last(as_floats(inputs))
                with autocast(precision, device):
                    loss = child.step_loss(inputs, *others, seed=seed, epoch=epoch, step=step)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                if child.average is not None:
                    child.average.update_parameters(child.network)
            if epoch_ended is not None:
                epoch_ended()
        if child.average is not None:
            child.network.load_state_dict(child.average.module.state_dict())
            child.average = None
    return replace(cost, steps=epochs * len(loader))


def score(child: Child, split: Split) -> float:
    """The child's metric on a split, in evaluation mode, such as the accuracy."""
    return judge(child.eval(), split, child.objective).value


LEAST_KEPT = 0.8  # the least share of the recognised images that are recognised when they are mirrored, too


def mirror_keeps_classes(child: Child, val: Split) -> bool:
    """Whether mirrored images are of the same classes, by a network that was trained on none of them.

    Of the validation images that the network recognises, nearly all must be recognised when left and right have changed
    places: at least ``LEAST_KEPT``, less half of the 95 % interval of that share. A network that was trained briefly on
    letters, digits or arrows recognises few of the mirrored ones. False if it recognises none at all.
    """
    child.eval()
    right = []
    for scores in (child, lambda inputs: child(inputs.flip(-1))):
        said = child.objective.predictions(scores_of(scores, val, child.objective))
        pairs = zip(said, child.objective.answers(val.labels), strict=True)
        right.append(torch.tensor([child.objective.agrees(*pair) for pair in pairs]))
    recognised = int(right[0].sum())
    if not recognised:
        return False
    kept = int((right[0] & right[1]).sum()) / recognised
    return kept + wilson(kept, recognised) >= LEAST_KEPT
