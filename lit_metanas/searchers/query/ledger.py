"""The account of a study: the known architectures, the cost so far, and the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import inf
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial, TrialState

from lit_metanas.estimators.estimator import Estimator
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.plain import from_plain
from lit_metanas.records.record import RecipeFields, RecipeValue, SearchRecord, Trial
from lit_metanas.spaces.architecture import Architecture


class Query(NamedTuple):
    """What is asked of an estimator: an architecture under a recipe, given by what the search chose of it."""

    architecture: Architecture
    recipe: tuple[tuple[str, RecipeValue], ...] = ()

    @staticmethod
    def of(architecture: Mapping[str, str], recipe: RecipeFields) -> Query:
        """The same for equal values, in whatever order they are given."""
        return Query(Architecture(architecture), tuple(sorted(recipe.items())))

    def under(self, estimator: Estimator) -> Estimator:
        """The estimator with its recipe changed.

        Raises:
            ValueError: it has no such recipe.
        """
        return estimator.with_recipe(dict(self.recipe)) if self.recipe else estimator


def trial_attributes(
    query: Query, cost: Cost, *, measures: Mapping[str, float], fidelity: float | None, training_flops: float = 0.0
) -> dict[str, Any]:
    """What a trial's user attributes say of it, to be read by a ledger; what is empty is left out."""
    said = {
        "architecture": query.architecture.to_json(),
        "recipe": dict(query.recipe),
        "measures": dict(measures),
        "fidelity": fidelity,
        "training_flops": training_flops,
        "cost": asdict(cost),
    }
    return {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Reservation:
    """What a trial in hand is about to score, and the most that this costs.

    Attributes:
        turn: its place among those that have begun; 0 until it has one.
        queries: of the budget.
        flops: of the budget.
        architecture: what is scored.
        recipe: what the search chose of it.
    """

    turn: int
    queries: int
    flops: int
    architecture: Architecture
    recipe: dict[str, RecipeValue]

    @property
    def query(self) -> Query:
        """What is scored."""
        return Query.of(self.architecture, self.recipe)


@dataclass(frozen=True)
class Refusal:
    """What a trial needed that the budget could not pay, and what had been spent by then.

    Attributes:
        needed: queries and FLOPs of the trial.
        spent: queries and FLOPs before it.
    """

    needed: tuple[int, int]
    spent: tuple[int, int]

    def stands(self, budget: Budget) -> bool:
        """Whether this budget, which may be larger than that of then, could not have paid it either."""
        limits = (budget.queries, budget.flops)
        totals = map(sum, zip(self.needed, self.spent, strict=True))
        return any(limit is not None and total > limit for total, limit in zip(totals, limits, strict=True))


@dataclass(frozen=True)
class Kept:
    """What a trial's user attributes say, read from a data base that anyone may have changed."""

    architecture: Architecture = field(default_factory=lambda: Architecture({}))
    recipe: dict[str, RecipeValue] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    fidelity: float | None = None
    training_flops: float = 0.0
    cost: Cost | None = None
    trained: bool = False
    duplicate: bool | None = None
    failure: str = ""
    violation: str = ""
    constraint: str = ""
    unpaid: str = ""
    reserved: Reservation | None = None
    refusal: Refusal | None = None
    tries: int = 1

    @staticmethod
    def of(attributes: Mapping[str, Any]) -> Kept:
        """Read attributes, of which some are others' or a sampler's.

        Raises:
            ValueError: one is of another kind.
        """
        known = {each.name for each in fields(Kept)}
        kept = from_plain(Kept, {name: value for name, value in attributes.items() if name in known}, "its note")
        if kept.cost is not None and min(asdict(kept.cost).values()) < 0:
            raise ValueError("its cost is negative")
        if kept.reserved is not None and min(kept.reserved.turn, kept.reserved.queries, kept.reserved.flops) < 0:
            raise ValueError("what it has set aside is negative")
        return kept

    @staticmethod
    def of_trial(trial: FrozenTrial) -> Kept:
        """What a trial says of itself.

        Raises:
            ValueError: it cannot be read; the sentence names the trial.
        """
        try:
            kept = Kept.of(trial.user_attrs)
            scored = trial.state == TrialState.COMPLETE
            if (scored and not trial.values) or not all(isinstance(value, float | int) for value in trial.values or ()):
                raise ValueError("its value is not a number")
            if not all(isinstance(name, str) for name in trial.params):
                raise ValueError("the name of a parameter is no text")
        except ValueError as error:
            raise ValueError(
                f"Trial {trial.number} has attributes that cannot be read ({error}): give another storage, or another "
                "name in 'study'."
            ) from None
        return kept


class Ledger:
    """Reads the finished trials of a study, each once, in their order.

    A search and the replay of an interrupted one go through the same account: only what the study keeps counts.

    Attributes:
        budget: charged with each trial's cost.
        record: gets each trial that was scored, given up or failed.
        known: the first trial of each query.
        trained: the queries whose scoring gave weights.
        finished: how many trials were finished, those at no cost too.
        free: how many of the last ones in a row were at no cost.
        refused: how many of them were too dear, with none paid in between.
        untried: the queries that were too dear.
        over: whether the study has come to a trial for which nothing was left of the budget.
        reason: why the last trial without a score has none.
    """

    def __init__(self, budget: Budget, record: SearchRecord) -> None:
        self.budget = budget
        self.record = record
        self.known: dict[Query, Trial] = {}
        self.trained: set[Query] = set()
        self.finished = 0
        self.free = 0
        self.refused = 0
        self.untried: set[Query] = set()
        self.over = False
        self.reason = ""
        self._read: set[int] = set()

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Enter the trials that finished since the last time.

        Raises:
            Exhausted: the budget does not pay for one; it and those after it are left out.
        """
        if len(self._read) == len(trials):
            return
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._read:
                self._enter(trial)
                self._read.add(trial.number)

    def is_best(self, query: Query) -> bool:
        """Whether this is what the search would choose now."""
        if query not in self.known:
            return False  # others had given this trial up
        best = self.record.best
        return Query.of(best.architecture, best.recipe) == query

    def _enter(self, trial: FrozenTrial) -> None:
        kept = Kept.of_trial(trial)
        stands = kept.refusal is not None and kept.refusal.stands(self.budget)
        if trial.state == TrialState.FAIL and "failure" not in trial.user_attrs:
            self.over |= stands
            return  # nobody finished it, or nothing was left to pay for it
        if kept.refusal is not None:
            if stands:  # else it counts as never asked for
                self.reason = kept.unpaid
                self.finished, self.refused = self.finished + 1, self.refused + 1
                self.untried.add(Query.of(kept.architecture, kept.recipe))
            return
        self.reason = kept.failure or kept.violation or kept.constraint or self.reason
        if kept.cost is None:
            self._count(free=True)
            return
        self.budget.charge(kept.cost)
        query = Query.of(kept.architecture, kept.recipe)
        self.refused = 0 if kept.cost.queries or kept.cost.flops else self.refused
        if kept.trained:
            self.trained.add(query)
        repeated = query in self.known and kept.cost.queries == 0
        entry = Trial(
            query.architecture,
            trial.values[0] if trial.values else -inf,
            self.budget.spent,
            duplicate=repeated if kept.duplicate is None else kept.duplicate,
            fidelity=kept.fidelity,
            pruned=trial.state == TrialState.PRUNED,
            failure=kept.failure,
            measures=kept.measures,
            recipe=dict(query.recipe),
            trained=kept.training_flops,
        )
        self.record.trials.append(entry)
        self.known.setdefault(query, entry)
        self._count(free=entry.duplicate)

    def _count(self, *, free: bool) -> None:
        self.finished += 1
        self.free = self.free + 1 if free else 0
