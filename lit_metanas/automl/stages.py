"""The stages of ``auto`` once the data are read: plan, search, compare, train and test."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import nan

from lit_metanas.automl.budget_plan import BudgetPlan, divide
from lit_metanas.automl.candidates import Beginning, Candidate, Job, begin, best_of
from lit_metanas.automl.last_training import (
    Known,
    LastTrainingError,
    Show,
    Trained,
    as_scored,
    calibrated,
    train_fully,
    train_linear_fully,
    trained_briefly,
    with_linear,
)
from lit_metanas.automl.linear_comparison import (
    compare,
    describe_both,
    ending,
    mean_of,
    train_linear,
)
from lit_metanas.automl.output import METHOD
from lit_metanas.comparisons.search_progress import SEARCHING, TESTING, ToldBudget, show_progress
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import result_of
from lit_metanas.estimators.estimator import FAILURES, BestSoFar, latency, reason_of
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.text import printable
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.records.record import RecipeFields, SearchOutcome, cost_of
from lit_metanas.searchers.halving import EvolvingHalving, Halving
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.ensembles import members_of


@dataclass(frozen=True)
class Goal:
    """What is searched, as the functions that differ: one network, or a front."""

    begin: Callable[[Job], Beginning]
    searcher: Callable[[Job, Beginning, BudgetPlan], Halving]
    train: Callable[[Job, Beginning, Known, SearchOutcome, Show], None]
    collect: Callable[[Known, Sequence[SearchResult], Job], SearchResult]


def run_stages(job: Job, goal: Goal) -> SearchResult:
    """Plan, search, compare, train and test.

    After Ctrl-C, SIGTERM or a failed last training, the best so far is tested instead.

    Raises:
        FailedWorkError: all trainings fail, or the last one, of a network whose weights the search did not keep.
        ValueError: no network is within the limits, or the budget is too small.
        KeyboardInterrupt: it came before there was any network.
    """
    options, begun = job.options, goal.begin(job)
    plan = (job.folder and job.folder.plan) or job.keep(divide(begun.work, options, begun.rungs))
    job = replace(job, precision=plan.precision)
    begun = replace(begun, work=replace(begun.work, shares=plan.shares))  # a search that goes on keeps its shares
    rungs = begun.rungs(plan.search, begun.work.trial)
    if sum(rungs) == 1:
        options.say("trains one network, without a search: the budget pays for no second one.")
    searcher = goal.searcher(job, begun, plan)
    coming = plan.training or plan.expected
    budget = ToldBudget(job.task, searcher, queries=None, flops=plan.search, after=coming)
    # A network of far fewer FLOPs, such as a linear one, would otherwise have thousands of epochs, and take longer.
    most = max(plan.shares.longest, int(plan.search / sum(rungs) / begun.work.epoch))
    scored = BestSoFar(job.estimator(begun.work.recipe).with_recipe({"epochs": most}), job.task.id)
    known = Known(plan, budget, scored)
    stopped, failure = False, ""
    with show_progress(budget, options.progress) as show:
        try:
            show(SEARCHING)
            # With several views the estimator knows which networks are above a limit.
            space = job.views.space if job.views.labels else job.views.usual.limited.within
            outcome = searcher.run(scored, space, budget, options.seed, problem=job.task.id)
            known.network = found_network(job, begun, outcome)
            goal.train(job, begun, known, outcome, show)
        except KeyboardInterrupt:
            stopped = True
        except LastTrainingError as error:
            stopped, failure = True, str(error)
            warnings.warn(f"{failure}: the best so far is taken.", stacklevel=2)
        if stopped:
            show(f"{TESTING} the best so far")
            take_best(job, begun, known, failure)
        show(TESTING)
        results = [tested(job, begun, known, one, stopped=stopped) for one in known.trained]
        return replace(goal.collect(known, results, job), failure=failure)


def searcher_of_one(job: Job, begun: Beginning, plan: BudgetPlan) -> Halving:
    """The searcher of a single network."""
    rungs = begun.rungs(plan.search, begun.work.trial)
    return EvolvingHalving(
        first=begun.first,
        candidates=rungs,
        rungs=begun.work.rung_shares(rungs),
        # A third of each rung, if it has four or more, are new: changes of those that were best before.
        survivors=[*(number - number // 3 * (number > 3) for number in rungs[1:]), 1],
        finish=False,
        train={name: list(values) for name, values in begun.train.items()},
        later=job.views.choice,
        examples=job.examples,
    )


def found_network(job: Job, begun: Beginning, outcome: SearchOutcome) -> Candidate:
    """The network that the search found; if it now takes longer than allowed, the best that does not.

    Raises:
        ValueError: all do.
    """

    def excess(architecture: Architecture, recipe: RecipeFields) -> str | None:
        return job.views.of(recipe).limited.check(architecture)

    reason = excess(outcome.architecture, outcome.recipe)
    if reason is not None:
        trials = sorted((one for one in outcome.record.trials if one.scored), key=lambda trial: -trial.value)
        within = (trial for trial in trials if excess(trial.architecture, trial.recipe) is None)
        trial = next(within, None)
        if trial is None:
            raise ValueError(f"auto: all that was searched is slower now ({reason}): raise max_latency, or try again.")
        weights = job.views.weights
        outcome = replace(outcome, architecture=trial.architecture, weights=weights, recipe=trial.recipe)
    return network_of(job, begun, outcome)


def network_of(job: Job, begun: Beginning, found: SearchOutcome) -> Candidate:
    """A network of the search as a candidate."""
    recipe = replace(begun.work.recipe_of(found), epochs=1)
    return Candidate(found, job.views.of(found.recipe), found.value, recipe)


def train_one(job: Job, begun: Beginning, known: Known, outcome: SearchOutcome, show: Show) -> None:
    """Compare the network with linear models, and train the best candidate on all but the test part."""
    best = train_linear(job, begun, known, show)
    chosen = known.network
    assert chosen is not None
    if best is not None:
        chosen = compare(job, begun, known, best, show)
    if chosen.features:
        failure = train_linear_fully(job, known, chosen)
        known.sentence += ending(failure, "the linear model was")
        if not failure:
            return
        chosen = known.network
        assert chosen is not None
    linear, left = known.averaged, (known.plan.training or 0) - known.apart.flops
    left = min(left, begun.work.useful(chosen.found))
    measures = None
    if linear is not None:
        left -= linear.cost.flops
        measures = linear.candidate.view.limited.measured(linear.candidate.found.architecture)
    members = begun.work.members(chosen.found, left, linear=measures)
    if members == 1:
        show("training the chosen network")
    epochs = max(1, int(left / members / begun.work.last_epoch(chosen.found) + 1e-6))
    train_fully(job, begun, known, chosen, epochs, members, show)


def take_best(job: Job, begun: Beginning, known: Known, failure: str) -> None:
    """After a stop, take the best candidate with the weights that it was scored with; a finished training is kept.

    Raises:
        FailedWorkError: the last training failed, and there are no weights.
        KeyboardInterrupt: nothing has been scored.
    """
    linear = max((one for one in known.linear if one.found.weights), key=lambda one: one.value, default=None)
    if linear is not None and linear.view.limited.check(linear.found.architecture) is not None:
        linear = None
    if known.network is None:
        if known.scored.outcome is None:
            raise KeyboardInterrupt("stopped before any network was trained; the same command goes on.")
        known.network = found_network(job, begun, known.scored.outcome)
    network = known.network
    if known.trained:
        if linear is not None and job.options.pareto and linear.value > max(o.candidate.value for o in known.trained):
            known.trained += filter(None, [as_scored(job, linear)])
            known.sentence = f"{describe_both(linear, network)}: it is on the front"
        return
    candidates = [network]
    if linear is not None:
        candidates += [linear, *mean_of(job, network, linear)]
    chosen = known.mean or best_of(candidates, job.examples)
    if linear is not None and known.mean is None:
        how = {linear: "the linear model was taken", network: "the network was taken"}.get(chosen, "both were taken")
        known.sentence = f"{describe_both(linear, network, chosen)}: {how}"
    if chosen is linear:
        known.trained += filter(None, [as_scored(job, linear)])
        return
    if chosen.linear is not None and known.averaged is None:
        known.averaged = as_scored(job, chosen.linear)
    one = as_scored(job, network)
    if one is None and not failure:
        try:
            one = trained_briefly(job, begun, known, network)
        except FAILURES as error:
            failure = printable(reason_of(error), 200)
    if one is not None:
        known.trained.append(with_linear(job, known, chosen, one))
    elif linear is not None:
        known.trained += filter(None, [as_scored(job, linear)])
        why = "the linear model was taken, as the network's training failed"
        known.sentence = f"{describe_both(linear, network)}: {why}"
    else:
        raise FailedWorkError(f"{failure}; the search kept no weights: fix the cause, and do the same again.")


def tested(job: Job, begun: Beginning, known: Known, one: Trained, *, stopped: bool) -> SearchResult:
    """Test a trained network once, and collect everything that is known of it."""
    candidate, view, plan = one.candidate, one.candidate.view, known.plan
    network = known.network
    assert network is not None
    linear, linear_view, size = None, "", None
    if candidate.linear is not None and candidate.joined is not None:
        linear, linear_view = candidate.linear.found.architecture, candidate.joined.linear.label
        size = candidate.joined.size(candidate.found.architecture, linear, members_of(one.child.network))
    learned = len(view.task.train)
    if not one.held_out:
        learned = len((view if candidate.joined is None else candidate.joined.networks).learned)
    space, untried = job.views.usual.limited.within, candidate.found.untried
    if candidate.features:
        untried = network.found.untried
    record = replace(network.found.record, method=METHOD, seed=job.options.seed, space=space.name)
    result = result_of(
        replace(view.task, objective=calibrated(job, one)),
        view.limited.space,
        replace(candidate.found, record=record, untried=untried),
        one.child.to(view.task.train.inputs.device),
        learned=learned,
        cost=known.budget.spent,
        training_cost=one.cost,
        meta_cost=cost_of(begun.records) + job.views.meta_cost,
        validated=candidate.value,
        precision=job.precision,
        size=size,
    )
    budget = None
    if not stopped and plan.training is not None:
        budget = (plan.search, plan.training)
    return replace(
        result,
        view=view.label,
        encoding_cost=job.views.encoding_cost,
        budget=budget,
        pace=plan.pace or nan,
        latency=_latency(result, plan.threads),
        linear_model=known.sentence,
        linear=linear,
        linear_view=linear_view,
        threads=plan.threads,
        stopped=stopped,
    )


def collect_one(
    known: Known, results: Sequence[SearchResult], job: Job, front: Iterable[SearchResult] = ()
) -> SearchResult:
    """The first of all that was trained and tested, with the cost of all trainings after the search."""
    first, apart = results[0], known.apart
    returned = [first, *front]
    unreturned = apart.flops + sum(one.training_cost.flops for one in results if one not in returned)
    if first.space == job.views.space.name:  # which goes on from the weights that it was compared with
        unreturned -= known.longer
    cost = sum((one.training_cost for one in results), apart)
    return replace(first, training_cost=cost, unreturned=0 if first.stopped else unreturned)


def _latency(result: SearchResult, threads: int) -> float:
    """Seconds of a trained network; NaN, with a warning, if it cannot be timed, so that it is not lost."""
    try:
        with torch_threads(threads):
            return latency(result.network, result.shape)
    except FAILURES as error:
        warnings.warn(f"The latency of the network is not known: {error}", stacklevel=2)
        return nan


ONE_NETWORK = Goal(begin, searcher_of_one, train_one, collect_one)
"""The search of a single network."""
