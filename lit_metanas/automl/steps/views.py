"""Several preprocessings of the same data, and an estimator that scores an architecture under each of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from lit_metanas.automl.steps.limits import LimitedSpace, NetworkLimits
from lit_metanas.comparisons.single_task import all_but_test
from lit_metanas.estimators.estimator import FAILURES, Estimator, Measure, Score, reason_of
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.inputs.shapes import TokenShape
from lit_metanas.kinds.texts.joined_tokens import joined_task
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import PREPROCESSING, RecipeFields, RecipeValue
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost
from lit_metanas.tasks.task import Split, Task, check_task
from lit_metanas.training.child import Recipe, WithLinear
from lit_metanas.training.task_start import TaskStart

VIEWS_KEPT = 2
"""Beside the usual one, in memory."""


@dataclass(frozen=True, eq=False)
class View:
    """The data under one preprocessing.

    Attributes:
        label: of the preprocessing.
        task: its inputs; labels and order of the examples are those of all views.
        limited: the space, within the limits of networks for such inputs.
    """

    label: str
    task: Task
    limited: LimitedSpace

    @cached_property
    def learned(self) -> Split:
        """All but the test part."""
        return all_but_test(self.task)

    def size(self, architecture: Architecture, networks: int = 1) -> NetworkCost:
        """Of so many networks of an architecture for such inputs."""
        one = self.limited.space.cost(architecture, self.task.shape, self.task.way)
        return NetworkCost(networks * one.parameters, networks * one.flops)


@dataclass(frozen=True, eq=False)
class JoinedView:
    """The data for networks that are averaged with a linear model.

    Attributes:
        view: of both.
        networks: that of the networks alone.
        linear: that of the linear model alone.
        steps: how many tokens of an input each of them takes; None where both take the same ones.
    """

    view: View
    networks: View
    linear: View
    steps: tuple[int, int] | None

    def network(self, networks: nn.Module, linear: nn.Module) -> WithLinear:
        """Networks and a linear model as one."""
        return WithLinear(networks, linear, self.steps)

    def size(self, architecture: Architecture, linear: Architecture, number: int) -> NetworkCost:
        """Of so many networks of an architecture, and a linear model."""
        return self.networks.size(architecture, number) + self.linear.size(linear)


class Views:
    """The same data under several preprocessings: the same examples in each part, in the same order.

    Each but the usual one is made when it is asked for, and the last ones are kept.

    Args:
        task: the data as usual.
        ways: what makes the task of each preprocessing, by its label, the usual one first; none where there is only
            that.
        space: what can be built.
        limits: of networks, whatever their inputs.
        start: meta-trained weights that all networks begin with; None is fresh ones.

    Attributes:
        labels: of the preprocessings, the usual one first; none where there is only that.
        usual: the first one.
        weights: those of the start for networks of the space; None where there is no start.
        meta_cost: of the start.

    Raises:
        ValueError: the start is of another space, shape or vocabulary.
    """

    def __init__(
        self,
        task: Task,
        ways: Mapping[str, Callable[[], Task]],
        space: SearchSpace,
        limits: NetworkLimits,
        start: TaskStart | None = None,
    ) -> None:
        self.space = space
        self.limits = limits
        self.meta_cost = Cost() if start is None else start.cost
        self.weights: dict[str, Tensor] | None = None
        if start is not None:
            with torch.random.fork_rng(devices=[]):
                weights = start.for_task(space, task)
            self.weights = {name: tensor.to(task.train.inputs.device) for name, tensor in weights.items()}
        self.labels = tuple(ways)
        self._ways = ways
        self.usual = self._view(self.labels[0] if ways else "", task)
        self._kept: dict[str, View] = {}
        self._failed: dict[str, str] = {}

    def in_space(self, space: SearchSpace) -> Views:
        """The same data, read as rarely, for networks of another space, which begin with fresh weights."""
        ways = {label: partial(self._task, label) for label in self.labels}
        return Views(self.usual.task, ways, space, self.limits)

    def of(self, recipe: RecipeFields) -> View:
        """The view that a recipe names; the usual one where it names none.

        Raises:
            ValueError: there is no such preprocessing, or it cannot be applied, as where the data have changed.
        """
        label = self.label_of(recipe)
        if label == self.usual.label:
            return self.usual
        if label not in self.labels:
            raise ValueError(f"There is no preprocessing '{label}': take one of {', '.join(self.labels)}.")
        if label in self._failed:
            raise ValueError(self._failed[label])
        view = self._kept.pop(label, None) or self._made(label)
        self._kept[label] = view  # the last one that was asked for
        while len(self._kept) > VIEWS_KEPT:
            del self._kept[next(iter(self._kept))]
        return view

    def label_of(self, recipe: RecipeFields) -> str:
        """The label of the view that a recipe names, which need not be made to know it."""
        return str(recipe.get(PREPROCESSING, self.usual.label))

    def joined(self, view: View, linear: View) -> JoinedView | None:
        """The data for networks and a linear model; None where no single input holds what both take.

        Args:
            view: of the networks.
            linear: of the linear model. Where it has other tokens, they stand behind those of the networks.
        """
        if view.label == linear.label:
            return JoinedView(view, view, linear, None)
        task = joined_task(view.task, linear.task)
        if task is None:
            return None
        return JoinedView(replace(view, task=task), view, linear, (view.task.shape[-1], linear.task.shape[-1]))

    def labelled(self, label: str) -> View:
        """The view of a label; the usual one where there is no choice, and so no label."""
        return self.of({PREPROCESSING: label})

    def changes(self, view: View) -> dict[str, str]:
        """What a recipe says of a view; nothing where there is no choice."""
        return {PREPROCESSING: view.label} if self.labels else {}

    def _task(self, label: str) -> Task:
        return self.labelled(label).task

    def _made(self, label: str) -> View:
        try:
            return self._view(label, self._read(label))
        except FAILURES as error:
            self._failed[label] = reason_of(error)
            warnings.warn(f"The preprocessing '{label}' is left out: {error}", stacklevel=2)
            raise

    def _read(self, label: str) -> Task:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are left out: the usual view has told them
            task = self._ways[label]().trainable()
        check_task(task)
        usual = self.usual.task
        parts = ((task.train, usual.train), (task.val, usual.val), (task.test, usual.test))
        if (task.way, task.classes) != (usual.way, usual.classes) or not all(_same_labels(*both) for both in parts):
            raise ValueError(
                f"The data of '{usual.id}' have changed since they were first read: leave them as they are."
            )
        return task

    def _view(self, label: str, task: Task) -> View:
        return View(label, task, LimitedSpace(self.space, self.limits, task))


def _same_labels(one: Split | None, other: Split | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one.labels, other.labels)


class ViewEstimator(Estimator):
    """Validation score of a child network that is trained under the preprocessing which a recipe names.

    Args:
        views: of the data.
        seed: see ``TrainingEstimator``.
        recipe: of the trainings.
    """

    def __init__(self, views: Views, seed: int, recipe: Recipe) -> None:
        self.views = views
        self.seed = seed
        self.recipe = recipe
        self.label = views.usual.label

    @property
    def settings(self) -> RecipeFields:
        """The recipe, and the preprocessing where there are several."""
        return {**asdict(self.recipe), **({PREPROCESSING: self.label} if self.views.labels else {})}

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Of networks for inputs of this preprocessing."""
        return self._view.limited.measures

    def refusal(self, architecture: Architecture, recipe: RecipeFields) -> str | None:
        """Why a network is above a limit under a preprocessing, or that one cannot be made; None else."""
        try:
            return self.views.of(recipe).limited.within.violation(architecture)
        except FAILURES as error:
            return reason_of(error)

    def inherits(self, recipe: RecipeFields, parent: RecipeFields) -> bool:
        """Not from a network that reads other tokens: all that it learned is about what its own tokens mean.

        Without the vectors of tokens the other weights are worth no more than new ones.
        """
        same = self.views.label_of(recipe) == self.views.label_of(parent)
        return same or not isinstance(self.views.usual.task.shape, TokenShape)

    def with_recipe(self, changes: RecipeFields) -> ViewEstimator:
        """The same under a changed recipe, or another preprocessing.

        Raises:
            ValueError: there is no such field or preprocessing.
        """
        other = copy(self)
        other.label = str(changes.get(PREPROCESSING, self.label))
        if other.label not in (self.views.usual.label, *self.views.labels):
            raise ValueError(f"There is no preprocessing '{other.label}': take one of {', '.join(self.views.labels)}.")
        other.recipe = self.recipe.replace(without_preprocessing(changes))
        return other

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """What a training on inputs of this preprocessing costs."""
        return self._estimator.cost(architecture, fidelity)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Train and validate, from the weights of the views' start where no others are given."""
        return self._estimator(architecture, fidelity=fidelity, start=self.views.weights if start is None else start)

    @property
    def _view(self) -> View:
        return self.views.labelled(self.label)

    @property
    def _estimator(self) -> TrainingEstimator:
        return TrainingEstimator(self._view.task, self.views.space, self.seed, self.recipe)


def without_preprocessing(recipe: RecipeFields) -> dict[str, RecipeValue]:
    """The changes of a recipe in the narrower sense: of the training."""
    return {name: value for name, value in recipe.items() if name != PREPROCESSING}
