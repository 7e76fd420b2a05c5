"""The account of a study: the known architectures, the cost so far, and the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial, TrialState

from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import SearchRecord, Trial
from lit_metanas.spaces.architecture import Architecture

Value = float | int | str | bool


class Query(NamedTuple):
    """What is asked of an estimator: an architecture under a recipe, given by what the search chose of it."""

    architecture: Architecture
    recipe: tuple[tuple[str, Value], ...] = ()

    @staticmethod
    def of(architecture: Mapping[str, str], recipe: Mapping[str, Value]) -> Query:
        """The same for equal values, in whatever order they are given."""
        return Query(Architecture(architecture), tuple(sorted(recipe.items())))


def noted(query: Query, cost: Cost, *, measures: Mapping[str, float], fidelity: float | None) -> dict[str, Any]:
    """What a trial's user attributes say of it, to be read by a ledger; what is empty is left out."""
    said = {
        "architecture": query.architecture.to_json(),
        "recipe": dict(query.recipe),
        "measures": dict(measures),
        "fidelity": fidelity,
        "cost": asdict(cost),
    }
    return {name: value for name, value in said.items() if value}


class Ledger:
    """Reads the finished trials of a study, each once, in their order.

    A search and the replay of an interrupted one go through the same account: only what the study keeps counts.

    Attributes:
        budget: charged with each trial's cost.
        record: gets each trial that was scored, given up or failed.
        known: the first trial of each query.
        trained: the queries whose scoring gave weights.
        told: trials that were finished, those at no cost too.
        free: how many of the last ones in a row were at no cost.
        reason: why the last trial without a score has none.
    """

    def __init__(self, budget: Budget, record: SearchRecord) -> None:
        self.budget = budget
        self.record = record
        self.known: dict[Query, Trial] = {}
        self.trained: set[Query] = set()
        self.told = 0
        self.free = 0
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
        kept = trial.user_attrs
        if trial.state == TrialState.FAIL and "failure" not in kept:
            return  # nobody finished it, or nobody could pay for it
        self.reason = kept.get("failure") or kept.get("violation") or kept.get("constraint") or self.reason
        if "cost" not in kept:
            self._count(free=True)
            return
        cost = Cost(**kept["cost"])
        self.budget.charge(cost)
        query = Query.of(kept["architecture"], kept.get("recipe", {}))
        if kept.get("trained"):
            self.trained.add(query)
        entry = Trial(
            query.architecture,
            trial.values[0] if trial.values else -inf,
            self.budget.spent,
            duplicate=kept.get("duplicate", query in self.known and cost.queries == 0),
            fidelity=kept.get("fidelity"),
            pruned=trial.state == TrialState.PRUNED,
            failure=kept.get("failure", ""),
            measures=kept.get("measures", {}),
            recipe=dict(query.recipe),
        )
        self.record.trials.append(entry)
        self.known.setdefault(query, entry)
        self._count(free=entry.duplicate)

    def _count(self, *, free: bool) -> None:
        self.told += 1
        self.free = self.free + 1 if free else 0
