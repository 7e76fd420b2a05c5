"""The steps of ``auto`` for a whole front: networks that trade accuracy against a measure, trained and tested each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from lit_metanas.automl.auto_steps import AutoSteps, Show, Trainings
from lit_metanas.automl.limits import Wishes
from lit_metanas.automl.output_folder import OutputFolder
from lit_metanas.automl.time_plan import (
    FRONT_TRIALS,
    SEARCH_SHARE,
    BudgetPlan,
    Pace,
    front_rungs,
    shared_epochs,
    trial_epochs,
)
from lit_metanas.automl.views import View, Views
from lit_metanas.comparisons.search_progress import ToldBudget
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.io.text import printable
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import PREPROCESSING, SearchOutcome
from lit_metanas.searchers.halving import FrontHalving
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.spaces.architecture import Architecture

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

    Raises:
        ValueError: no network is within the limits.
    """

    def __init__(
        self,
        views: Views,
        kind: str,
        wishes: Wishes,
        folder: OutputFolder | None,
        *,
        began: float,
        measure: str,
        reading: float = 0.0,
    ) -> None:
        super().__init__(views, kind, wishes, folder, began=began, reading=reading)
        self.measure = measure
        self.share = SEARCH_SHARE
        generator = torch.Generator().manual_seed(self.wishes.seed)
        method = FrontHalving(measure=measure, train=self.train, first=self.portfolio[:1])
        self.begun = method.begin(self.known, self.space, self.limited.measures, MOST_BEGUN, generator)
        if self.begun:
            costs = [self._usual_epoch(query.architecture) for query in self.begun]
            epochs = trial_epochs(len(self.task.train), self.recipe.batch_size) / FRONT_TRIALS
            self.trial = sum(costs) / len(costs) * epochs

    def rungs(self, flops: float, trial: float) -> tuple[int, ...]:
        """How many candidates each rung of the search has."""
        return front_rungs(flops, trial)

    def _searcher(self, plan: BudgetPlan) -> FrontHalving:
        """Who searches."""
        rungs = self.rungs(plan.search, self.trial)
        return FrontHalving(
            measure=self.measure,
            candidates=rungs,
            rungs=[number / sum(rungs) for number in rungs],
            points=POINTS,
            allowance=0.0 if self.task.val is None else len(self.task.val) ** -0.5,  # two standard errors, at most
            train=self.train,
            later={PREPROCESSING: self.views.labels} if self.views.labels else {},
            first=self.begun[: rungs[0]] or [Query.of(self.usual, {})],
        )

    def _ending(self, architecture: Architecture, view: View, pace: Pace) -> float:
        """Seconds for all but search and training, of each network of the front."""
        return POINTS * super()._ending(architecture, view, pace)

    def _train_all(
        self,
        outcome: SearchOutcome,
        plan: BudgetPlan,
        budget: ToldBudget,
        spent: Trainings,
        show: Show,
    ) -> BudgetPlan:
        """Train each network of the front, the most accurate one first; what is now too slow is left out."""
        self._found = self._within(outcome)
        within = [one for one in outcome.front if self._excess(one.architecture, one.recipe) is None]
        front = [self._found, *(one for one in within if self._network(one) != self._network(self._found))]
        left = self._rest(self._found, plan, budget, spent)
        plan = self._kept(replace(plan, training=left))
        epochs = shared_epochs([self._epoch(one) for one in front], left)
        budget.beside = left
        for place, (one, number) in enumerate(zip(front, epochs, strict=False), start=1):
            show(f"training network {place} of {len(epochs)}")
            self._found = one
            self._train(one, number, budget)
        return plan

    def _network(self, found: SearchOutcome) -> tuple[Architecture, str]:
        """What tells a network of the front from others."""
        return found.architecture, self.views.label_of(found.recipe)

    def _result(self, told: Sequence[SearchResult]) -> SearchResult:
        """The most accurate network, with the whole front, the smallest first."""
        front = sorted(told, key=lambda one: (getattr(one, self.measure), one.parameters))
        cost = sum((one.training_cost for one in told), Cost())
        return replace(told[0], training_cost=cost, front=tuple(front), traded=self.measure)
