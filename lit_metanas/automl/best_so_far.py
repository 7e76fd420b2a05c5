"""The best that a search has scored, whenever it is interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from time import perf_counter

from torch import Tensor

from lit_metanas.estimators.estimator import Estimator, Measure, Score
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import SearchOutcome, SearchRecord, Trial
from lit_metanas.spaces.architecture import Architecture


class BestSoFar(Estimator):
    """Remembers what an estimator has scored, so that a search which is interrupted has an outcome.

    Args:
        estimator: scores the architectures.
        task_id: the problem's name in the record.

    Attributes:
        spent: of each architecture, what each of its trainings cost, seconds included.
    """

    def __init__(self, estimator: Estimator, task_id: str) -> None:
        self.estimator = estimator
        self._recipe: dict[str, float | int | str | bool] = {}
        self._record = SearchRecord(task_id)
        self._best: list[SearchOutcome] = []  # of all copies under other recipes, and so a list
        self.spent: dict[Architecture, list[Cost]] = {}

    @property
    def outcome(self) -> SearchOutcome | None:
        """What was best, with its weights; None before anything was scored."""
        return self._best[0] if self._best else None

    @property
    def settings(self) -> Mapping[str, float | int | str | bool]:
        """Those of the estimator."""
        return self.estimator.settings

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Those of the estimator."""
        return self.estimator.measures

    def with_recipe(self, changes: Mapping[str, float | int | str | bool]) -> BestSoFar:
        """The same memory of the estimator under a changed recipe."""
        other = copy(self)
        other.estimator, other._recipe = self.estimator.with_recipe(changes), {**self._recipe, **changes}
        return other

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """What the estimator says."""
        return self.estimator.cost(architecture, fidelity)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Estimate, and remember."""
        begin = perf_counter()
        score = self.estimator(architecture, fidelity=fidelity, start=start)
        seconds = score.cost.seconds + perf_counter() - begin  # those of a kept score, too
        self.spent.setdefault(architecture, []).append(replace(score.cost, seconds=seconds))
        trials = self._record.trials
        spent = trials[-1].cost + score.cost if trials else score.cost
        trials.append(Trial(architecture, score.value, spent, recipe={**self._recipe}))
        if not self._best or score.value >= self._record.value_of(self._best[0].architecture, self._best[0].recipe):
            recipe = {**self._recipe}
            self._best[:] = [SearchOutcome(architecture, score.weights, self._record, recipe=recipe)]
        return score
