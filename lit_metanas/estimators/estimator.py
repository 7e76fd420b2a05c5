"""The base of estimators, an estimator that keeps the best so far, and measures of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape
from lit_metanas.records.record import Cost, RecipeFields, RecipeValue, SearchOutcome, SearchRecord, Trial
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.workers import StepEnded, Submitted, submit

FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)
"""Errors of a child that cannot be built, does not fit into memory, or diverges in training."""


def reason_of(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a reason'}"


@dataclass(frozen=True)
class Score:
    """An estimate.

    Attributes:
        value: validation score, higher is better.
        cost: cost of the estimate.
        weights: trained weights by name, to go on from; None if nothing was trained.

    Example:
        >>> lm.estimators.Score(0.9, lm.Cost(queries=1)).value
        0.9
    """

    value: float
    cost: Cost
    weights: dict[str, Tensor] | None = None


class Query(NamedTuple):
    """A question to an estimator: an architecture, and the fields of the recipe that the search chose."""

    architecture: Architecture
    recipe: tuple[tuple[str, RecipeValue], ...] = ()

    @staticmethod
    def of(architecture: Mapping[str, str], recipe: RecipeFields) -> Query:
        """A query that is equal for equal values, in any order."""
        return Query(Architecture(architecture), tuple(sorted(recipe.items())))

    def having(self, wanted: Callable[[str, RecipeValue], bool]) -> Query:
        """The query with those fields of its recipe that are wanted, by name and value."""
        return Query(self.architecture, tuple(pair for pair in self.recipe if wanted(*pair)))

    def under(self, estimator: Estimator) -> Estimator:
        """The estimator with the query's recipe."""
        return estimator.with_recipe(dict(self.recipe)) if self.recipe else estimator


class Estimator(ABC):
    """Scores architectures on one problem, which the implementation holds.

    Example:
        >>> class FewLayers(lm.estimators.Estimator):
        ...     def __call__(self, architecture, *, fidelity, start=None):
        ...         return lm.estimators.Score(-float(architecture["depth"]), self.cost(architecture, fidelity))
        ...
        ...     def cost(self, architecture, fidelity):
        ...         return lm.Cost(queries=1)
        >>> FewLayers()(lm.Architecture({"depth": "3"}), fidelity=1.0).value
        -3.0
    """

    @abstractmethod
    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Score an architecture.

        Args:
            architecture: the architecture to score.
            fidelity: share of the full training to spend on it, in (0, 1].
            start: weights to inherit instead of a fresh start.
        """

    @abstractmethod
    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """The cost of a call, known beforehand."""

    def submit(
        self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None
    ) -> Submitted[Score]:
        """Submit a call to the worker processes; without any it is done when its result is waited for."""
        return submit(partial(_score, self, architecture, fidelity, start))

    @property
    def settings(self) -> RecipeFields:
        """Further settings that decide a score, such as the recipe; a stored search resumes only if they are equal."""
        return {}

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Measures of an architecture that need no training, by name: further objectives and constraints."""
        return {}

    @property
    def meta_cost(self) -> Cost:
        """Cost that was paid once, before any task."""
        return Cost()

    @property
    def ordinal(self) -> bool:
        """Whether only the order of its scores counts, because they are not the metric on validation examples."""
        return False

    def refusal(self, architecture: Architecture, recipe: RecipeFields) -> str | None:
        """Why it cannot score an architecture by a recipe (its changed fields); None if it can."""
        return None

    def inherits(self, recipe: RecipeFields, parent: RecipeFields) -> bool:
        """Whether a network may start from the weights of a parent, by the changed fields of their recipes."""
        return True

    def table_pace(self, architecture: Architecture) -> float:
        """Training FLOPs in a unit of time, compared with other architectures: by these, halving gives equal times."""
        return 1.0

    def with_recipe(self, changes: RecipeFields) -> Estimator:
        """The same estimator under changed training hyper-parameters; ValueError if it has no recipe."""
        raise ValueError(
            f"{type(self).__name__} has no recipe whose {', '.join(changes)} could be searched: take an estimator that "
            "trains, such as TrainingEstimator, or leave the hyper-parameters out of the search."
        )


def _inside(name: str) -> Any:
    """The property or method of this name of the estimator inside."""
    return property(lambda around: getattr(around.estimator, name))


def _score(
    estimator: Estimator,
    architecture: Architecture,
    fidelity: float,
    start: dict[str, Tensor] | None,
    step_ended: StepEnded,
) -> Score:
    """A call as the work of a process."""
    return estimator(architecture, fidelity=fidelity, start=start)


class EstimatorAround(Estimator):
    """Wraps another estimator to do more with each score; the rest is forwarded."""

    settings = _inside("settings")
    measures = _inside("measures")
    meta_cost = _inside("meta_cost")
    ordinal = _inside("ordinal")
    refusal = _inside("refusal")
    inherits = _inside("inherits")
    cost = _inside("cost")
    table_pace = _inside("table_pace")

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator


class BestSoFar(EstimatorAround):
    """Keeps the best score and the cost of each training (``spent``), so that an interrupted search has an outcome."""

    def __init__(self, estimator: Estimator, task_id: str) -> None:
        super().__init__(estimator)
        self._recipe: dict[str, RecipeValue] = {}
        self._record = SearchRecord(task_id)
        self._best: list[SearchOutcome] = []  # a list, because copies under other recipes share it
        self.spent: list[tuple[Architecture, dict[str, RecipeValue], Cost]] = []

    @property
    def outcome(self) -> SearchOutcome | None:
        """The best so far, with its weights; None before the first score that is a number."""
        return next(iter(self._best), None)

    def with_recipe(self, changes: RecipeFields) -> BestSoFar:
        """The same memory of the estimator under a changed recipe."""
        other = copy(self)
        other.estimator, other._recipe = self.estimator.with_recipe(changes), {**self._recipe, **changes}
        return other

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Estimate, and keep the trial."""
        return self.submit(architecture, fidelity=fidelity, start=start).result()

    def submit(
        self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None
    ) -> Submitted[Score]:
        """Submit a call, and keep the trial once its result is waited for."""
        submitted = self.estimator.submit(architecture, fidelity=fidelity, start=start)
        return submitted.then(lambda score: self._keep(architecture, score, submitted.seconds))

    def _keep(self, architecture: Architecture, score: Score, seconds: float) -> None:
        cost = replace(score.cost, seconds=score.cost.seconds + seconds)  # a kept score has seconds of its own
        trials, recipe = self._record.trials, {**self._recipe}
        self.spent.append((architecture, recipe, cost))
        spent = sum((trial.cost for trial in trials[-1:]), score.cost)
        failure = "its score is not a number" * isnan(score.value)
        trials.append(Trial(architecture, score.value, spent, failure=failure, recipe=recipe))
        best = self.outcome
        if not failure and (best is None or score.value >= best.value):
            self._best[:] = [SearchOutcome(architecture, score.weights, self._record, recipe=recipe)]


EstimatorCallable = Callable[[Task, SearchSpace, int], Estimator]
"""Makes the estimator of a task, a space and a seed: a class, with or without further arguments."""


Measure = Callable[[Architecture], float]  # a number of an architecture; smaller is better


def network_measures(space: SearchSpace, shape: Shape, way: int, device: torch.device) -> Mapping[str, Measure]:
    """``parameters``, ``flops`` (multiply-adds) and ``latency`` (seconds) of children for one input."""

    # Measured again in each call, so it differs a little between calls.
    def seconds(architecture: Architecture) -> float:
        with torch.random.fork_rng(devices=[]):
            network = space.child(architecture, shape, way)
        return latency(network.to(device), shape)

    return {
        "parameters": lambda architecture: float(space.cost(architecture, shape, way).parameters),
        "flops": lambda architecture: float(space.cost(architecture, shape, way).flops),
        "latency": seconds,
    }


@torch.no_grad()
def latency(network: nn.Module, shape: Shape, *, repeats: int = 21, warmup: int = 3) -> float:
    """Median seconds of a forward pass of one input, in evaluation mode, on the network's device."""
    inputs = blank_inputs(1, shape).to(next(network.parameters(), torch.empty(0)).device)
    network.eval()
    times = []
    for _ in range(warmup + repeats):
        begin = perf_counter()
        network(inputs)
        if not inputs.is_cpu:
            torch.accelerator.synchronize(inputs.device)
        times.append(perf_counter() - begin)
    return median(times[warmup:])
