"""The linear models of one ``auto`` beside the best network: trained, compared with it, and taken or averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from lit_metanas.automl.steps.budget_planner import Trainings
from lit_metanas.automl.steps.last_training import Average, LastTraining, Mean, Show, Trained
from lit_metanas.automl.steps.linear_models import LinearModel, LinearModels
from lit_metanas.automl.steps.time_plan import BudgetPlan
from lit_metanas.comparisons.search_progress import ToldBudget
from lit_metanas.estimators.estimator import FAILURES, reason_of
from lit_metanas.estimators.training_estimator import check_finite, validation_part
from lit_metanas.kinds.kind import Kind
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import SearchOutcome
from lit_metanas.records.statistics import clearly_above
from lit_metanas.training.child import chosen_child, fit_child, recipe_cost

CHECK_SHARES = (0.5, 0.8)
"""Of what is left, to train a network for longer than a linear model was better than; then of the rest, where that is
not enough."""

TrainOn = Callable[[SearchOutcome, float, int, ToldBudget], tuple[SearchOutcome, float]]
"""Trains what was found, of a validation score, for some epochs more: both as they are then."""


class LinearComparison:
    """Compares linear models with what a search found.

    Args:
        models: what trains linear models; None looks at none.
        kind: of the examples.
        training: what trains what is taken in the end.
        train_on: see ``TrainOn``.

    Attributes:
        sentence: how the comparison ended; empty where there was none.
        spent: on linear models that were compared or failed, and on the network where it was trained on to be
            compared; last trainings that succeed have costs of their own.
        trained_on: FLOPs of these, of the network.
    """

    def __init__(self, models: LinearModels | None, kind: Kind, training: LastTraining, train_on: TrainOn) -> None:
        self.models = models
        self.kind = kind
        self.training = training
        self.planner = training.planner
        self.views = training.views
        self.train_on = train_on
        self.sentence = ""
        self.spent = Cost()
        self.trained_on = 0

    def within_limits(self) -> list[LinearModel]:
        """The linear models scored so far that are within the limits now, as they are timed anew.

        Raises:
            ValueError: one cannot be timed with so many inputs at once.
        """
        scored = [] if self.models is None else self.models.scored
        return [one for one in scored if one.view.limited.check(one.architecture) is None]

    def best_so_far(self) -> LinearModel | None:
        """The best linear model so far whose weights are known; None where there is none, or it is above a limit.

        Raises:
            ValueError: it cannot be timed with so many inputs at once.
        """
        scored = [] if self.models is None else [one for one in self.models.scored if one.weights is not None]
        best = max(scored, key=lambda one: one.value, default=None)
        return best if best is not None and best.view.limited.check(best.architecture) is None else None

    def train_several(
        self, found: SearchOutcome, plan: BudgetPlan, budget: ToldBudget, trainings: Trainings, show: Show
    ) -> tuple[LinearModel | None, float]:
        """Train linear models, as many as can be paid for beside what must be left.

        That is the last training of one of them, and an epoch of the chosen network. Of minutes, what is left is known
        once their seconds are gone. What was expected decides how many there are, and what is left is then made to pay
        for just as many, so that it repeats the result where it is told.

        Args:
            found: of the search.
            plan: how the budget was divided.
            budget: of the search.
            trainings: those of the search.
            show: tells what begins.

        Returns:
            The best, if there is any, and what all trainings after the search may spend, these included.
        """

        def rest() -> float:
            flops, seconds = budget.spent.flops, (budget.spent + self.spent).seconds
            return self.planner.rest(found, plan, flops=flops, seconds=seconds, trainings=trainings)

        if self.models is None:
            return None, self.planner.limited(rest(), found, plan)
        known = self.planner.wishes.minutes is None or plan.training is not None
        left, epoch = rest() if known else plan.expected, self.planner.last_epoch(found)
        number = self.models.affordable(left, beside=epoch)
        if number:
            show("training linear models")
        try:
            best = self.models.best(number)
        finally:  # after an interrupt, too
            self.charge(self.models.spent, budget)
        if known:
            wanted = self.planner.limited(left, found, plan)
        else:
            added = best if self.kind.averages_linear else None
            more = 0.0 if added is None else self.models.last_time(added)  # than a network takes
            wanted = self.models.spent.flops + rest() - more
        return best, left if wanted == left else self.models.nearest(wanted, beside=epoch, number=number)

    def compare(
        self, best: LinearModel, found: SearchOutcome, whole: float, budget: ToldBudget, show: Show
    ) -> SearchOutcome:
        """Take the best linear model where it is better than what was found, by the validation part.

        Where the mean of both scores can be had, that is taken, unless one of the two leads it by a standard error.

        The search may have trained a network too briefly to tell. So where a linear model is better, the network is
        first trained on, on the same examples, for a part of what is left, and once more where that does not help.
        The linear model's own last training is left, with an epoch of the network, which is taken where that one fails,
        or where the linear model takes longer now than it may.

        Args:
            best: of the linear models that were compared.
            found: of the search.
            whole: what all trainings after the search may spend.
            budget: of the search.
            show: tells what begins.

        Returns:
            What was found, with what it has learned. Where a linear model is taken it is among the trained networks.
        """
        view, value = self.views.of(found.recipe), found.value
        if (mean := self.mean(best, found, value)) is not None:
            show("training the linear model")
            self.sentence = compared = self.describe_both(best, value, mean)
            failure = self.train_fully(best, found, budget, mean)
            taken = f"its last training failed ({failure}), so the network was" if failure else "both were"
            self.sentence = f"{compared}: {taken} taken"
            return found
        slow = best.view.limited.check(best.architecture) if best.value > value else None
        for share in CHECK_SHARES if slow is None else ():
            left = whole - self.spent.flops
            spare = min(share * left, left - self.planner.last_epoch(found) - self.cost(best).flops)
            epochs = int(spare / self.planner.epoch_of(found.architecture, view, view.task.train))
            if best.value <= value or epochs < 1:
                break
            show("training the best network on, as a linear model is better so far")
            found, value = self.train_on(found, value, epochs, budget)
        compared = self.describe_both(best, value)
        if slow is not None:
            compared += f": the linear model is slower now ({slow}), so the network was taken"
        elif best.value > value:
            show("training the linear model")
            failure = self.train_fully(best, found, budget)
            taken = f"its last training failed ({failure}), so the network was" if failure else "the linear model was"
            compared += f": {taken} taken"
        else:
            compared += ": the network was taken"
        self.sentence = compared
        return found

    def train_fully(
        self, model: LinearModel, found: SearchOutcome, budget: ToldBudget, mean: Mean | None = None
    ) -> str | None:
        """Train a linear model on all but the test part.

        Args:
            model: the linear model.
            found: of the search.
            budget: of the search.
            mean: of its scores and those of networks, where it is to be averaged with them.

        Returns:
            Why that failed; None where it is now among the trained networks, or will be averaged with them.
        """
        begin, own, cost, seed = perf_counter(), model.view, self.cost(model), self.training.seed
        chosen = replace(self._outcome_of(model, found), weights=None)
        try:
            child = chosen_child(own.task, own.limited.space, chosen, model.recipe, seed)
            cost = fit_child(child, own.learned, seed=seed)
            check_finite(child.network)
        except FAILURES as error:
            self.charge(replace(cost, seconds=perf_counter() - begin), budget)
            return reason_of(error)
        budget.trained(float(cost.flops))
        trained = Trained(chosen, child, replace(cost, seconds=perf_counter() - begin), own, model.value)
        if mean is None:
            self.training.trained.append(trained)
        else:
            self.training.average = Average(trained, mean)
        return None

    def as_compared(self, model: LinearModel, found: SearchOutcome) -> Trained:
        """A linear model with the weights that it was scored with; what that cost is counted already."""
        own, chosen = model.view, self._outcome_of(model, found)
        recipe = replace(model.recipe, inherit=True)
        child = chosen_child(own.task, own.limited.space, chosen, recipe, self.training.seed)
        child.recipe = model.recipe
        return Trained(chosen, child, Cost(), own, model.value, held_out=True)

    def mean(self, model: LinearModel, found: SearchOutcome, value: float) -> Mean | None:
        """The mean of a linear model and what was found; None on a front, where there is none, or one clearly leads it.

        Args:
            model: the linear model.
            found: of the search.
            value: its validation score.
        """
        averages = self.kind.averages_linear and self.planner.points == 1
        mean = self.training.mean_with(model, found) if averages else None
        examples = len(validation_part(self.views.usual.task))
        return None if mean is None or clearly_above(max(model.value, value), mean.value, examples) else mean

    def cost(self, model: LinearModel) -> Cost:
        """Of the training of a linear model on all but the test part."""
        view = model.view
        return recipe_cost(view.limited.space, model.architecture, view.task, view.learned, model.recipe)

    def describe_both(self, model: LinearModel, value: float, mean: Mean | None = None) -> str:
        """How well a linear model does, the best network, and the mean of both, if there is one."""
        both = "" if mean is None else f", the mean of their scores {100 * mean.value:.1f} %"
        return f"{self.describe(model)}, the best network {100 * value:.1f} %{both}"

    def describe(self, model: LinearModel) -> str:
        """How well a linear model does."""
        own = f" ({model.view.label})" if model.view.label else ""
        return f"of {model.features}{own}, has validation accuracy {100 * model.value:.1f} %"

    def charge(self, cost: Cost, budget: ToldBudget) -> None:
        """Count what was trained beside the chosen network."""
        self.spent += replace(cost, queries=0)
        budget.trained(float(cost.flops), cost.seconds)

    def _outcome_of(self, model: LinearModel, found: SearchOutcome) -> SearchOutcome:
        """A linear model in the place of what was found, with the weights that it was scored with."""
        changes = {name: getattr(model.recipe, name) for name in ("learning_rate", "weight_decay")}
        recipe = {**changes, **self.views.changes(model.view)}
        return replace(found, architecture=model.architecture, weights=model.weights, recipe=recipe)
