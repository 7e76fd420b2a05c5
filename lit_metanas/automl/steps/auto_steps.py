"""The steps of ``auto`` for one task: a budget of minutes or FLOPs, a search, a training, and the test."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from math import nan
from time import perf_counter

from lit_metanas.automl.steps.beginning import beginning_of
from lit_metanas.automl.steps.budget_planner import BudgetPlanner, Trainings
from lit_metanas.automl.steps.last_training import Average, LastTraining, LastTrainingError, Show, Trained
from lit_metanas.automl.steps.limits import Wishes
from lit_metanas.automl.steps.linear_comparison import LinearComparison
from lit_metanas.automl.steps.linear_models import LinearModels
from lit_metanas.automl.steps.output_folder import METHOD, OutputFolder, kept_in
from lit_metanas.automl.steps.time_plan import LONGEST_TRAINING, BudgetPlan, rungs_of
from lit_metanas.automl.steps.views import ViewEstimator, Views
from lit_metanas.comparisons.search_progress import SEARCHING, TESTING, ToldBudget, show_progress
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import result_of
from lit_metanas.estimators.estimator import FAILURES, BestSoFar, Estimator, latency, reason_of
from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.io.text import printable
from lit_metanas.kinds.kind import Kind
from lit_metanas.records.budget import Cost, FailedWorkError
from lit_metanas.records.record import PREPROCESSING, RecipeFields, SearchOutcome, cost_of
from lit_metanas.searchers.halving import EvolvingHalving, Halving
from lit_metanas.spaces.any_input import LinearSpace
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.training.child import members_of


class AutoSteps:
    """A search for one task, the training of what it found, and the test.

    Args:
        views: the data, under all preprocessings to choose from.
        kind: of the examples.
        wishes: budget, seed, threads.
        folder: keeps trainings and the budget's division, so that an interrupted search goes on; None keeps nothing.
        began: the clock when the minutes began.
        reading: seconds that it took to make the usual view.
        linear: what linear models can be built, one of which is taken where it is better, or averaged with networks;
            None looks at none.

    Raises:
        ValueError: no network is within the limits, there is no validation part to choose by, or a network cannot be
            timed with so many inputs at once.
    """

    def __init__(
        self,
        views: Views,
        kind: Kind,
        wishes: Wishes,
        folder: OutputFolder | None,
        *,
        began: float,
        reading: float = 0.0,
        linear: SearchSpace | None = None,
    ) -> None:
        self.views = views
        self.kind = kind
        self.linear_models: LinearModels | None = None
        if linear is not None:
            self.linear_models = LinearModels(views.in_space(linear), self.kind, wishes.seed, folder)
        self.task = views.usual.task
        validation_part(self.task)  # else each training would fail by itself
        self.limited = views.usual.limited
        self.space = self.limited.within
        self.wishes = wishes
        self.folder = folder
        self.train = kind.recipes(self.task.goal)
        self.beginning = beginning_of(views, self.kind, wishes)
        self.began = began
        self.reading = reading
        self._found: SearchOutcome | None = None
        self._value = nan  # its validation score

    @cached_property
    def planner(self) -> BudgetPlanner:
        """What divides the budget."""
        # The mean of linear scores is linear, too: an ensemble of linear models would be about one of them.
        member_epochs = 0 if isinstance(self.views.space, LinearSpace) else self.kind.member_epochs
        return self._planner(self.beginning.share, member_epochs=member_epochs)

    @cached_property
    def training(self) -> LastTraining:
        """What trains what was found."""
        return LastTraining(self.views, self.planner, self.wishes.seed)

    @cached_property
    def comparison(self) -> LinearComparison:
        """What compares linear models with what was found."""
        return LinearComparison(self.linear_models, self.kind, self.training, self._train_on)

    def result(self) -> SearchResult:
        """Search, train, test; after Ctrl-C, or where the last training fails, the best so far.

        Raises:
            FailedWorkError: all trainings of the search fail, or the last one, of a network whose weights the search
                did not keep.
            ValueError: the budget is too small.
            KeyboardInterrupt: it came before there was any network.
        """
        plan = self.planner.plan(self.rungs)
        self._tell_single(plan)
        searcher = self._searcher(plan)
        budget = ToldBudget(self.task, searcher, queries=None, flops=plan.search, beside=plan.training or plan.expected)
        best = BestSoFar(self._estimator().with_recipe({"epochs": self._most_epochs(plan)}), self.task.id)
        stopped, failure = False, ""
        with show_progress(budget, self.wishes.progress) as show:
            try:
                show(SEARCHING)
                # Of several views the estimator knows which networks are above a limit.
                space = self.views.space if self.views.labels else self.space
                outcome = searcher.run(best, space, budget, self.wishes.seed, problem=self.task.id)
                plan = self._train_all(outcome, plan, budget, best.spent, show)
            except KeyboardInterrupt:
                stopped = True
            except LastTrainingError as error:
                stopped, failure = True, str(error)
                warnings.warn(f"{failure}: the best so far is taken.", stacklevel=2)
            if stopped:
                show(f"{TESTING} the best so far")
                self._stop(best, plan, budget, failure)
            show(TESTING)
            told = [self._told(one, budget.spent, plan, stopped) for one in self.training.trained]
            return replace(self._result(told), failure=failure)

    def _tell_single(self, plan: BudgetPlan) -> None:
        """Say that there is no search, and why, where a single network is trained."""
        if sum(self.rungs(plan.search, self.planner.trial)) == 1:
            why = "the budget pays for no second one" if self.planner.share else self.beginning.reason
            self.wishes.say(f"trains one network, without a search: {why}.")

    def _stop(self, so_far: BestSoFar, plan: BudgetPlan, budget: ToldBudget, failure: str) -> None:
        """Take what is best once all is stopped; what has been trained in full is kept.

        A linear model has the weights that it was compared with, as its last training may take long. Of a front it is
        added where no network that was trained is as good.

        Args:
            so_far: what the search has scored.
            plan: how the budget is divided.
            budget: of the search.
            failure: of the last training, after which no other is tried; empty after Ctrl-C.

        Raises:
            FailedWorkError: it failed, and there is nothing else.
            KeyboardInterrupt: there is nothing yet.
        """
        comparison, found, trained = self.comparison, self._found, self.training.trained
        linear = comparison.best_so_far()
        if found is None:
            found = self._choose(self._within(_of(so_far)))
        if trained:
            if linear is not None and self.planner.points > 1 and linear.value > max(one.value for one in trained):
                trained.append(comparison.as_compared(linear, found))
                comparison.sentence = f"{comparison.describe_both(linear, self._value)}: it is on the front"
            return
        if linear is not None and self.training.average is None:
            mean = comparison.mean(linear, found, self._value)
            compared = comparison.describe_both(linear, self._value, mean)
            if mean is not None:
                self.training.average = Average(comparison.as_compared(linear, found), mean)
                comparison.sentence = f"{compared}: both were taken"
            elif linear.value > self._value:
                trained.append(comparison.as_compared(linear, found))
                comparison.sentence = f"{compared}: the linear model was taken"
                return
        if not failure:
            try:
                return self.training.train_briefly(found, plan, budget, value=self._value)
            except FAILURES as error:
                failure = printable(reason_of(error), 200)
        try:
            self.training.keep_as_searched(found, failure, value=self._value)
        except FailedWorkError:
            if linear is None:
                raise
            trained.append(comparison.as_compared(linear, found))
            compared = comparison.describe_both(linear, self._value)
            comparison.sentence = f"{compared}: the linear model was taken, as the network's training failed"

    def _choose(self, found: SearchOutcome, value: float | None = None) -> SearchOutcome:
        """Remember what is to be trained, with its validation score; None is that of the search."""
        self._value = found.value if value is None else value
        self._found = found
        return found

    def rungs(self, flops: float, trial: float) -> tuple[int, ...]:
        """How many candidates each rung of the search has; a single network has one rung, with all preprocessings."""
        if not self.beginning.prepares:
            return rungs_of(flops, trial)
        return (max(1, min(len(self.beginning.portfolio), int(flops / trial))),)

    def _most_epochs(self, plan: BudgetPlan) -> int:
        """Epochs of a candidate at most: those beyond which it gains no more, or what a network has on average.

        One of far fewer FLOPs, such as a linear one, would have thousands for the same FLOPs, and take far longer.
        """
        trial = plan.search / sum(self.rungs(plan.search, self.planner.trial))
        return max(LONGEST_TRAINING, int(trial / self.planner.epoch))

    def _searcher(self, plan: BudgetPlan) -> Halving:
        """Who searches."""
        rungs = self.rungs(plan.search, self.planner.trial)
        return EvolvingHalving(
            incumbent=self.beginning.usual,
            first=self.beginning.portfolio,
            candidates=rungs,
            rungs=[number / sum(rungs) for number in rungs],
            finish=False,
            train={name: list(values) for name, values in self.train.items()},
            later={PREPROCESSING: list(self.views.labels)} if self.views.labels else {},
            # A network that no records speak for is given up for any that scores better.
            examples=len(validation_part(self.task)) if self.beginning.portfolio else None,
        )

    def _train_all(
        self, outcome: SearchOutcome, plan: BudgetPlan, budget: ToldBudget, spent: Trainings, show: Show
    ) -> BudgetPlan:
        """Train what was found.

        Args:
            outcome: of the search.
            plan: how the budget was divided.
            budget: of the search.
            spent: what the trainings in the search cost.
            show: tells what begins.

        Returns:
            The plan with what the training could spend.
        """
        found = self._choose(self._within(outcome))
        best, left = self.comparison.train_several(found, plan, budget, spent, show)
        plan = self.planner.keep(replace(plan, training=left))
        budget.follow(left)
        if best is not None:
            found = self.comparison.compare(best, found, left, budget, show)
        if not self.training.trained:
            left -= (self.comparison.spent + self.training.linear_cost).flops
            members = self.planner.members(found, left, linear=self.training.linear_measures)
            epoch = self.planner.last_epoch(found)
            if members == 1:
                show("training the chosen network")
            epochs = max(1, int(left / members / epoch + 1e-6))
            self.training.train(found, epochs, budget, value=self._value, members=members, show=show)
        return plan

    def _train_on(
        self, found: SearchOutcome, value: float, epochs: int, budget: ToldBudget
    ) -> tuple[SearchOutcome, float]:
        """Train the best network on, on the examples that it has learned from; where that fails it is as it was.

        Args:
            found: of the search.
            value: its validation score.
            epochs: how much longer.
            budget: of the search.

        Returns:
            What was found, with what it has learned, and its best validation score.
        """
        begin, estimator = perf_counter(), self._estimator().with_recipe({**found.recipe, "epochs": epochs})
        cost = estimator.cost(found.architecture, 1.0)
        with suppress(*FAILURES):
            longer = estimator(found.architecture, fidelity=1.0, start=found.weights)
            cost, found = longer.cost, replace(found, weights=longer.weights)
            if longer.value >= value:
                value = longer.value
                self._choose(found, value)  # an interrupt is to leave no worse weights
        self.comparison.charge(replace(cost, seconds=perf_counter() - begin), budget)
        self.comparison.trained_on += cost.flops
        return found, value

    def _told(self, trained: Trained, cost: Cost, plan: BudgetPlan, stopped: bool) -> SearchResult:
        """Test a trained network, and tell all that is known of it."""
        found, view, average = trained.found, trained.view, trained.average
        linear, size = None, None
        if average is not None:
            linear = average.linear.found.architecture
            size = average.mean.joined.size(found.architecture, linear, members_of(trained.child.network))
        parts = [part for part in (view.task.train, None if trained.held_out else view.task.val) if part is not None]
        searched = replace(found.record, method=METHOD, seed=self.wishes.seed, space=self.space.name)
        result = result_of(
            view.task,
            view.limited.space,
            replace(found, record=searched),
            trained.child.to(view.task.train.inputs.device),
            learned=sum(map(len, parts)),
            cost=cost,
            training_cost=trained.cost,
            meta_cost=cost_of(self.beginning.known) + self.views.meta_cost,
            validated=trained.value,
            size=size,
        )
        return replace(
            result,
            view=view.label,
            budget=None if stopped or plan.training is None else (plan.search, plan.training),
            pace=plan.pace or nan,
            latency=self._latency(trained),
            latency_batch=self.views.limits.latency_batch,
            linear_model=self.comparison.sentence,
            linear=linear,
            linear_view="" if average is None else average.mean.joined.linear.label,
            threads=self.wishes.threads,
            stopped=stopped,
        )

    def _latency(self, trained: Trained) -> float:
        """Seconds of a trained network; NaN, with a warning, where it cannot be timed, as it is not to be lost."""
        batch = self.views.limits.latency_batch
        try:
            return latency(trained.child.network, trained.view.task.shape, batch=batch)
        except FAILURES as error:
            warnings.warn(f"The latency of the network is not known: {error}", stacklevel=2)
            return nan

    def _result(self, told: Sequence[SearchResult], returned: Sequence[SearchResult] = ()) -> SearchResult:
        """The first of all that was trained and tested, with the cost of all trainings after the search.

        Args:
            told: all, the one that is returned first.
            returned: those of its front, this one among them; empty where there is none.
        """
        first, beside = told[0], self.comparison.spent + self.training.lost
        network = first.space == self.views.space.name  # which goes on from what it was compared with
        unreturned = sum(one.training_cost.flops for one in told if one is not first and one not in returned)
        unreturned += beside.flops - network * self.comparison.trained_on
        cost = sum((one.training_cost for one in told), beside)
        return replace(first, training_cost=cost, unreturned=0 if first.stopped else unreturned)

    def _planner(
        self,
        share: float,
        *,
        points: int = 1,
        candidates: Sequence[Architecture] = (),
        trials: float = 1,
        member_epochs: int = 0,
    ) -> BudgetPlanner:
        """What divides the budget; see ``BudgetPlanner``."""
        return BudgetPlanner(
            self.views,
            self.wishes,
            self.folder,
            networks=self.beginning.networks,
            recipe=self.beginning.recipe,
            share=share,
            began=self.began,
            reading=self.reading,
            points=points,
            candidates=candidates,
            trials=trials,
            member_epochs=member_epochs,
        )

    def _estimator(self) -> Estimator:
        return kept_in(self.folder, ViewEstimator(self.views, self.wishes.seed, self.beginning.recipe))

    def _within(self, found: SearchOutcome) -> SearchOutcome:
        """What was found; where it now takes longer than allowed, the best that does not.

        Raises:
            ValueError: all do.
        """
        reason = self._excess(found.architecture, found.recipe)
        if reason is None:
            return found
        for trial in sorted(found.record.trials, key=lambda trial: -trial.value):
            if trial.scored and self._excess(trial.architecture, trial.recipe) is None:
                begun = self.views.weights
                return replace(found, architecture=trial.architecture, weights=begun, recipe=trial.recipe)
        raise ValueError(f"auto: all that was searched is slower now ({reason}): raise max_latency, or try again.")

    def _excess(self, architecture: Architecture, recipe: RecipeFields) -> str | None:
        """Why an architecture is now above a limit under its preprocessing; None where it is not."""
        return self.views.of(recipe).limited.check(architecture)


def _of(best: BestSoFar) -> SearchOutcome:
    """What was best before a stop.

    Raises:
        KeyboardInterrupt: there is nothing yet.
    """
    if best.outcome is None:
        raise KeyboardInterrupt("stopped before any network was trained; the same command goes on.")
    return best.outcome
