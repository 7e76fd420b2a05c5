"""The stages of ``auto`` once the data are read: plan, search, compare, train and test."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import nan
from time import perf_counter
from typing import Any

from lit_metanas.automl.budget_division import divide, threads_after_search
from lit_metanas.automl.front import train_front
from lit_metanas.automl.job import Job
from lit_metanas.automl.known import Known, Trained, best_of, network_of
from lit_metanas.automl.last_training import (
    LastTrainingError,
    as_scored,
    calibrated,
    train_fully,
    train_linear_fully,
    with_linear,
)
from lit_metanas.automl.linear_models import compare, describe_both, mean_of, train_linear_and_settle
from lit_metanas.automl.output import METHOD
from lit_metanas.automl.search_setup import SearchSetup, set_up_search
from lit_metanas.comparisons.search_progress import SEARCHING, TESTING, ReportedBudget, show_progress
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import result_of
from lit_metanas.estimators.candidate import Candidate
from lit_metanas.estimators.estimator import FAILURES, BestSoFar, latency
from lit_metanas.estimators.folds import folds_of
from lit_metanas.io.allocator import torch_threads
from lit_metanas.kinds.rows.boosted_trees import describe_trees, judge_trees, trees_flops
from lit_metanas.records.record import Cost, FailedWorkError, SearchOutcome, cost_of
from lit_metanas.searchers.halving import EvolvingHalving, FrontHalving, Halving
from lit_metanas.training.ensembles import members_of


def run_stages(job: Job) -> SearchResult:
    """Plan, search, compare, train and test.

    After Ctrl-C, SIGTERM or a failed last training, the best so far is tested instead.
    """
    known, searcher = plan_budget(set_up_search(job))
    with show_progress(known.budget, job.options.progress):
        try:
            run_search(known, searcher)
            score_trees(known)
            known.plan = replace(known.plan, threads=threads_after_search(known))
            train_linear_and_settle(known)
            if job.options.pareto is None:
                train_one(known)
            else:
                train_front(known)
        except KeyboardInterrupt:
            known.stopped = True
        except LastTrainingError as error:
            known.stopped, known.failure = True, str(error)
            warnings.warn(f"{known.failure}: the best so far is taken.", stacklevel=2)
        if known.stopped:
            known.budget.start_part(f"{TESTING} the best so far")
            take_best(known)
        known.budget.start_part(TESTING)
        return collect(known)


def plan_budget(setup: SearchSetup) -> tuple[Known, Halving]:
    """Divide the budget, unless the output has a plan already; what is known then, and the searcher."""
    job = setup.job
    made = (job.folder and job.folder.plan) or divide(setup)
    job.keep(made)
    setup = replace(setup, shares=made.shares, folds=made.folds)  # a search that goes on keeps them
    numbers = setup.rungs(made.search)
    if sum(numbers) == 1:
        job.options.say("trains one network, without a search: the budget pays for no second one.")
    if setup.folds > 1:
        job.options.say(f"scores each candidate in {setup.folds} folds, as there are few examples to choose by.")
    # By the shares: the same for FLOPs that repeat minutes. Two networks are trained after most searches.
    ahead = setup.folds * made.search * (1 / setup.shares.search - 1) / 2
    searcher = searcher_of(setup, numbers, ahead)
    budget = ReportedBudget(job.task, searcher, queries=None, flops=made.search, after=made.after_search)
    # A network of far fewer FLOPs, such as a linear one, would otherwise have thousands of epochs, and take longer.
    most = max(made.shares.longest, int(made.search / sum(numbers) / (setup.folds * setup.epoch_flops)))
    estimator = job.estimator(job.variants, setup.recipe, made.folds, made.precision).with_recipe({"epochs": most})
    return Known(setup, made, budget, BestSoFar(estimator, job.task.id)), searcher


def searcher_of(setup: SearchSetup, numbers: Sequence[int], ahead: float) -> Halving:
    """The searcher of a single network or of a front, with candidates for each rung; ``ahead``: of a last training."""
    variants, shares = setup.job.variants, setup.rung_shares(numbers)
    if setup.points > 1:
        return FrontHalving(
            measure=setup.job.options.pareto or "",
            candidates=numbers,
            rungs=shares,
            points=setup.points,
            allowance=setup.examples**-0.5,  # two standard errors, at most
            train=setup.searched_fields,
            later=variants.choice,
            first=setup.first[: numbers[0]],
        )
    judged: Mapping[str, Any] = setup.job.kind.halving
    if variants.encoded:  # heads behind an encoder have a hundred times the epochs of a network, and no more to learn
        judged = {}
    return EvolvingHalving(
        first=setup.first,
        candidates=numbers,
        rungs=shares,
        # A third of each rung, if it has four or more, are new: changes of those that were best before.
        survivors=[*(number - number // 3 * (number > 3) for number in numbers[1:]), 1],
        finish=False,
        train={name: list(values) for name, values in setup.searched_fields.items()},
        later=variants.choice,
        examples=setup.examples,
        ahead=ahead,
        **judged,
    )


def run_search(known: Known, searcher: Halving) -> None:
    """Search a network, or a front of them."""
    job = known.job
    known.budget.start_part(SEARCHING)
    # With several variants the estimator knows which networks are above a limit.
    space = job.variants.space if job.variants.labels else job.variants.usual.limited.within
    # The searcher charges `known.budget`, which is shared: `known.budget.spent` is then what the search has cost.
    outcome = searcher.run(known.estimator, space, known.budget, job.options.seed, problem=job.task.id)
    known.network = network_in_time(known.setup, outcome)
    known.front = [network_of(known.setup, one) for one in outcome.front]


def score_trees(known: Known) -> None:
    """Score boosted trees, a rival, on the validation examples of rows, if they cost little."""
    task, plan, begin = known.job.task, known.plan, perf_counter()
    if plan.folds * trees_flops(task) > plan.shares.trees * (plan.search + plan.after_search):
        return
    known.budget.start_part("scoring boosted trees")
    with suppress(*FAILURES):
        folds = [replace(task, train=one.learned, val=one.val) for one in folds_of(task, plan.folds)]
        known.trees = judge_trees(folds, known.job.options.seed)
    known.count_lost(Cost(seconds=perf_counter() - begin), show=True)


def network_in_time(setup: SearchSetup, outcome: SearchOutcome) -> Candidate:
    """The network that the search found; if it now takes longer than allowed, the best that does not."""
    network = network_of(setup, outcome)
    if (reason := network.too_slow) is None:
        return network
    for trial in sorted((one for one in outcome.record.trials if one.scored), key=lambda one: -one.value):
        # The outcome has the weights of its own network alone.
        weights, recipe = setup.job.variants.weights, trial.recipe
        other = network_of(setup, replace(outcome, architecture=trial.architecture, weights=weights, recipe=recipe))
        if other.too_slow is None:
            return other
    raise ValueError(f"auto: all that was searched is slower now ({reason}): raise max_latency, or try again.")


def train_one(known: Known) -> None:
    """Compare the network with the best linear model, and train the best candidate on all but the test part."""
    chosen = known.found_network
    if (linear := known.best_linear) is not None:
        chosen = compare(known, linear)
    network, model = chosen.network or chosen, chosen.linear or chosen
    if model.is_linear:
        trained, failure = train_linear_fully(known, model)
        if trained is None:
            known.sentence += f": its last training failed ({failure}), so the network was taken"
            network = known.found_network
        elif chosen is model:
            known.sentence += ": the linear model was taken"
            known.trained.append(trained)
            return
        else:
            known.sentence += ": both were taken"
            known.averaged = replace(trained, candidate=chosen)
    left, measures = min(known.left, known.useful(network)), None
    if known.averaged is not None:
        left -= known.averaged.cost.flops
        measures = model.measured
    members = known.members(network, left, measures)
    if members == 1:
        known.budget.start_part("training the chosen network")
    # A result reports rounded FLOPs: given as such, they pay for as many epochs.
    epochs = max(1, int(left / members / known.last_epoch_flops(network) + 1e-6))
    train_fully(known, network, epochs, members)


def take_best(known: Known) -> None:
    """After a stop, take the best candidate with the weights that it was scored with; a finished training is kept."""
    job = known.job
    if known.network is None:
        if known.estimator.outcome is None:
            raise KeyboardInterrupt("stopped before any network was trained; the same command goes on.")
        known.network = network_in_time(known.setup, known.estimator.outcome)
    network = known.network
    linear = max((one for one in known.linear_models if one.found.weights), key=lambda one: one.value, default=None)
    if known.trained:
        if linear is not None and job.options.pareto and linear.value > max(o.candidate.value for o in known.trained):
            known.trained += filter(None, [as_scored(job, linear)])
            known.sentence = f"{describe_both(linear, network)}: it is on the front"
        return
    candidates = [network] * (as_scored(job, network) is not None)
    if linear is not None:
        candidates += [linear, *mean_of(known.setup, network, linear)]
    if not candidates:
        if known.failure:
            raise FailedWorkError(f"{known.failure}; the search kept no weights: fix the cause, and do the same again.")
        raise KeyboardInterrupt("stopped, and this space keeps no weights of a search; the same command goes on.")
    chosen = network
    if known.averaged is None:  # otherwise a mean was chosen before, and its linear part is trained already
        chosen = best_of(candidates, known.setup.examples)
        if linear is not None:
            taken = {linear: "the linear model was", network: "the network was"}.get(chosen, "both were")
            known.sentence = f"{describe_both(linear, network, chosen)}: {taken} taken"
    scored = as_scored(job, chosen)
    if scored is not None:
        known.trained.append(with_linear(known, scored))


def tested(known: Known, one: Trained) -> SearchResult:
    """Test a trained network once, and collect everything that is known of it."""
    job, plan, network = known.job, known.plan, known.found_network
    candidate, variant, learned = one.candidate, one.candidate.variant, one.candidate.network or one.candidate
    linear, linear_view, size = None, "", None
    if candidate.linear is not None:
        linear, linear_view = candidate.linear.found.architecture, candidate.linear.variant.label
        networks = members_of(one.child.network)
        size = learned.variant.size(candidate.found.architecture, networks) + candidate.linear.variant.size(linear)
    space = job.variants.usual.limited.within
    record = replace(network.found.record, method=METHOD, seed=job.options.seed, space=space.name)
    result = result_of(
        replace(variant.task, objective=calibrated(job, one)),
        variant.limited.space,
        replace(candidate.found, record=record, untried=network.found.untried),
        one.child.to(variant.task.train.inputs.device),
        learned=len(variant.task.train if one.held_out else learned.variant.learned),
        cost=known.budget.spent,
        training_cost=one.cost,
        meta_cost=cost_of(known.setup.records) + job.variants.meta_cost,
        validated=candidate.value,
        precision=plan.precision,
        size=size,
    )
    budget = None
    if not known.stopped and plan.training is not None:
        budget = (plan.search, plan.training)
    return replace(
        result,
        view=variant.label,
        encoding_cost=job.variants.encoding_cost,
        budget=budget,
        pace=plan.pace or nan,
        latency=_latency(result, plan.threads),
        linear_model=known.sentence,
        rival=describe_trees(known.trees, candidate.value),
        linear=linear,
        linear_view=linear_view,
        threads=plan.threads,
        stopped=known.stopped,
    )


def collect(known: Known) -> SearchResult:
    """Test all that was trained; the best of it, with a front if one was searched, and the cost of all trainings."""
    ranked, traded = [tested(known, one) for one in known.trained], known.job.options.pareto
    front = list[SearchResult]()
    if traded:
        ranked.sort(key=lambda one: one.val_score, reverse=True)
        # Of each size the best; a network and a linear model may be of one size.
        by_size = {getattr(one, traded): one for one in reversed(ranked)}
        front = [by_size[size] for size in sorted(by_size)]
    first, returned = ranked[0], [ranked[0], *front]
    unreturned = known.lost_cost.flops + sum(one.training_cost.flops for one in ranked if one not in returned)
    if first.space == known.job.variants.space.name:  # which goes on from the weights that it was compared with
        unreturned -= known.trained_on_flops
    return replace(
        first,
        training_cost=sum((one.training_cost for one in ranked), known.lost_cost),
        unreturned=unreturned * (not known.stopped),
        front=tuple(front),
        traded=traded or "",
        failure=known.failure,
    )


def _latency(result: SearchResult, threads: int) -> float:
    """Seconds of a trained network; NaN, with a warning, if it cannot be timed, so that it is not lost."""
    try:
        with torch_threads(threads):
            return latency(result.network, result.shape)
    except FAILURES as error:
        warnings.warn(f"The latency of the network is not known: {error}", stacklevel=2)
        return nan
