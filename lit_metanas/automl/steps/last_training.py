"""The training of what a search found, on all but the test part: of a network, or of an ensemble of several."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from math import inf, isnan
from time import perf_counter
from typing import NamedTuple

from lit_metanas.automl.steps.budget_planner import BudgetPlanner
from lit_metanas.automl.steps.linear_models import LinearModel
from lit_metanas.automl.steps.time_plan import BudgetPlan, evenly_spread
from lit_metanas.automl.steps.views import JoinedView, View, Views
from lit_metanas.comparisons.search_progress import ToldBudget
from lit_metanas.estimators.estimator import FAILURES, reason_of
from lit_metanas.estimators.training_estimator import check_finite, validation_part
from lit_metanas.io.text import printable
from lit_metanas.records.budget import Cost, FailedWorkError
from lit_metanas.records.record import SearchOutcome
from lit_metanas.training.child import (
    Child,
    Ensemble,
    Recipe,
    chosen_child,
    fit_child,
    judge,
    score,
)

LAST_SECONDS = 3.0
"""How long the best network so far is trained once a search is interrupted, about."""

SEEDS_APART = 1_000_003
"""Between the seeds of an ensemble's members, so that searches of neighbouring seeds share none."""

Show = Callable[[str], None]
"""Tells what begins."""


@dataclass(frozen=True)
class Trained:
    """A network, or an ensemble, that was trained after a search, or a linear model.

    Attributes:
        found: what the search told of it.
        child: the network.
        cost: of its training.
        view: the data that it was trained on, or of an average those for both, and the space that it is of.
        value: its validation score before this training; of an average that of the mean.
        held_out: whether it has learned nothing from the validation part.
        average: with a linear model; None where there is none.
    """

    found: SearchOutcome
    child: Child
    cost: Cost
    view: View
    value: float
    held_out: bool = False
    average: Average | None = None


class LastTrainingError(Exception):
    """A last training failed, as without memory; the message is a sentence without its end."""


class Mean(NamedTuple):
    """The mean of what a network and a linear model say.

    Attributes:
        joined: the data for both.
        value: its validation score, of both as they were scored before.
    """

    joined: JoinedView
    value: float


@dataclass(frozen=True)
class Average:
    """A linear model whose scores are averaged with those of networks.

    Attributes:
        linear: the model.
        mean: of its scores and theirs.
    """

    linear: Trained
    mean: Mean


class LastTraining:
    """Trains what a search found on all but the test part.

    Args:
        views: the data, under all preprocessings to choose from.
        planner: tells what an epoch costs.
        seed: of the search.

    Attributes:
        trained: the networks and ensembles so far.
        lost: what those cost that are in none of them.
        average: with a linear model, of what will be trained; None where there is none.
    """

    def __init__(self, views: Views, planner: BudgetPlanner, seed: int) -> None:
        self.views = views
        self.planner = planner
        self.seed = seed
        self.trained: list[Trained] = []
        self.lost = Cost()
        self._child: Child | None = None
        self.average: Average | None = None

    @property
    def linear_cost(self) -> Cost:
        """Of the linear model; nothing where there is none."""
        return Cost() if self.average is None else self.average.linear.cost

    @property
    def linear_measures(self) -> dict[str, float] | None:
        """What the linear model has of each measure that has a limit; None where there is none."""
        if self.average is None:
            return None
        return self.average.mean.joined.linear.limited.measured(self.average.linear.found.architecture)

    def mean_with(self, linear: LinearModel, found: SearchOutcome) -> Mean | None:
        """The mean of what was found and of a linear model; both have the weights that they were scored with.

        It is None where they cannot be averaged, as where both together are above a limit. With limits of latency and
        size they are not, as these are no sums of two.
        """
        view = self.views.of(found.recipe)
        unknown = linear.weights is None or found.weights is None or found.weights is self.views.weights
        if unknown or {"latency", "size"} & view.limited.limits.given.keys():
            return None
        if not view.limited.members(found.architecture, 1, linear.view.limited.measured(linear.architecture)):
            return None
        with suppress(*FAILURES):
            if (joined := self.views.joined(view, linear.view)) is not None:
                val = validation_part(joined.view.task)
                begun = replace(found, architecture=linear.architecture, weights=linear.weights)
                network, other = (
                    chosen_child(own.task, own.limited.space, one, Recipe(), self.seed).network
                    for own, one in ((view, found), (linear.view, begun))
                )
                both = joined.network(network, other).to(val.inputs.device).eval()
                return Mean(joined, judge(both, val, joined.view.task.goal)[1].value)
        return None

    def train(
        self,
        found: SearchOutcome,
        epochs: int,
        budget: ToldBudget,
        *,
        value: float,
        members: int = 1,
        show: Show = lambda _: None,
    ) -> None:
        """Train a network, or the members of an ensemble one after the other.

        The first one begins with what it has learned in the search, the others do not. Those that diverge are left
        out, with a warning. Where all do, the network is as the search trained it. Where one fails, those before it are
        kept.

        Args:
            found: of the search.
            epochs: of each.
            budget: of the search, which is told of each epoch.
            value: validation score of what was found.
            members: how many there are.
            show: tells which one begins.

        Raises:
            FailedWorkError: all diverge, and the search has no weights of them.
            LastTrainingError: one fails, as without memory.
        """
        finished: list[Trained] = []
        diverged: list[tuple[Trained, str]] = []
        failure = ""
        try:
            for member in range(members):
                if members > 1:
                    show(f"training network {member + 1} of {members}")
                one = self._train(found, epochs, budget, value, member)
                if (told := _divergence(one)) is None:
                    finished.append(one)
                else:
                    diverged.append((one, told))
        except FAILURES as error:
            failure, self._child = printable(reason_of(error), 200), None
        finally:  # an interrupt leaves those that are finished
            if finished:
                self._keep(ensemble_of(finished))
            for one, told in diverged[0 if finished or failure else 1 :]:
                warnings.warn(f"{told}: this network is left out.", stacklevel=2)
                self.lost += one.cost
        if failure:  # raised here, as what an error is raised from holds the memory of the training
            task = self.views.of(found.recipe).task
            raise LastTrainingError(f"On task '{task.id}' the last training failed ({failure})")
        if not finished:
            self._as_searched(*diverged[0])

    def train_briefly(self, found: SearchOutcome, plan: BudgetPlan, budget: ToldBudget, *, value: float) -> None:
        """Train on for a few seconds, with a learning rate that falls to zero, what there is once all is stopped.

        Where it did better on the validation part before, or as the search trained it, that is kept. Before the last
        training it learns from the train part alone, so that it is compared on examples that neither has learned from.
        Once the last training has begun, on the validation part, too, the network as the search trained it is the only
        one that has not learned from these examples: it is kept where it is better in spite of that.

        Args:
            found: of the search.
            plan: how the budget is divided.
            budget: of the search.
            value: validation score of what was found.

        Raises:
            FailedWorkError: that diverges, and the search has no weights of it.
        """
        begin, view = perf_counter(), self.views.of(found.recipe)
        recipe = replace(self.planner.recipe_of(found), epochs=1)
        child = self._child or chosen_child(view.task, self.views.space, found, recipe, self.seed)
        before = None if self._child is None else deepcopy(child)
        self._child, child.recipe = child, recipe
        pace = plan.pace or budget.spent.flops / max(budget.spent.seconds, 1.0)
        share = LAST_SECONDS * pace / self.planner.last_epoch(found)
        learned = view.task.train if before is None else view.learned
        part = evenly_spread(learned, max(recipe.batch_size, int(share * len(view.learned))))
        cost = fit_child(child.train(), part, seed=self.seed)
        cost = replace(cost, seconds=perf_counter() - begin)
        one = Trained(found, child, cost, view, value, held_out=before is None)
        if (told := _divergence(one)) is not None:
            return self._as_searched(one, told)
        others = [] if before is None else [replace(one, child=before)]
        if (searched := self._searched(found, recipe, value)) is not None:
            others.append(replace(searched, cost=cost))
        self._keep(max([one, *(each for each in others if _divergence(each) is None)], key=_validation_score))

    def keep_as_searched(self, found: SearchOutcome, failure: str, *, value: float) -> None:
        """Keep a network whose last training failed as the search trained it.

        Args:
            found: of the search.
            failure: what failed, as ``LastTrainingError`` tells it.
            value: validation score of what was found.

        Raises:
            FailedWorkError: the search has no weights of it.
        """
        searched = self._searched(found, replace(self.planner.recipe_of(found), epochs=1), value)
        if searched is None:
            raise FailedWorkError(f"{failure}; the search kept no weights: fix the cause, and do the same again.")
        self._keep(searched)

    def _train(self, found: SearchOutcome, epochs: int, budget: ToldBudget, value: float, member: int) -> Trained:
        """Train a member; where that is interrupted or fails, what was spent is lost."""
        begin, epoch, view, ended = perf_counter(), self.planner.last_epoch(found), self.views.of(found.recipe), 0
        recipe, seed = replace(self.planner.recipe_of(found), epochs=epochs), self.seed + member * SEEDS_APART
        begun = replace(found, weights=self.views.weights) if member else found
        self._child = chosen_child(view.task, self.views.space, begun, recipe, seed)

        def epoch_ended() -> None:
            nonlocal ended
            ended += 1
            budget.trained(float(epoch))

        try:
            cost = fit_child(self._child, view.learned, seed=seed, epoch_ended=epoch_ended)
        except (KeyboardInterrupt, *FAILURES):
            self.lost += Cost(flops=ended * epoch, seconds=perf_counter() - begin)
            raise
        return Trained(found, self._child, replace(cost, seconds=perf_counter() - begin), view, value)

    def _keep(self, one: Trained) -> None:
        """Add what was trained, averaged with the linear model, if there is one."""
        if (average := self.average) is not None:
            one.child.network = average.mean.joined.network(one.child.network, average.linear.child.network)
            cost = one.cost + average.linear.cost
            held_out = one.held_out and average.linear.held_out
            view, value = average.mean.joined.view, average.mean.value
            one = replace(one, view=view, cost=cost, value=value, held_out=held_out, average=average)
        self.trained.append(one)

    def _searched(self, found: SearchOutcome, recipe: Recipe, value: float) -> Trained | None:
        """A network as the search trained it, which cost nothing more; None where it kept no weights."""
        view, space = self.views.of(found.recipe), self.views.space
        child = chosen_child(view.task, space, found, recipe, self.seed)
        kept = found.weights is not self.views.weights and bool(space.supernet_weights(child.network))
        return Trained(found, child, Cost(), view, value, held_out=True) if kept else None

    def _as_searched(self, last: Trained, told: str) -> None:
        """Keep a network whose last training diverged as the search trained it, with a warning.

        Raises:
            FailedWorkError: the search has no weights of it, and there is no other network.
        """
        searched = self._searched(last.found, last.child.recipe, last.value)
        if searched is not None:
            warnings.warn(f"{told}: the network is as the search trained it.", stacklevel=3)
            self.lost += last.cost
            self._keep(searched)
        elif self.trained:
            warnings.warn(f"{told}: this network is left out.", stacklevel=3)
            self.lost += last.cost
        else:
            raise FailedWorkError(f"{told}; the search kept no weights: give another seed.")


def ensemble_of(members: Sequence[Trained]) -> Trained:
    """Networks of one architecture as a single one, with the cost of all."""
    first = members[0]
    if len(members) > 1:
        first.child.network = Ensemble([one.child.network for one in members])
    return replace(first, cost=sum((one.cost for one in members), Cost()))


def _validation_score(one: Trained) -> float:
    """How well a network does on the validation part; minus infinity where that is not a number."""
    val = validation_part(one.view.task)
    value = score(one.child.to(val.inputs.device), val)
    return -inf if isnan(value) else value


def _divergence(last: Trained) -> str | None:
    """How the last training of a network diverged; None where it did not."""
    try:
        check_finite(last.child.network)
    except ArithmeticError as error:
        rate = last.child.recipe.learning_rate
        return f"On task '{last.view.task.id}' the last {error}, with learning_rate {rate:g}"
    return None
