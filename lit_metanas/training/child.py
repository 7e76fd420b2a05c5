"""The child network as a LightningModule, its recipe, and its training on one task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset
from torchmetrics import MeanMetric

from lit_metanas.inputs.batches import channels_last
from lit_metanas.inputs.shapes import Shape
from lit_metanas.kinds.augmentation import (
    AUGMENTATIONS,
    NO_AUGMENTATION,
    augment,
    check_augmentation,
    colours_can_change,
)
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged, Objective
from lit_metanas.records.budget import TRAINING_PASSES, Cost
from lit_metanas.records.record import RecipeFields, SearchOutcome
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.sampling import changes_generator
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.trainers import uncached_autocast

MOST_SCORES = 1 << 26
"""That are held at once."""


def examples_at_once(objective: Objective, most: int) -> int:
    """How many examples are scored at once, so that scores of each step of long texts do not fill the memory."""
    return max(1, min(most, MOST_SCORES // (objective.outputs * (objective.steps or 1))))


@torch.no_grad()
def judge(
    scores: Callable[[Tensor], Tensor], split: Split, objective: Objective, *, batch_size: int = 500
) -> tuple[list[Any], Judged]:
    """What scores predict for a split's examples, and how good that is.

    Args:
        scores: inputs, shape ``(n, *shape)``, to what the objective expects of a network.
        split: the examples.
        objective: what is wanted.
        batch_size: inputs scored at once, fewer where that would be too many scores.
    """
    parts = split.inputs.split(examples_at_once(objective, batch_size))
    predictions = [each for part in parts for each in objective.predictions(scores(part))]
    return predictions, objective.judge(predictions, split.labels)


@dataclass(frozen=True)
class Recipe:
    """How a child network is trained on one task; not a part of its architecture.

    Attributes:
        epochs: passes over the train part.
        batch_size: examples a step; a smaller train part is one batch.
        learning_rate: of AdamW at the start; it falls to zero as a half cosine.
        weight_decay: of AdamW.
        label_smoothing: of the cross-entropy.
        inherit: start from the weights that a search hands over, where there are any.
        augmentation: how the examples of each step are changed at random: ``none``, ``light`` or ``strong``. Images are
            cut and zoomed, and strongly also change their colours, where all of the train part lie in [0, 1], but are
            not mirrored; blocks of bands and of steps of sounds and other series are hidden; words of texts are
            replaced by the unknown one, which must be token 1; to numbers of rows noise is added. What is scored is
            never changed.

    Raises:
        ValueError: a number is out of its range, or the augmentation is unknown.

    Example:
        >>> import lit_metanas as lm
        >>> recipe = lm.Recipe(epochs=100, label_smoothing=0.1)
        >>> recipe.replace({"learning_rate": 1e-3}).epochs
        100
    """

    epochs: int = 30
    batch_size: int = 50
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3
    label_smoothing: float = 0.0
    inherit: bool = True
    augmentation: str = NO_AUGMENTATION

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "weight_decay", "label_smoothing"):
            value, least = getattr(self, name), int(name in ("epochs", "batch_size"))
            if value < least:
                raise ValueError(f"Recipe: {name} is {value}; it must be at least {least}.")
        if self.label_smoothing > 1:
            raise ValueError(f"Recipe: label_smoothing is {self.label_smoothing}; it must be at most 1.")
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(f"Recipe: augmentation is '{self.augmentation}'; use {', '.join(AUGMENTATIONS)}.")

    def replace(self, changes: RecipeFields) -> Recipe:
        """The recipe with new values of fields that can be searched.

        Raises:
            ValueError: a name is not one of these, or a value is out of its range.
        """
        names = [field.name for field in fields(self) if field.name != "inherit"]
        for name in changes:
            if name not in names:
                raise ValueError(f"A recipe has no field '{name}' to be searched: use {', '.join(names)}.")
        return Recipe(**{**asdict(self), **changes})


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
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss that a child of a space is trained by: the objective's, and those of auxiliary classifiers."""
    scores = space.training_scores(network, inputs, labels)
    loss, *auxiliary = (objective.loss(each, labels, label_smoothing=label_smoothing) for each in scores)
    return loss + AUXILIARY_WEIGHT * sum(auxiliary) if auxiliary else loss


class Child(LightningModule):
    """Trains the network of one architecture on one task: the objective's loss, AdamW, half-cosine learning rate.

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
        >>> import torch
        >>> import lit_metanas as lm
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
        check_augmentation(self.recipe.augmentation, self.objective)
        self.network: nn.Module = space.child(self.architecture, shape, way, weights)
        self.val_metric, self.test_metric = MeanMetric(), MeanMetric()
        self._colours = False

    def look_at_inputs(self, inputs: Tensor) -> None:
        """Find out what augmentation may change, before a training: colours only where all images lie in [0, 1].

        Args:
            inputs: all that will be trained on, shape ``(n, *shape)``.
        """
        self._colours = self.recipe.augmentation != NO_AUGMENTATION and colours_can_change(inputs)

    def on_train_start(self) -> None:
        """Look at all examples of a data set of tensors, as ``batches`` has; of another one colours stay."""
        data = getattr(self.trainer.train_dataloader, "dataset", None)
        if isinstance(data, TensorDataset):
            self.look_at_inputs(data.tensors[0])

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, shape ``(n, way)``, or ``(n, steps, way)``, for inputs of shape ``(n, *shape)``."""
        scores = self.network(inputs)
        assert isinstance(scores, Tensor)
        return scores

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The objective's loss of a batch of inputs and labels."""
        inputs, labels = batch
        # torch's seed, which is set for a whole run, so that a resumed one changes each batch in the same way
        changed = self.augmented(inputs, seed=torch.initial_seed(), epoch=self.current_epoch, step=batch_idx)
        loss = self.loss(changed, labels)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def augmented(self, inputs: Tensor, *, seed: int, epoch: int, step: int) -> Tensor:
        """The inputs of a step of training as the recipe's augmentation changes them.

        Args:
            inputs: shape ``(n, *shape)``.
            seed: of the training.
            epoch: from 0.
            step: within the epoch, from 0.
        """
        if self.recipe.augmentation == NO_AUGMENTATION:
            return inputs
        generator = changes_generator("train", seed, epoch, step)
        changed = augment(inputs, self.recipe.augmentation, generator, colours=self._colours)
        return channels_last(changed)

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """What a step of the training lowers: see ``training_loss``."""
        smoothing = self.recipe.label_smoothing
        return training_loss(self.space, self.network, self.objective, inputs, labels, label_smoothing=smoothing)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The objective's metric on the validation part."""
        self._evaluate("val", self.val_metric, batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The objective's metric on the test part."""
        self._evaluate("test", self.test_metric, batch)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a half cosine over all steps.

        Raises:
            ValueError: the trainer does not know their number.
        """
        if math.isinf(self.trainer.estimated_stepping_batches):
            raise ValueError(
                "The learning rate falls until the end of the training, which is not set: set the trainer's "
                "max_epochs or max_steps."
            )
        optimizer, schedule = self.optimizer_for(max(1, int(self.trainer.estimated_stepping_batches)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_for(self, steps: int) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.CosineAnnealingLR]:
        """AdamW and its half cosine for a training of so many steps."""
        recipe = self.recipe
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)

    def _evaluate(self, prefix: str, metric: MeanMetric, batch: tuple[Tensor, Tensor]) -> None:
        inputs, labels = batch
        judged = self.objective.judge(self.objective.predictions(self(inputs)), labels)
        whole = judged.whole.sum()  # of all, as an example may have wrong symbols and none that are meant
        metric.update(judged.right.sum() / whole.clamp(min=1e-12), whole)
        self.log(f"{prefix}/{self.objective.metric.replace(' ', '_')}", metric, on_epoch=True, prog_bar=True)


class Ensemble(nn.Module):
    """Networks that were trained apart to tell classes, with the mean of their scores (Lakshminarayanan et al. 2017).

    The paper takes the arithmetic mean of probabilities. The mean of scores is their geometric mean, normalised.

    Args:
        networks: inputs ``(n, *shape)`` in, scores ``(n, way)`` out; all of one architecture.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to the mean scores, shape ``(n, way)``."""
        first, *others = (network(inputs) for network in self.networks)
        for scores in others:
            first = first + scores
        mean: Tensor = first * (1 / len(self.networks))
        return mean


class WithLinear(nn.Module):
    """A network, or an ensemble, and a linear model of plain features, with the mean of their scores.

    Args:
        network: inputs in, scores ``(n, way)`` out.
        linear: the same.
        steps: how many tokens of an input, from the first one on, are the network's, and how many behind these are the
            linear model's; None where both take the same inputs.
    """

    def __init__(self, network: nn.Module, linear: nn.Module, steps: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.network = network
        self.linear = linear
        self.steps = steps

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to the mean scores, shape ``(n, way)``.

        Raises:
            ValueError: inputs have not the tokens of both.
        """
        own, others = inputs, inputs
        if self.steps is not None:
            first, second = self.steps
            if inputs.shape[1] != first + second:
                raise ValueError(
                    f"The inputs have {inputs.shape[1]} tokens, and the network takes {first} of one kind and then "
                    f"{second} of another: give texts, or what its preprocessing makes of them."
                )
            own, others = inputs[:, :first], inputs[:, first:]
        mean: Tensor = (self.network(own) + self.linear(others)) * 0.5
        return mean


def build_network(
    space: SearchSpace, architecture: Mapping[str, str], shape: Shape, way: int, *, ensemble: int = 1
) -> nn.Module:
    """A network with new weights, or an ensemble of so many."""
    one = space.canonical(architecture)
    networks = [space.child(one, shape, way) for _ in range(ensemble)]
    return Ensemble(networks) if ensemble > 1 else networks[0]


def members_of(network: nn.Module) -> int:
    """How many networks there are in an ensemble, without a linear model; 1 of a single network."""
    if isinstance(network, WithLinear):
        return members_of(network.network)
    return len(network.networks) if isinstance(network, Ensemble) else 1


def chosen_child(task: Task, space: SearchSpace, found: SearchOutcome, recipe: Recipe, seed: int) -> Child:
    """The chosen network before its training; what it does not inherit is a function of the seed."""
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


def batches(split: Split, batch_size: int, seed: int | None = None) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of inputs and labels; shuffled again in each epoch, from ``seed``, unless it is None.

    A last batch of a single image is left out of training: batch-norm needs two.
    """
    data = TensorDataset(split.inputs, split.labels)
    if seed is None:
        return DataLoader(data, batch_size=None, sampler=BatchSampler(SequentialSampler(data), batch_size, False))
    shuffled = RandomSampler(data, generator=torch.Generator().manual_seed(seed))
    drop_last = images_an_epoch(len(split), batch_size) < len(split)
    return DataLoader(data, batch_size=None, sampler=BatchSampler(shuffled, min(batch_size, len(split)), drop_last))


def images_an_epoch(images: int, batch_size: int) -> int:
    """How many of so many images an epoch of training sees: a last batch of a single one is left out."""
    return images - int(images > 1 and images % min(batch_size, images) == 1)


def training_cost(space: SearchSpace, architecture: Architecture, shape: Shape, way: int, *, images: int) -> Cost:
    """Cost of training a child on ``images`` images, with repetition."""
    flops = space.cost(architecture, shape, way).flops
    return Cost(images=images, flops=TRAINING_PASSES * flops * images)


def recipe_cost(
    space: SearchSpace,
    architecture: Architecture,
    task: Task,
    part: Split,
    recipe: Recipe,
    *,
    epochs: int | None = None,
) -> Cost:
    """Cost of training a child on a part of a task by a recipe, for its epochs or another number of them."""
    images = images_an_epoch(len(part), recipe.batch_size) * (recipe.epochs if epochs is None else epochs)
    return training_cost(space, architecture, task.shape, task.way, images=images)


def fit_child(child: Child, train: Split, *, seed: int, epoch_ended: Callable[[], None] | None = None) -> Cost:
    """Train a child on one split, on the device that the split lies on, and return what it cost.

    The seed orders the batches and drives augmentation and dropout; the caller's random state is left as it was.

    Args:
        child: what is trained.
        train: the examples.
        seed: of the batches, of augmentation and of dropout.
        epoch_ended: called after each epoch, to tell of it.
    """
    epochs, device = child.recipe.epochs, train.inputs.device
    devices = [device] if device.type == "cuda" else []
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=devices),
        uncached_autocast(),
    ):
        child.to(device, memory_format=torch.channels_last)
        plain = train.trainable()  # what a prediction step is given are inference tensors
        data = replace(plain, inputs=channels_last(plain.inputs))
        child.look_at_inputs(data.inputs)
        loader = batches(data, child.recipe.batch_size, seed)
        torch.manual_seed(seed)
        # Not by a Trainer, what it does beside takes up to an eighth of the time of a small network's step.
        optimizer, schedule = child.optimizer_for(epochs * len(loader))
        for epoch in range(epochs):
            # An exhausted sampler has drawn another order, that of the next epoch; Lightning's loops do not exhaust it.
            for step, (inputs, labels) in enumerate(islice(loader, len(loader))):
                loss = child.loss(child.augmented(inputs, seed=seed, epoch=epoch, step=step), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if epoch_ended is not None:
                epoch_ended()
    images = images_an_epoch(len(train), child.recipe.batch_size) * epochs
    cost = training_cost(child.space, child.architecture, child.shape, child.way, images=images)
    return replace(cost, steps=epochs * len(loader))


def score(child: Child, split: Split, *, batch_size: int = 500) -> float:
    """The child's metric on a split, in evaluation mode: of classification, the share that is told rightly."""
    return judge(child.eval(), split, child.objective, batch_size=batch_size)[1].value
