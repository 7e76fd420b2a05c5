"""The linear models of one ``auto``: their trainings, and how they do beside the best network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from lit_metanas.automl.data_kinds import DataKind
from lit_metanas.automl.steps.budget_planner import Trainings
from lit_metanas.automl.steps.last_training import Average, LastTraining, Mean, Show, Trained
from lit_metanas.automl.steps.linear_models import LinearModel, LinearModels
from lit_metanas.automl.steps.time_plan import BudgetPlan
from lit_metanas.comparisons.search_progress import ToldBudget
from lit_metanas.estimators.estimator import FAILURES, reason_of
from lit_metanas.estimators.training_estimator import check_finite, validation_part
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import SearchOutcome
from lit_metanas.records.statistics import clearly_above
from lit_metanas.training.child import chosen_child, fit_child, recipe_cost


class LinearComparison:
    """Trains linear models and scores them beside what a search found.

    Args:
        models: that can be built; None where none are looked at.
        kind: of the examples.
        training: of what is taken in the end.

    Attributes:
        told: how the comparison ended, in words; empty where there was none.
        spent: on what was trained beside the chosen network.
    """

    def __init__(self, models: LinearModels | None, kind: DataKind, training: LastTraining) -> None:
        self.models = models
        self.kind = kind
        self.training = training
        self.planner = training.planner
        self.views = training.views
        self.told = ""
        self.spent = Cost()

    @property
    def within(self) -> Sequence[LinearModel]:
        """Those that were scored so far, and that are within the limits now."""
        scored = [] if self.models is None else self.models.scored
        return [one for one in scored if one.view.limited.check(one.architecture) is None]

    def best_so_far(self) -> LinearModel | None:
        """The best of these whose weights are known; None where there is none."""
        known = [one for one in self.within if one.weights is not None]
        return max(known, key=lambda one: one.value, default=None)

    def best(
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
        told = self.planner.wishes.minutes is None or plan.training is not None
        left, epoch = rest() if told else plan.expected, self.planner.last_epoch(found)
        number = self.models.affordable(left, beside=epoch)
        if number:
            show("training linear models")
        try:
            best = self.models.best(number)
        finally:  # after an interrupt, too
            self.charge(self.models.spent, budget)
        if told:
            wanted = self.planner.limited(left, found, plan)
        else:
            added = best if self.kind.averages_linear else None
            more = 0.0 if added is None else self.models.last_time(added)  # than a network takes
            wanted = self.models.spent.flops + rest() - more
        return best, left if wanted == left else self.models.nearest(wanted, beside=epoch, number=number)

    def train(
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
        child = chosen_child(
            own.task, own.limited.space, chosen, replace(model.recipe, inherit=True), self.training.seed
        )
        child.recipe = model.recipe
        return Trained(chosen, child, Cost(), own, model.value, held_out=True)

    def _outcome_of(self, model: LinearModel, found: SearchOutcome) -> SearchOutcome:
        """A linear model in the place of what was found, with the weights that it was scored with."""
        changes = {name: getattr(model.recipe, name) for name in ("learning_rate", "weight_decay")}
        recipe = {**changes, **self.views.changes(model.view)}
        return replace(found, architecture=model.architecture, weights=model.weights, recipe=recipe)

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

    def compared(self, model: LinearModel, value: float, mean: Mean | None = None) -> str:
        """How well a linear model does, the best network, and the mean of both, if there is one."""
        both = "" if mean is None else f", the mean of their scores {100 * mean.value:.1f} %"
        return f"{self.scored(model)}, the best network {100 * value:.1f} %{both}"

    def scored(self, model: LinearModel) -> str:
        """How well a linear model does."""
        own = f" ({model.view.label})" if model.view.label else ""
        return f"of {model.features}{own}, has validation accuracy {100 * model.value:.1f} %"

    def charge(self, cost: Cost, budget: ToldBudget) -> None:
        """Count what was trained beside the chosen network."""
        self.spent += replace(cost, queries=0)
        budget.trained(float(cost.flops), cost.seconds)
