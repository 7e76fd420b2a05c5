"""The stages of ``auto`` once the data are read: plan, search, compare, train and test."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import nan
from time import perf_counter

from lit_metanas.automl.candidates import Beginning, Candidate, Job, LinearTrainings, begin, best_of, last_cost
from lit_metanas.automl.last_training import (
    Known,
    LastTrainingError,
    Show,
    Trained,
    as_scored,
    train_fully,
    train_linear_fully,
    trained_briefly,
    with_linear,
)
from lit_metanas.automl.output import METHOD
from lit_metanas.automl.plan import Plan, divide, limited, rest
from lit_metanas.comparisons.search_progress import SEARCHING, TESTING, ToldBudget, show_progress
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import result_of
from lit_metanas.estimators.estimator import FAILURES, BestSoFar, latency, reason_of
from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.io.text import printable
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.records.record import PREPROCESSING, RecipeFields, SearchOutcome, cost_of
from lit_metanas.searchers.halving import EvolvingHalving, Halving
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import Child, Recipe, chosen_child, judge, members_of


@dataclass(frozen=True)
class Goal:
    """What is searched, as the functions that differ: one network, or a front."""

    begin: Callable[[Job], Beginning]
    searcher: Callable[[Job, Beginning, Plan], Halving]
    train: Callable[[Job, Beginning, Known, SearchOutcome, Show], None]
    collect: Callable[[Known, Sequence[SearchResult], Job], SearchResult]


def run(job: Job, goal: Goal) -> SearchResult:
    """Plan, search, compare, train and test.

    After Ctrl-C, SIGTERM or a failed last training, the best so far is tested instead.

    Raises:
        FailedWorkError: all trainings fail, or the last one, of a network whose weights the search did not keep.
        ValueError: no network is within the limits, or the budget is too small.
        KeyboardInterrupt: it came before there was any network.
    """
    options, begun = job.options, goal.begin(job)
    plan = job.folder.plan if job.folder else None
    plan = plan or job.keep(divide(begun.work, options, begun.rungs))
    rungs = begun.rungs(plan.search, begun.work.trial)
    if sum(rungs) == 1:
        reason = "the budget pays for no second one" if begun.work.share else begun.reason
        options.say(f"trains one network, without a search: {reason}.")
    searcher = goal.searcher(job, begun, plan)
    coming = plan.training or plan.expected
    budget = ToldBudget(job.task, searcher, queries=None, flops=plan.search, beside=coming)
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


def find_one(job: Job, begun: Beginning, plan: Plan) -> Halving:
    """The searcher of a single network."""
    rungs = begun.rungs(plan.search, begun.work.trial)
    return EvolvingHalving(
        incumbent=begun.usual,
        first=begun.portfolio,
        candidates=rungs,
        rungs=[number / sum(rungs) for number in rungs],
        finish=False,
        train={name: list(values) for name, values in begun.train.items()},
        later={PREPROCESSING: list(job.views.labels)} if job.views.labels else {},
        # A network that no records speak for is given up for any that scores better.
        examples=len(validation_part(job.task)) if begun.portfolio else None,
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


def train_linear(job: Job, begun: Beginning, known: Known, show: Show) -> Candidate | None:
    """Train linear models, as many as can be paid for, and set what everything after the search may spend.

    An epoch of the network, and the last training of the best linear model, must be left. Of minutes, the rest is known
    only after these trainings. So the expected rest decides how many there are, and the known rest is then changed to
    pay for just as many: given as FLOPs, it repeats the result.

    Returns:
        The best linear model, if there is any.
    """
    work, options, plan, network = begun.work, job.options, known.plan, known.network
    assert network is not None
    found, spent = network.found, known.budget.spent

    def left() -> float:
        seconds, trainings = (spent + known.apart).seconds, known.scored.spent
        return rest(work, options, plan, found, flops=spent.flops, seconds=seconds, trainings=trainings)

    best = None
    if job.linear is None:
        whole = limited(work, options, plan, found, left())
    else:
        fixed = options.minutes is None or plan.training is not None
        whole, epoch, models = left() if fixed else plan.expected, work.last_epoch(found), LinearTrainings(job, plan)
        number = models.affordable(whole, epoch=epoch)
        if number:
            show("training linear models")
        for model, cost in models.train(number):
            known.linear += [model] if model else []
            known.charge(cost)
        best = max(known.linear, key=lambda one: one.value, default=None)
        if fixed:
            wanted = limited(work, options, plan, found, whole)
        else:
            averages = best is not None and job.kind.averages_linear
            longer = models.last_time(best) if best and averages else 0.0  # than a network takes
            wanted = known.apart.flops + left() - longer
        if wanted != whole:
            whole = models.nearest(wanted, epoch=epoch, number=number)
    known.plan = job.keep(replace(plan, training=whole))
    known.budget.follow(whole)
    return best


def train_one(job: Job, begun: Beginning, known: Known, outcome: SearchOutcome, show: Show) -> None:
    """Compare the network with linear models, and train the best candidate on all but the test part."""
    best = train_linear(job, begun, known, show)
    chosen = known.network
    assert chosen is not None
    if best is not None:
        chosen = compare(job, begun, known, best, show)
    if chosen.features:
        failure = train_linear_fully(job, known, chosen)
        known.sentence += _ending(failure, "the linear model was")
        if not failure:
            return
        chosen = known.network
        assert chosen is not None
    linear, left = known.averaged, (known.plan.training or 0) - known.apart.flops
    measures = None
    if linear is not None:
        left -= linear.cost.flops
        measures = linear.candidate.view.limited.measured(linear.candidate.found.architecture)
    members = begun.work.members(chosen.found, left, linear=measures)
    if members == 1:
        show("training the chosen network")
    epochs = max(1, int(left / members / begun.work.last_epoch(chosen.found) + 1e-6))
    train_fully(job, begun, known, chosen, epochs, members, show)


def compare(job: Job, begun: Beginning, known: Known, best: Candidate, show: Show) -> Candidate:
    """The best of the network, a linear model, and the mean of both.

    The search may have trained the network too briefly to tell. So if the linear model leads, the network is first
    trained on, on the same examples, and once more if it still trails. A mean is trained in its linear part.
    """
    network, examples = known.network, len(validation_part(job.task))
    assert network is not None
    chosen = best_of([network, best, *mean_of(job, network, best)], examples)
    known.sentence = describe_both(best, network, chosen)
    if chosen.linear is not None:
        show("training the linear model")
        failure = train_linear_fully(job, known, best, chosen)
        known.sentence += _ending(failure, "both were")
        return network if failure else chosen
    slow = best.view.limited.check(best.found.architecture) if chosen is best else None
    if slow is not None:
        known.sentence += f": the linear model is slower now ({slow}), so the network was taken"
        return network
    for share in known.plan.shares.longer:
        left = (known.plan.training or 0) - known.apart.flops
        spare = min(share * left, left - begun.work.last_epoch(network.found) - last_cost(best).flops)
        epoch = begun.work.epoch_of(network.found.architecture, network.view, network.view.task.train)
        epochs = int(spare / epoch)
        if chosen is network or epochs < 1:
            break
        show("training the best network on, as a linear model is better so far")
        network = train_on(job, begun, known, network, epochs)
        chosen = best_of([network, best], examples)
    known.sentence = describe_both(best, network, chosen)
    if chosen is best:
        show("training the linear model")
    else:
        known.sentence += ": the network was taken"
    return chosen


def mean_of(job: Job, network: Candidate, linear: Candidate) -> list[Candidate]:
    """The mean of a network's and a linear model's scores; none if they cannot be averaged, or both exceed a limit.

    With limits of latency and size there is none, as these are no sums of two.
    """
    view, found, weights = network.view, network.found, linear.found.weights
    unknown = weights is None or found.weights is None or found.weights is job.views.weights
    if unknown or not job.kind.averages_linear or {"latency", "size"} & job.views.limits.given.keys():
        return []
    measured = linear.view.limited.measured(linear.found.architecture)
    if job.options.pareto or not view.limited.members(found.architecture, 1, measured):
        return []
    with suppress(*FAILURES):
        joined = job.views.joined(view, linear.view)
        if joined is None:
            return []
        val, parts = validation_part(joined.view.task), list[Child]()
        for own in (network, linear):
            space, seed = own.view.limited.space, job.options.seed
            parts.append(chosen_child(own.view.task, space, own.found, Recipe(), seed))
        both = joined.network(parts[0].network, parts[1].network).to(val.inputs.device).eval()
        value = judge(both, val, joined.view.task.goal)[1].value
        return [replace(network, view=joined.view, value=value, linear=linear, joined=joined)]
    return []


def train_on(job: Job, begun: Beginning, known: Known, network: Candidate, epochs: int) -> Candidate:
    """Train the best network on, on the examples that it has learned from; if that fails, it stays as it was.

    An interrupt leaves no worse weights, while the comparison goes on with the last ones.
    """
    begin, found = perf_counter(), network.found
    estimator = job.estimator(begun.work.recipe).with_recipe({**found.recipe, "epochs": epochs})
    cost = estimator.cost(found.architecture, 1.0)
    with suppress(*FAILURES):
        longer = estimator(found.architecture, fidelity=1.0, start=found.weights)
        cost = longer.cost
        network = replace(network, found=replace(found, weights=longer.weights))
        if longer.value >= network.value:
            network = known.network = replace(network, value=longer.value)
    known.charge(replace(cost, seconds=perf_counter() - begin))
    known.longer += cost.flops
    return network


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
    chosen = known.mean or best_of(candidates, len(validation_part(job.task)))
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
        known.trained.append(with_linear(known, chosen, one))
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
    if view.task.val is not None and not one.held_out:
        learned += len(view.task.val)
    space, untried = job.views.usual.limited.within, candidate.found.untried
    if candidate.features:
        untried = network.found.untried
    record = replace(network.found.record, method=METHOD, seed=job.options.seed, space=space.name)
    result = result_of(
        view.task,
        view.limited.space,
        replace(candidate.found, record=record, untried=untried),
        one.child.to(view.task.train.inputs.device),
        learned=learned,
        cost=known.budget.spent,
        training_cost=one.cost,
        meta_cost=cost_of(begun.known) + job.views.meta_cost,
        validated=candidate.value,
        size=size,
    )
    budget = None
    if not stopped and plan.training is not None:
        budget = (plan.search, plan.training)
    return replace(
        result,
        view=view.label,
        budget=budget,
        pace=plan.pace or nan,
        latency=_latency(job, one),
        latency_batch=job.views.limits.latency_batch,
        linear_model=known.sentence,
        linear=linear,
        linear_view=linear_view,
        threads=job.options.threads,
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


def describe_both(linear: Candidate, network: Candidate, chosen: Candidate | None = None) -> str:
    """The scores of a linear model, of the network, and of the mean of both if it was chosen."""
    text = f"{linear.describe()}, the best network {100 * network.value:.1f} %"
    if chosen is not None and chosen.linear is not None:
        text += f", the mean of their scores {100 * chosen.value:.1f} %"
    return text


def _ending(failure: str, taken: str) -> str:
    """How a comparison ended, if a linear model was to be trained for it."""
    if failure:
        return f": its last training failed ({failure}), so the network was taken"
    return f": {taken} taken"


def _latency(job: Job, one: Trained) -> float:
    """Seconds of a trained network; NaN, with a warning, if it cannot be timed, so that it is not lost."""
    try:
        return latency(one.child.network, one.candidate.view.task.shape, batch=job.views.limits.latency_batch)
    except FAILURES as error:
        warnings.warn(f"The latency of the network is not known: {error}", stacklevel=2)
        return nan


BEST = Goal(begin, find_one, train_one, collect_one)
"""The search of a single network."""
