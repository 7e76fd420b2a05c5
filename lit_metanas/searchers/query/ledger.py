"""The account of a study: objectives, queries, the cost so far, and the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import inf

import optuna
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.estimators.estimator import Estimator, Query
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import Budget, Cost, RecipeValue, SearchRecord, Trial
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.recipes import Recipe

RECIPE_PREFIX = "train."  # prefix of a study's parameters that are numbers of a recipe

SCORE = "accuracy"  # the estimator's score among the objectives


@dataclass(frozen=True)
class Objectives:
    """Objectives and constraints of a study."""

    objectives: tuple[str, ...]  # ``accuracy``, then measures that should be small
    constraints: Mapping[str, float]  # the largest value of each named measure

    def __post_init__(self) -> None:
        if self.objectives[:1] != (SCORE,) or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(
                f"The objectives {', '.join(self.objectives) or '(none)'} must be '{SCORE}' followed by measures, "
                "each once."
            )
        for name, limit in self.constraints.items():
            if not limit > 0:
                raise ValueError(f"The constraint {name} <= {limit} cannot be met: give a limit above 0.")

    @property
    def required_measures(self) -> tuple[str, ...]:
        """The measures that each architecture needs."""
        return tuple(dict.fromkeys((*self.objectives[1:], *self.constraints)))

    def check(self, estimator: Estimator) -> None:
        """Refuse measures that the estimator does not know."""
        known = estimator.measures
        for name in self.required_measures:
            if name not in known:
                raise ValueError(
                    f"{type(estimator).__name__} does not know the {name} of an architecture: take objectives and "
                    f"constraints from {', '.join(known) or 'another estimator, as it knows none'}."
                )

    def violation(self, measures: Mapping[str, float]) -> str:
        """The constraints that are not met, in words; empty if all are met."""
        return ", ".join(
            f"{name} is {measures[name]:g}, above {limit:g}"
            for name, limit in self.constraints.items()
            if measures[name] > limit
        )


@dataclass(frozen=True)
class RecipeRange:
    """The values that one number of a recipe may take, both ends included."""

    low: float
    high: float
    log: bool = False  # whether values are drawn evenly over orders of magnitude

    def __post_init__(self) -> None:
        if not -inf < self.low <= self.high < inf or (self.log and self.low <= 0):
            scale = " (log)" * self.log
            raise ValueError(
                f"The range from {self.low} to {self.high}{scale} is empty or reaches 0: give low <= high, both "
                "finite, and for a logarithmic one low > 0."
            )


def check_ranges(ranges: Mapping[str, RecipeRange]) -> None:
    """Refuse ranges that no recipe can have."""
    for name, given in ranges.items():
        for bound in (given.low, given.high):
            Recipe().replace({name: bound})
            if isinstance(asdict(Recipe())[name], int) and bound != int(bound):
                raise ValueError(f"The {name} of a recipe is a whole number, and {bound} is not: give whole bounds.")


def suggest_recipe(trial: optuna.Trial, ranges: Mapping[str, RecipeRange]) -> dict[str, RecipeValue]:
    """Ask a trial for a value of each range, under the prefix ``train.``; whole numbers if the recipe has them."""
    defaults = asdict(Recipe())
    values: dict[str, RecipeValue] = {}
    for name, given in ranges.items():
        if isinstance(defaults[name], int):
            values[name] = trial.suggest_int(RECIPE_PREFIX + name, int(given.low), int(given.high), log=given.log)
        else:
            values[name] = trial.suggest_float(RECIPE_PREFIX + name, given.low, given.high, log=given.log)
    return values


@dataclass(frozen=True)
class Reservation:
    """The query of a running trial, and the most that it costs."""

    turn: int  # its place among the running trials; 0 until it has one
    queries: int
    flops: int
    architecture: Architecture
    recipe: dict[str, RecipeValue]


@dataclass(frozen=True)
class Refusal:
    """Queries and FLOPs that a trial needed and the budget could not pay, and those spent before it."""

    needed: tuple[int, int]
    spent: tuple[int, int]

    def stands(self, budget: Budget) -> bool:
        """Whether this budget, which may be larger by now, cannot pay it either."""
        needed, spent = (Cost(queries=queries, flops=flops) for queries, flops in (self.needed, self.spent))
        return not Budget(queries=budget.queries, flops=budget.flops).affords(needed + spent)


@dataclass(frozen=True)
class TrialFacts:
    """What a study knows of a trial: its user attributes, in a data base that anyone may have changed."""

    architecture: Architecture = field(default_factory=lambda: Architecture({}))
    recipe: dict[str, RecipeValue] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    fidelity: float | None = None
    cost: Cost | None = None
    trained: bool = False
    failure: str = ""
    violation: str = ""
    constraint: str = ""
    unpaid: str = ""
    reserved: Reservation | None = None
    refusal: Refusal | None = None

    @property
    def query(self) -> Query:
        """The query that the trial was for."""
        return Query.of(self.architecture, self.recipe)

    def write(self, trial: optuna.Trial) -> None:
        """Write the facts that are not empty into a trial's user attributes."""
        for name, fact in to_plain(self).items():
            if fact:
                trial.set_user_attr(name, fact)

    @staticmethod
    def of_trial(trial: FrozenTrial) -> TrialFacts:
        """A trial's attributes, without those of other programs; ValueError names a trial that cannot be read."""
        known = {each.name for each in fields(TrialFacts)}
        own = {name: value for name, value in trial.user_attrs.items() if name in known}
        try:
            facts = from_plain(TrialFacts, own, "its note")
            if facts.cost is not None and min(asdict(facts.cost).values()) < 0:
                raise ValueError("its cost is negative")
            one = facts.reserved
            if one is not None and min(one.turn, one.queries, one.flops) < 0:
                raise ValueError("its reservation is negative")
            lacks_score = trial.state == TrialState.COMPLETE and not trial.values
            if lacks_score or not all(isinstance(value, float | int) for value in trial.values or ()):
                raise ValueError("its value is not a number")
            if not all(isinstance(name, str) for name in trial.params):
                raise ValueError("the name of a parameter is no text")
        except ValueError as error:
            raise ValueError(
                f"Trial {trial.number} has attributes that cannot be read ({error}): give another storage, or another "
                "name in 'study'."
            ) from None
        return facts


class Ledger:
    """Reads the finished trials of a study, each once, in their order; a resumed search thus has the same account."""

    def __init__(self, budget: Budget, record: SearchRecord) -> None:
        self.budget = budget
        self.record = record
        self.known: dict[Query, Trial] = {}  # the first trial of each query
        self.trained: set[Query] = set()  # queries whose scoring gave weights
        self.finished = 0  # trials, those at no cost included
        self.free = 0  # trials at no cost since the last one that was paid
        self.refused = 0  # trials that cost too much since then
        self.untried: set[Query] = set()  # queries that cost too much
        self.over = False  # whether a trial found nothing left of the budget
        self.reason = ""  # why the last trial without a score has none
        self._read: set[int] = set()

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Enter the trials that finished since the last call; Exhausted if the budget does not pay for one."""
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._read:
                self._enter(trial)
                self._read.add(trial.number)

    @property
    def best(self) -> Query:
        """The query that the search would choose now; ValueError without a score."""
        best = self.record.best
        return Query.of(best.architecture, best.recipe)

    def _enter(self, trial: FrozenTrial) -> None:
        facts = TrialFacts.of_trial(trial)
        stands = facts.refusal is not None and facts.refusal.stands(self.budget)
        if trial.state == TrialState.FAIL and "failure" not in trial.user_attrs:
            self.over |= stands
            return  # no process finished it, or nothing was left to pay for it
        if facts.refusal is not None:
            if stands:  # a larger budget can pay for it now, as if it had never been drawn
                self.reason = facts.unpaid
                self.finished, self.refused = self.finished + 1, self.refused + 1
                self.untried.add(facts.query)
            return
        self.reason = facts.failure or facts.violation or facts.constraint or self.reason
        self.finished, self.free = self.finished + 1, self.free + 1
        if facts.cost is None:
            return
        self.budget.charge(facts.cost)
        query = facts.query
        if facts.cost.queries or facts.cost.flops:
            self.refused = 0
        if facts.trained:
            self.trained.add(query)
        entry = Trial(
            query.architecture,
            (trial.values or [-inf])[0],
            self.budget.spent,
            duplicate=query in self.known and facts.cost.queries == 0,
            fidelity=facts.fidelity,
            pruned=trial.state == TrialState.PRUNED,
            failure=facts.failure,
            measures=facts.measures,
            recipe=dict(query.recipe),
        )
        self.record.trials.append(entry)
        self.known.setdefault(query, entry)
        if not entry.duplicate:
            self.free = 0
