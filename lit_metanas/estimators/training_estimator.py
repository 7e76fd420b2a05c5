"""Scores by training a child, and overlays of a space for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import asdict, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from lit_metanas.estimators.estimator import Estimator, Measure, Score, network_measures
from lit_metanas.estimators.folds import (
    Fold,
    as_weights_of_fold,
    folds_of,
    score_in_folds,
    validation_part,
    weights_of_fold,
)
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.settings import tensor_digest
from lit_metanas.records.record import Cost, RecipeFields
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.tasks.task import Portion, Split, Task
from lit_metanas.training.child import Child, fit_child, recipe_cost
from lit_metanas.training.meta_weights import TaskStart
from lit_metanas.training.precision import FLOAT32, by_flags, check_precision
from lit_metanas.training.recipes import Recipe


class TrainingEstimator(Estimator):
    """Validation score of a child network that is trained on the task's train part, or of several in folds.

    The fidelity is the share of the recipe's epochs, rounded down to whole ones. Less than one epoch is one over a part
    of the examples, of at least a batch. All architectures see the same batches of the same part. Architectures that
    share layers start from the same weights.

    Args:
        task: gives the train and validation parts.
        space: the space of the architectures.
        seed: of initial weights, batches and dropout.
        recipe: training hyper-parameters; its epochs are those of fidelity 1.
        start: checkpoint of ``TaskReptile`` whose weights all architectures start from; None starts from fresh ones.
        folds: how many networks are trained for a score, each scored on other examples; 1 on the validation part alone.
        precision: of the trainings: ``32-true``; ``bf16-mixed``, where the networks' passes are in bf16; or ``auto``,
            which is the second one on a device that is made for it. Scores are those of the network in float32.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the task has no validation part, or too few examples for so many folds, there is no such precision,
            or the checkpoint is damaged, or of another space, shape or vocabulary.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space = lm.LayeredSpace(widths=(4,))
        >>> estimator = lm.estimators.TrainingEstimator(task, space, seed=0, recipe=lm.Recipe(epochs=1))
        >>> architecture = space.sample(torch.Generator().manual_seed(0))
        >>> score = estimator(architecture, fidelity=1.0)
        >>> 0 <= score.value <= 1, score.cost.queries
        (True, 1)
    """

    def __init__(
        self,
        task: Task,
        space: SearchSpace,
        seed: int,
        recipe: Recipe | None = None,
        start: str | None = None,
        *,
        folds: int = 1,
        precision: str = FLOAT32,
    ) -> None:
        check_precision("TrainingEstimator", precision)
        self.task = task
        self._folds = folds_of(task, folds)
        self.space = space
        self.seed = seed
        self.recipe = recipe or Recipe()
        self.val = validation_part(task)
        self.precision = by_flags(precision, task.train.inputs.device)
        self._start = None if start is None else TaskStart.read(start)
        if self._start is not None:
            self._initial  # noqa: B018 (weights that do not fit are refused before a search begins)

    @property
    def settings(self) -> RecipeFields:
        """The recipe, a digest of the checkpoint's weights, the folds if several, the precision if not float32."""
        settings = asdict(self.recipe)
        if len(self._folds) > 1:
            settings["folds"] = len(self._folds)
        if self.precision != FLOAT32:
            settings["precision"] = self.precision
        if self._start is not None:
            settings["start"] = tensor_digest(*self._initial.values())
        return settings

    @property
    def meta_cost(self) -> Cost:
        """Cost of the meta-training that gave the weights."""
        return self._start.cost if self._start else Cost()

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Parameters, flops and latency of the child."""
        return network_measures(self.space, self.task.shape, self.task.way, self.val.inputs.device)

    def with_recipe(self, changes: RecipeFields) -> TrainingEstimator:
        """The same estimator with a changed recipe."""
        other = copy(self)
        other.recipe = self.recipe.replace(changes)
        return other

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query, and 3 x forward multiply-adds x training images of all folds."""
        seen = (self._seen(fold, fidelity) for fold in self._folds)
        price = partial(recipe_cost, self.space, architecture, self.task, recipe=self.recipe)
        return replace(sum((price(part, epochs=epochs) for epochs, part in seen), Cost()), queries=1)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Train and validate; ArithmeticError if training ended in weights that are not finite."""
        kept, steps, device = dict[str, Tensor](), 0, self.val.inputs.device

        def networks() -> Iterator[nn.Module]:
            nonlocal kept, steps
            for number, fold in enumerate(self._folds):
                # Not from the weights of another fold, which has learned from these examples.
                begun = weights_of_fold(number, start or {})
                weights = overlay(self._initial, begun)
                child, spent = self._trained(architecture, fold, fidelity, weights)
                own = self.space.supernet_weights(child.network)
                kept |= as_weights_of_fold(number, overlay(begun if number else weights, own))
                steps += spent.steps
                yield child.to(device).eval()

        value = score_in_folds(networks(), self._folds, self.task.goal)
        return Score(value, replace(self.cost(architecture, fidelity), steps=steps), kept)

    def _trained(
        self, architecture: Architecture, fold: Fold, fidelity: float, weights: dict[str, Tensor]
    ) -> tuple[Child, Cost]:
        epochs, part = self._seen(fold, fidelity)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            child = Child(
                space=self.space,
                architecture=architecture,
                shape=self.task.shape,
                way=self.task.way,
                recipe=replace(self.recipe, epochs=epochs),
                weights=weights,
                objective=self.task.objective,
            )
            spent = fit_child(child, part, seed=self.seed, precision=self.precision)
        check_finite(child.network)
        return child, spent

    @cached_property
    def _initial(self) -> dict[str, Tensor]:
        if self._start is None:
            weights = first_weights(self.space, self.task.shape, self.seed)
        else:
            with torch.random.fork_rng(devices=[]):
                weights = self._start.for_task(self.space, self.task)
        return {name: tensor.to(self.val.inputs.device) for name, tensor in weights.items()}

    def _seen(self, fold: Fold, fidelity: float) -> tuple[int, Split | Portion]:
        """The epochs of a training, and the examples of each."""
        assert 0 < fidelity <= 1, fidelity
        epochs, number = fidelity * self.recipe.epochs + 1e-9, len(fold.train)
        if epochs >= 1:
            return int(epochs), fold.train
        return 1, fold.train.portion(max(int(epochs * number), self.recipe.batch_size))


def check_finite(network: nn.Module) -> None:
    """Raise ArithmeticError if a weight is not finite."""
    # Such a network guesses one class, and its accuracy would look like a score.
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ArithmeticError(f"training diverged: the weights '{name}' are not finite")


def fresh_weights(space: SearchSpace, shape: Shape, seed: int) -> dict[str, Tensor]:
    """Newly initialised parameters of the space's supernet, a function of the seed.

    Example:
        >>> weights = lm.estimators.fresh_weights(lm.LayeredSpace(depths=(1,), shared=True), shape=(1, 8, 8), seed=0)
        >>> all(tensor.requires_grad is False for tensor in weights.values())
        True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {name: parameter.detach() for name, parameter in space.supernet(shape).named_parameters()}


def first_weights(space: SearchSpace, shape: Shape, seed: int) -> dict[str, Tensor]:
    """What all children of a space inherit at first, a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return space.first_weights(shape)


def overlay(base: Mapping[str, Tensor], top: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Lay ``top`` over ``base``: a tensor of the same name covers the leading part that both have.

    A narrow layer is written into the leading channels of the wide one, and a wide layer lends its leading channels.
    Names that ``base`` lacks are added, and so are tensors with another number of dimensions.
    """
    result = dict(base)
    for name, tensor in top.items():
        below = result.get(name)
        if below is None or below.shape == tensor.shape or below.dim() != tensor.dim():
            result[name] = tensor.detach()
            continue
        part = tuple(slice(min(old, new)) for old, new in zip(below.shape, tensor.shape, strict=True))
        merged = below.detach().clone()
        merged[part] = tensor.detach()[part].to(merged)
        result[name] = merged
    return result
