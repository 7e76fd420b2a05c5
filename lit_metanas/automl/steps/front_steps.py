"""The steps of ``auto`` for a whole front: networks that trade accuracy against a measure, trained and tested each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch

from lit_metanas.automl.steps.auto_steps import AutoSteps
from lit_metanas.automl.steps.budget_planner import BudgetPlanner, Trainings
from lit_metanas.automl.steps.last_training import LastTrainingError, Show
from lit_metanas.automl.steps.limits import Wishes
from lit_metanas.automl.steps.linear_models import LinearModel
from lit_metanas.automl.steps.output_folder import OutputFolder
from lit_metanas.automl.steps.time_plan import FRONT_TRIALS, SEARCH_SHARE, BudgetPlan, front_rungs, shared_epochs
from lit_metanas.automl.steps.views import View, Views
from lit_metanas.comparisons.search_progress import ToldBudget
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.io.text import printable
from lit_metanas.kinds.kind import Kind
from lit_metanas.records.record import PREPROCESSING, SearchOutcome
from lit_metanas.records.statistics import non_dominated
from lit_metanas.searchers.halving import FrontHalving
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace

MEASURES = ("parameters", "flops", "latency")
"""What accuracy can be traded against."""

MOST_BEGUN = 24
"""Networks that a search begins with."""

POINTS = 6
"""Most networks of a front that are trained in full."""


def check_pareto(measure: str | None) -> None:
    """Look whether a front can be made for a measure; None is no front.

    Raises:
        ValueError: it cannot.
    """
    if measure is not None and measure not in MEASURES:
        known = f"{', '.join(MEASURES[:-1])} or {MEASURES[-1]}"
        raise ValueError(f"auto: no front can be made for pareto = '{printable(str(measure), 40)}': give {known}.")


class FrontSteps(AutoSteps):
    """A search for the front of one task, the training of each of its networks, and their tests.

    Args:
        views: the data, under all preprocessings to choose from.
        kind: of the examples.
        wishes: budget, seed, threads.
        folder: keeps trainings and the budget's division; None keeps nothing.
        began: the clock when the minutes began.
        measure: what is to be small.
        reading: seconds that it took to make the usual view.
        linear: what linear models can be built, which may be on the front; None looks at none.

    Raises:
        ValueError: no network is within the limits.
    """

    def __init__(
        self,
        views: Views,
        kind: Kind,
        wishes: Wishes,
        folder: OutputFolder | None,
        *,
        began: float,
        measure: str,
        reading: float = 0.0,
        linear: SearchSpace | None = None,
    ) -> None:
        super().__init__(views, kind, wishes, folder, began=began, reading=reading, linear=linear)
        self.measure = measure
        generator = torch.Generator().manual_seed(self.wishes.seed)
        known, first = self.beginning.known, self.beginning.portfolio[:1]
        method = FrontHalving(measure=views.limits.measure(measure), train=self.train, first=first)
        self.begun = method.first_rung(known, self.space, self.limited.measures, MOST_BEGUN, generator)

    @cached_property
    def planner(self) -> BudgetPlanner:
        """What divides the budget."""
        candidates = [query.architecture for query in self.begun]
        trials = FRONT_TRIALS if candidates else 1
        return self._planner(SEARCH_SHARE, points=POINTS, candidates=candidates, trials=trials)

    def rungs(self, flops: float, trial: float) -> tuple[int, ...]:
        """How many candidates each rung of the search has."""
        return front_rungs(flops, trial)

    def _searcher(self, plan: BudgetPlan) -> FrontHalving:
        """Who searches."""
        rungs = self.rungs(plan.search, self.planner.trial)
        return FrontHalving(
            measure=self.views.limits.measure(self.measure),
            candidates=rungs,
            rungs=[number / sum(rungs) for number in rungs],
            points=POINTS,
            allowance=0.0 if self.task.val is None else len(self.task.val) ** -0.5,  # two standard errors, at most
            train=self.train,
            later={PREPROCESSING: self.views.labels} if self.views.labels else {},
            first=self.begun[: rungs[0]] or [Query.of(self.beginning.usual, {})],
        )

    def _train_all(
        self, outcome: SearchOutcome, plan: BudgetPlan, budget: ToldBudget, spent: Trainings, show: Show
    ) -> BudgetPlan:
        """Train each network of the front, the most accurate one first, and linear models that are on it, too.

        What is now too slow is left out.
        """
        found = self._choose(self._within(outcome))
        best, whole = self.comparison.train_several(found, plan, budget, spent, show)
        plan = self.planner.keep(replace(plan, training=whole))
        budget.follow(whole)
        within = [one for one in outcome.front if self._excess(one.architecture, one.recipe) is None]
        front = [found, *(one for one in within if self._network(one) != self._network(found))]
        left = whole - self.comparison.spent.flops
        linear = self._linear_front(front, left - self.planner.last_epoch(found))
        left -= sum(self.comparison.cost(one).flops for one in linear)
        front = front[: max(1, POINTS - len(linear))]
        epochs, failed = shared_epochs([self.planner.last_epoch(one) for one in front], left), ""
        for place, (one, number) in enumerate(zip(front, epochs, strict=False), start=1):
            show(f"training network {place} of {len(epochs)}")
            try:
                self.training.train(one, number, budget, value=one.value)
            except LastTrainingError as error:  # as without memory, which a smaller network may need less of
                failed = str(error)
                warnings.warn(f"{failed}: this network is left out.", stacklevel=2)
        if failed and not self.training.trained:
            raise LastTrainingError(failed)
        if best is not None:
            self.comparison.sentence = self.comparison.describe_both(best, self._value)
        others = ""
        for model in linear:
            show("training a linear model")
            failure = self.comparison.train_fully(model, found, budget)
            how = f"its last training failed ({failure})" if failure else "it is on the front"
            if model is best:
                self.comparison.sentence += f": {how}"
            else:
                others += f"; {self.comparison.describe(model)}: {how}"
        self.comparison.sentence += others
        return plan

    def _linear_front(self, front: Sequence[SearchOutcome], flops: float) -> list[LinearModel]:
        """The linear models that are on a front, but for those that a point of it equals in size and score.

        They take no network of another size off it that they are better than, as these were trained briefly so far; but
        where there are more than ``POINTS`` in all, the last networks make room.

        Args:
            front: the networks.
            flops: what the last trainings of linear models may cost.
        """
        if not (linear := self.comparison.within_limits()):
            return []
        points = [self._point(self.views.of(one.recipe), one.architecture, one.value) for one in front]
        points += [self._point(one.view, one.architecture, one.value) for one in linear]
        chosen: dict[Architecture, LinearModel] = {}
        for place in non_dominated(points):
            if place < len(front) or points.index(points[place]) < place:
                continue
            model = linear[place - len(front)]
            if model.architecture in chosen:
                continue
            flops -= self.comparison.cost(model).flops
            if flops >= 0:
                chosen[model.architecture] = model
        return [*chosen.values()]

    def _point(self, view: View, architecture: Architecture, value: float) -> tuple[float, float]:
        """What is to be large of a network: minus the measure, and its validation score."""
        return -view.limited.measures[self.measure](architecture), value

    def _network(self, found: SearchOutcome) -> tuple[Architecture, str]:
        """What tells a network of the front from others."""
        return found.architecture, self.views.label_of(found.recipe)

    def _result(self, told: Sequence[SearchResult], returned: Sequence[SearchResult] = ()) -> SearchResult:
        """The one that is most accurate by validation, with the whole front, the smallest first.

        Of several of one size the front has the best by validation: a network and a linear model may be as large.
        """
        ranked = sorted(told, key=lambda one: one.val_score, reverse=True)
        best_of = {getattr(one, self.measure): one for one in reversed(ranked)}  # the last, and best, of a size stays
        front = tuple(best_of[size] for size in sorted(best_of))
        return replace(super()._result(ranked, front), front=front, traded=self.measure)
