"""Costs and budgets, the record of a search, and the scores of one task from several records."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from itertools import accumulate
from math import inf, isfinite, nan
from operator import add, sub
from typing import Literal, TypeVar

import torch
from torch import Tensor

from lit_metanas.records.statistics import non_dominated
from lit_metanas.spaces.architecture import Architecture

TRAINING_PASSES = 3  # a pass with its gradient costs about three forward passes


class Exhausted(Exception):  # noqa: N818 (the end of a search, not a fault)
    """The next charge does not fit into the budget.

    Example:
        >>> try:
        ...     lm.Budget(queries=1).charge(lm.Cost(queries=2))
        ... except lm.records.Exhausted:
        ...     print("the search is over")
        the search is over
    """


class TooSmallBudgetError(ValueError):
    """The budget pays for no architecture; the message is one sentence for the user."""


class FailedWorkError(RuntimeError):
    """The work failed, though no input is known to be wrong; the message is one sentence for the user."""


@dataclass(frozen=True)
class Cost:
    """The cost of a search or training.

    Attributes:
        queries: architectures evaluated; a known one costs nothing.
        steps: optimizer steps.
        images: training images seen, with repetition.
        flops: training cost: 3 x forward multiply-adds x images.
        seconds: of all work, so that trainings side by side add up; reported, never used to stop or to compare.

    Example:
        >>> lm.Cost(queries=1, flops=300) + lm.Cost(queries=2)
        Cost(queries=3, steps=0, images=0, flops=300, seconds=0.0)
    """

    queries: int = 0
    steps: int = 0
    images: int = 0
    flops: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*map(sub, astuple(self), astuple(other)))

    def counted_in(self, account: str) -> float:
        """The amount in one account, such as ``flops``."""
        return float(getattr(self, account))


@dataclass(eq=False, kw_only=True)
class Budget:
    """A limit, and the cost so far; a limit of None is no limit.

    Args:
        queries: most architectures to evaluate.
        flops: most training cost, 3 x forward multiply-adds x images.

    Example:
        >>> budget = lm.Budget(queries=10, flops=1e9)
        >>> budget.charge(lm.Cost(queries=1, flops=400_000_000))
        >>> budget.affords(lm.Cost(flops=700_000_000))
        False
    """

    queries: int | None = None
    flops: float | None = None
    spent: Cost = field(default_factory=Cost, init=False)

    def affords(self, cost: Cost) -> bool:
        """Whether ``cost`` still fits."""
        total = self.spent + cost
        return (self.queries is None or total.queries <= self.queries) and (
            self.flops is None or total.flops <= self.flops
        )

    def charge(self, cost: Cost) -> None:
        """Add a cost to the amount spent; Exhausted, and nothing is charged, if it does not fit."""
        if not self.affords(cost):
            raise Exhausted(f"The search budget is spent: queries {self.queries}, FLOPs {self.flops}.")
        self.spent = self.spent + cost


PREPROCESSING = "preprocessing"
"""The field of a trial's recipe that names the preprocessing of the data, if there are several."""

RecipeValue = bool | int | float | str
"""The value of a field of a recipe. A parser of YAML takes the first type that fits, so that 20 is not 20.0."""

RecipeFields = Mapping[str, RecipeValue]  # some fields of a recipe, by name


@dataclass(frozen=True)
class Trial:
    """One architecture that a search tried.

    Attributes:
        architecture: the canonical architecture.
        value: its validation score, higher is better.
        cost: the search's whole cost up to this trial.
        duplicate: whether it was known already, and so cost nothing.
        fidelity: share of the full training that gave the value; None if unknown.
        pruned: whether the search gave it up at that fidelity; its value is then no basis for a choice.
        failure: the reason why it has no score; empty if it has one.
        measures: further measures by name, such as ``parameters``; smaller is better.
        recipe: the training hyper-parameters that the search chose with it.
        trained: training FLOPs behind the value, including those of inherited weights; 0 if unknown.

    Example:
        >>> trial = lm.records.Trial(lm.Architecture({"kernel": "3"}), value=0.9, cost=lm.Cost(queries=1))
        >>> trial.scored
        True
    """

    architecture: Architecture
    value: float
    cost: Cost
    duplicate: bool = False
    fidelity: float | None = None
    pruned: bool = False
    failure: str = ""
    measures: dict[str, float] = field(default_factory=dict)
    recipe: dict[str, RecipeValue] = field(default_factory=dict)
    trained: float = 0.0

    @property
    def scored(self) -> bool:
        """Whether it can be chosen."""
        return not self.pruned and not self.failure

    def outweighs(self, other: Trial) -> bool:
        """Whether this score replaces an earlier one of the same network: larger fidelity, then longer training."""
        mine, known = (1.0 if trial.fidelity is None else trial.fidelity for trial in (self, other))
        if mine != known:
            return mine > known
        return self.trained > other.trained > 0


@dataclass
class SearchRecord:
    """Every architecture that one search tried on one task, in order.

    Attributes:
        task_id: the task.
        trials: the architectures that were tried.
        objectives: the score, called ``accuracy``, and the names of measures to keep small.
        space: the search space's name.
        choices: the labels that could be chosen, by choice.
        seed: the search's seed.
        method: the searcher's row in tables.
        precision: of the networks' trainings, in Lightning's words.

    Example:
        >>> architecture = lm.Architecture({"kernel": "3"})
        >>> trial = lm.records.Trial(architecture, value=0.9, cost=lm.Cost(queries=1))
        >>> lm.records.SearchRecord("letters", [trial]).best.value
        0.9
    """

    task_id: str
    trials: list[Trial] = field(default_factory=list)
    objectives: tuple[str, ...] = ("accuracy",)
    space: str = ""
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seed: int = 0
    method: str = ""
    precision: str = "32-true"

    def __post_init__(self) -> None:
        for trial in self.trials:
            if trial.scored and (lacking := [name for name in self.objectives[1:] if name not in trial.measures]):
                raise ValueError(f"a trial lacks the measure '{lacking[0][:40]}', which is an objective")

    @property
    def best(self) -> Trial:
        """The trial with the highest score on the front, the earliest of equals; ValueError without a score."""
        scored = [trial for trial in self.trials if trial.scored]
        if not scored:
            tried = f"no architecture{' in full' * bool(self.trials)}"
            raise TooSmallBudgetError(f"The search on task '{self.task_id}' tried {tried}: give it a larger budget.")
        best = max(scored, key=lambda trial: trial.value)
        if len(self.objectives) == 1:
            return best
        return self._pareto_front([trial for trial in scored if trial.value == best.value])[0]

    def value_of(self, architecture: Architecture, recipe: RecipeFields | None = None) -> float:
        """The best score of a canonical architecture, with any recipe or a given one; NaN without a score."""
        own = [trial for trial in self.trials if trial.scored and trial.architecture == architecture]
        return max((t.value for t in own if recipe is None or t.recipe.items() <= recipe.items()), default=nan)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The scored trials that no other trial beats in all objectives, in the order of the search."""
        return tuple(self._pareto_front([trial for trial in self.trials if trial.scored and not trial.duplicate]))

    @property
    def trade_offs(self) -> tuple[Trial, ...]:
        """The front of a search with several objectives; empty for a single objective."""
        return self.front if len(self.objectives) > 1 else ()

    def curve_over(self, account: Literal["flops", "queries"]) -> tuple[tuple[float, float], ...]:
        """The anytime curve: (spent so far, best score so far) at each improvement, by full scores only."""
        scored = [trial for trial in self.trials if trial.scored]
        before = accumulate((trial.value for trial in scored), max, initial=-inf)
        return tuple(
            (trial.cost.counted_in(account), trial.value)
            for trial, best in zip(scored, before, strict=False)
            if trial.value > best
        )

    def _pareto_front(self, trials: list[Trial]) -> list[Trial]:
        points = [(trial.value, *(-trial.measures[name] for name in self.objectives[1:])) for trial in trials]
        return [trials[index] for index in non_dominated(points)]


_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


def grouped(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, list[_Value]]:
    """The values of each key, both in the order in which they come; unlike ``itertools.groupby`` it takes any order."""
    found: dict[_Key, list[_Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def by_task(records: Iterable[SearchRecord]) -> dict[str, list[SearchRecord]]:
    """The searches of each task, in the order of the tasks' names."""
    return dict(sorted(grouped((record.task_id, record) for record in records).items()))


def best_trials(records: Iterable[SearchRecord], key: Callable[[Trial], _Key]) -> dict[_Key, Trial]:
    """By a key, the trial that outweighs the others; without trials that failed, were given up or repeat another."""
    found: dict[_Key, Trial] = {}
    for trial in (trial for record in records for trial in record.trials):
        if trial.scored and isfinite(trial.value) and not trial.duplicate:
            own = key(trial)
            if own not in found or trial.outweighs(found[own]):
                found[own] = trial
    return found


def cost_of(records: Iterable[SearchRecord]) -> Cost:
    """The total cost of several searches."""
    return sum((record.trials[-1].cost for record in records if record.trials), Cost())


@dataclass(frozen=True)
class SearchOutcome:
    """The result of a search.

    Attributes:
        architecture: the chosen architecture.
        weights: supernet parameters that the child may inherit, by name, or None.
        record: the trials and their cost.
        recipe: the training hyper-parameters that were chosen with the architecture, by field of the recipe.
        untried: number of planned architectures that the budget did not pay for.
        meta_cost: cost of the knowledge from before the search, without the searcher's own ``meta_cost``.
        front: the outcomes of a search for a whole front, the most accurate first; otherwise empty.
        ordinal: whether the record's values only rank the trials, and are no validation scores.

    Example:
        >>> lm.records.SearchOutcome(lm.Architecture({"kernel": "3"}), None, lm.records.SearchRecord("letters")).value
        nan
    """

    architecture: Architecture
    weights: dict[str, Tensor] | None
    record: SearchRecord
    recipe: dict[str, RecipeValue] = field(default_factory=dict)
    untried: int = 0
    meta_cost: Cost = field(default_factory=Cost)
    front: tuple[SearchOutcome, ...] = ()
    ordinal: bool = False

    @property
    def value(self) -> float:
        """The best score of the chosen architecture in the search; NaN without a score."""
        return self.record.value_of(self.architecture, self.recipe)


# Not frozen, for Lightning's precision plugins refuse frozen dataclasses in batches; treat it as immutable.
@dataclass(eq=False)
class TaskScores:
    """The architectures that were scored on one task, each once, over all searches of it.

    Attributes:
        task_id: the task.
        features: the encoded architectures, shape ``(n, d)``, float64.
        scores: their validation scores from the searches, higher is better, shape ``(n,)``, float64.
        architectures: the scored architectures in the same order; may be left empty.
        cost: total cost of the searches.

    Example:
        >>> scores = lm.records.TaskScores("letters", torch.eye(3), torch.tensor([0.7, 0.9, 0.8]))
        >>> len(scores)
        3
    """

    task_id: str
    features: Tensor
    scores: Tensor
    architectures: tuple[Architecture, ...] = ()
    cost: Cost = field(default_factory=Cost)

    def __len__(self) -> int:
        return len(self.scores)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TaskScores:
        """Return the same scores on another device."""
        return replace(
            self,
            features=self.features.to(device, non_blocking=non_blocking),
            scores=self.scores.to(device, non_blocking=non_blocking),
        )
