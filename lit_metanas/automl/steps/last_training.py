"""The training of what a search found, on all but the test part: of one network, or of several that are averaged."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from time import perf_counter

from lit_metanas.automl.steps.budget_planner import BudgetPlanner
from lit_metanas.automl.steps.time_plan import BudgetPlan, evenly_spread
from lit_metanas.automl.steps.views import View, Views
from lit_metanas.comparisons.search_progress import ToldBudget
from lit_metanas.estimators.training_estimator import check_finite
from lit_metanas.records.budget import Cost, FailedWorkError
from lit_metanas.records.record import SearchOutcome
from lit_metanas.training.child import Child, Ensemble, chosen_child, fit_child

LAST_SECONDS = 3.0
"""How long the best network so far is trained once a search is interrupted, about."""

SEEDS_APART = 1_000_003
"""Between the seeds of an ensemble's networks, so that those of two searches differ."""


@dataclass(frozen=True)
class Trained:
    """A network, or an ensemble, that was trained after a search.

    Attributes:
        found: what the search told of it.
        child: the network.
        cost: of its training.
        view: the data that it was trained on, and the space that it is of.
        validated: see ``SearchResult``.
        searched: whether it is as the search trained it.
    """

    found: SearchOutcome
    child: Child
    cost: Cost
    view: View
    validated: float = nan
    searched: bool = False


class LastTraining:
    """Trains what a search found on all but the test part.

    Args:
        views: the data, under all preprocessings to choose from.
        planner: tells what an epoch costs.
        seed: of the search.

    Attributes:
        trained: the networks so far.
        lost: what those cost that were left out.
    """

    def __init__(self, views: Views, planner: BudgetPlanner, seed: int) -> None:
        self.views = views
        self.planner = planner
        self.seed = seed
        self.trained: list[Trained] = []
        self.lost = Cost()
        self._child: Child | None = None

    def train(self, found: SearchOutcome, epochs: int, budget: ToldBudget, *, member: int = 0) -> None:
        """Train what was found.

        Args:
            found: of the search.
            epochs: for how long.
            budget: of the search, which is told of each epoch.
            member: of an ensemble; those behind the first one begin with weights that the search has not trained.
        """
        begin, epoch, view = perf_counter(), self.planner.last_epoch(found), self.views.of(found.recipe)
        recipe, seed = replace(self.planner.recipe_of(found), epochs=epochs), self.seed + member * SEEDS_APART
        if member:
            found = replace(found, weights=self.views.weights)
        self._child = chosen_child(view.task, self.views.space, found, recipe, seed)
        cost = fit_child(self._child, view.learned, seed=seed, epoch_ended=partial(budget.trained, float(epoch)))
        self._keep(Trained(found, self._child, replace(cost, seconds=perf_counter() - begin), view))

    def train_briefly(self, found: SearchOutcome, plan: BudgetPlan, budget: ToldBudget) -> None:
        """Train on for a few seconds, with a learning rate that falls to zero, what there is once all is stopped."""
        begin, view = perf_counter(), self.views.of(found.recipe)
        recipe = replace(self.planner.recipe_of(found), epochs=1)
        child = self._child or chosen_child(view.task, self.views.space, found, recipe, self.seed)
        self._child, child.recipe = child, recipe
        pace = plan.pace or budget.spent.flops / max(budget.spent.seconds, 1.0)
        share = LAST_SECONDS * pace / self.planner.last_epoch(found)
        part = evenly_spread(view.learned, max(recipe.batch_size, int(share * len(view.learned))))
        cost = fit_child(child.train(), part, seed=self.seed)
        self._keep(Trained(found, child, replace(cost, seconds=perf_counter() - begin), view))

    def _keep(self, last: Trained) -> None:
        """Keep a network after its last training; where that diverged, as the search trained it, with a warning.

        Raises:
            FailedWorkError: the search has no weights of it.
        """
        try:
            check_finite(last.child.network)
        except ArithmeticError as error:
            found, recipe, space = last.found, last.child.recipe, self.views.space
            told = f"On task '{last.view.task.id}' the last {error}, with learning_rate {recipe.learning_rate:g}"
            if found.weights is self.views.weights or not space.supernet_weights(last.child.network):
                if self.trained:
                    self.lost += last.cost
                    return warnings.warn(f"{told}: this network is left out.", stacklevel=2)
                raise FailedWorkError(f"{told}; the search kept no weights: give another seed.") from None
            warnings.warn(f"{told}: the network is as the search trained it.", stacklevel=2)
            child = chosen_child(last.view.task, space, found, recipe, self.seed)
            last = replace(last, child=child, searched=True)
        self.trained.append(last)


def averaged(trained: Sequence[Trained]) -> Trained:
    """The ensemble of networks of one architecture, with the cost of all; a single one as it is.

    Those that are as the search trained them are left out, where there are others.
    """
    kept = [one for one in trained if not one.searched] or trained[:1]
    first, cost = kept[0], sum((one.cost for one in trained), Cost())
    if len(kept) > 1:
        first.child.network = Ensemble([one.child.network for one in kept])
    return replace(first, cost=cost)
