"""The division of minutes or FLOPs: by the pace of the machine before the search, and again once that is done."""

from __future__ import annotations

from math import ceil
from time import perf_counter

from lit_metanas.automl.budget_plan import BudgetPlan, most_that_fits
from lit_metanas.automl.known import Known
from lit_metanas.automl.options import AUTO_THREADS, PRECISION_OF_FLOPS
from lit_metanas.automl.search_setup import SearchSetup
from lit_metanas.estimators.input_variants import InputVariant
from lit_metanas.estimators.pace import Pace, faster_precision, measure_pace, threads_that_pay
from lit_metanas.inputs.shapes import SeriesShape, TokenShape
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.quantities import rounded
from lit_metanas.spaces import Architecture
from lit_metanas.training.precision import AUTO_PRECISION
from lit_metanas.training.workers import workers_now

# Seconds of a processor for export and report, for each step that a network writes, and for each that a recurrent one
# reads: the exported program has all steps, one behind the other.
WRITING, WRITING_A_STEP, READING_A_STEP = 1.5, 0.3, 0.1

RECURRENT = "gru"  # the label of recurrent operations


def divide(setup: SearchSetup) -> BudgetPlan:
    """Divide the minutes or FLOPs between the search and everything after it."""
    minutes, variants, precision = setup.job.options.minutes, setup.job.variants, setup.job.options.precision
    parts = (variants.usual.task.train, variants.usual.learned)
    search_epoch, last_epoch = (setup.epoch_flops_of(setup.timed[0], variants.usual, part) for part in parts)
    # The mean of several networks: after a tiny first one, nearly all would go to the search.
    epoch = setup.epoch_flops * len(parts[1]) / len(parts[0])
    if minutes is not None:
        return _divided_minutes(setup, minutes, epoch, search_epoch, last_epoch)
    training, more = None, 1.005  # so that rounded FLOPs are enough
    match _spendable(setup):
        case search, expected:
            training, enough = expected, search >= search_epoch
            least = f"[{ceil(more * search_epoch):.3g},{ceil(more * last_epoch):.3g}]"
        case both, *_:
            search = search_part(setup, both, epoch=epoch, trial=setup.trial_flops, single=last_epoch)
            expected, enough = both - search, search >= search_epoch and both >= 2 * last_epoch
            least = f"{2 * ceil(more * last_epoch):.3g}"
    if not enough:
        raise ValueError(f"auto: the FLOPs pay for no epoch of a network on these data: give {least} or more.")
    if precision == AUTO_PRECISION:
        precision = PRECISION_OF_FLOPS
    folds = setup.in_folds(search).folds
    return BudgetPlan(search, training, expected=expected, shares=setup.shares, precision=precision, folds=folds)


def _divided_minutes(
    setup: SearchSetup, minutes: float, epoch: float, search_epoch: int, last_epoch: int
) -> BudgetPlan:
    """Divide minutes by a measured pace.

    All epochs are in FLOPs: ``epoch`` is the mean of several networks, ``search_epoch`` and ``last_epoch`` are those of
    the first one, on the train part and on all but the test part.
    """
    job, usual, shares = setup.job, setup.job.variants.usual, setup.shares
    networks = (usual.task, usual.limited.space, setup.timed, setup.recipe)
    precision, moment_seconds, workers = job.options.precision, shares.moment_of(minutes) / 2, workers_now()
    if precision == AUTO_PRECISION:
        precision = faster_precision(*networks, seconds=moment_seconds)
    pace = measure_pace(*networks, seconds=moment_seconds, precision=precision, workers=workers)
    prepared_seconds = perf_counter() - job.began
    ending_seconds = _ending_seconds(setup, setup.timed[0], usual, pace)
    # All that one process trains in the seconds that are left, and the least that a search of one network takes of it.
    budget = pace.flops * (60 * minutes - prepared_seconds - ending_seconds)
    least = search_epoch + pace.flops * _around(setup, pace)
    part = search_part(setup, budget, epoch=epoch, trial=setup.trial_flops / workers, single=least)
    part = max(part, least)
    training = budget - part
    if training < last_epoch:
        # For a search and a training, with a margin.
        needed_seconds = prepared_seconds + ending_seconds + 2.2 * max(least, last_epoch) / pace.flops
        raise ValueError(
            f"auto: {minutes:g} min is too short for one network on these data and this machine: give "
            f"{ceil(needed_seconds / 6) / 10:.1f} minutes or more."
        )
    folded = setup.in_folds(search_flops(setup, pace, part / pace.flops, workers))
    search = max(search_flops(folded, pace, part / pace.flops, workers), float(search_epoch))
    job.options.say(
        f"this machine trains {workers * pace.flops:.3g} FLOPs a second ({precision}): {search:.3g} are to try "
        f"networks, about {training:.2g} to train the best of them."
    )
    return BudgetPlan(
        search,
        None,
        pace.flops,
        prepared_seconds,
        expected=training,
        shares=shares,
        precision=precision,
        folds=setup.in_folds(search).folds,  # chosen again by these FLOPs, as a call with `flops` does
    )


def _spendable(setup: SearchSetup) -> tuple[float, ...]:
    """The FLOPs of search and training, or of both together, of which the features of encoders are paid, too."""
    encoding, parts = setup.job.variants.encoding_cost.flops, setup.job.options.given_flops
    if len(parts) == 2 or not encoding:
        return parts
    if parts[0] <= encoding:
        raise ValueError(
            f"auto: the FLOPs do not pay for the features of the encoders, {encoding:.3g}: give more, a smaller "
            "encoder or, for images, a smaller 'shape'."
        )
    return (parts[0] - encoding,)


def search_part(setup: SearchSetup, budget: float, *, epoch: float, trial: float, single: float) -> float:
    """The search's part of a budget, in FLOPs, as are the costs of an epoch and of a candidate.

    ``single`` is returned if only one candidate is paid for.
    """
    shares, variants = setup.shares, setup.job.variants
    longest = max(shares.longest, setup.member_epochs * variants.usual.limited.members(setup.timed[0], shares.members))
    part = max(shares.search * budget, budget - longest * epoch)
    if shares.rungs(part, trial) == (1,):
        part = single
    if variants.usual.label not in variants.encoded:
        return part
    return min(part, max(single, shares.head_trials * trial))


def search_flops(setup: SearchSetup, pace: Pace, seconds: float, workers: int = 1) -> float:
    """The FLOPs of a search of so many seconds, with building and scoring of its networks, and reading of variants."""
    around = _around(setup, pace)

    def fits(flops: float) -> bool:
        numbers = setup.rungs(flops)
        shares = zip(numbers, setup.rung_shares(numbers), strict=True)
        taken = (ceil(one / workers) * (share * flops / one / pace.flops + around) for one, share in shares)
        # One further variant of the inputs comes in with each rung after the first.
        further = min(len(setup.job.variants.labels[1:]), len(numbers) - 1)
        return sum(taken) + further * setup.job.read_seconds <= seconds

    flops = most_that_fits(fits, workers * pace.flops * seconds)
    return float(f"{0.995 * flops:.3g}")  # rounded up, it could pay for a further network


def _around(setup: SearchSetup, pace: Pace) -> float:
    """Seconds that a candidate takes besides its training, to be built and scored."""
    return setup.folds * pace.building + len(setup.chosen_by) * pace.scoring


def threads_after_search(known: Known) -> int:
    """Torch's threads in the trainings after the search: what the options say, or of minutes one or all, as it pays."""
    job, plan, network, most = known.job, known.plan, known.found_network, workers_now()
    options = job.options
    if options.threads != AUTO_THREADS:
        return options.given_threads
    timed = "latency" in job.variants.limits.given or options.pareto == "latency"  # which is of one thread
    if options.minutes is None or plan.training is not None or most == 1 or timed:
        return plan.threads
    seconds = plan.shares.moment_of(options.minutes)
    networks = (network.variant.task, network.variant.limited.space, network.found.architecture, network.recipe)
    return threads_that_pay(*networks, seconds=seconds, precision=plan.precision, most=most)


def flops_after_search(known: Known, *, later: float = 0.0) -> float:
    """The FLOPs of everything after the search, by what is known now; ``later`` are seconds for other models.

    A plan that was settled before has them. Of minutes they are those of the seconds that are left, by a pace that is
    measured anew.
    """
    setup, plan, minutes = known.setup, known.plan, known.job.options.minutes
    if plan.training is not None:
        return plan.training
    if minutes is None:
        return rounded(sum(_spendable(setup)) - known.budget.spent.flops)
    network, workers, moment = known.found_network, workers_now(), plan.shares.moment_of(minutes)
    architecture, variant, label = network.found.architecture, network.variant, setup.job.variants.label_of
    own = architecture, variant.label
    before = [cost for one, recipe, cost in known.estimator.spent if (one, label(recipe)) == own]
    networks = (variant.task, variant.limited.space, [architecture], network.recipe)
    with torch_threads(plan.threads):
        alone = together = measure_pace(*networks, seconds=moment, precision=plan.precision)
    now = alone.flops
    if setup.member_epochs and workers > 1:  # the members of an ensemble, which are trained side by side
        together = measure_pace(*networks, seconds=moment, precision=plan.precision, workers=workers)
        together = together.averaged(before, around=_around(setup, together))
    if plan.threads == 1:  # as in the earlier trainings
        alone = alone.averaged(before, around=_around(setup, alone))
    ending = _ending_seconds(setup, architecture, variant, alone)
    # In a search that goes on, the clock began late: what was spent before the interrupt counts by its costs.
    spent = plan.prepared + known.budget.spent.seconds / workers + known.lost_cost.seconds
    left = 60 * minutes - max(perf_counter() - setup.job.began, spent) - ending - later
    # A machine that got slower would leave the network untrained.
    least = plan.shares.least_trained * plan.search / (workers * plan.pace) * now
    return rounded(max(least, _flops_of_seconds(known, left, alone.flops, together.flops, ending)))


def _flops_of_seconds(known: Known, seconds: float, alone: float, together: float, ending: float) -> float:
    """The FLOPs of a last training of so many seconds, of one network or an ensemble.

    ``alone`` are FLOPs a second of one network, ``together`` those of each member that is trained side by side with
    others. ``ending`` are seconds that each member but the first takes in addition.
    """
    network, workers, flops = known.found_network, workers_now(), 0.0
    for number in range(1, known.plan.shares.members + 1):
        pace, in_turn = together, ceil(number / workers)
        if number == 1:
            pace = alone
        own = pace * max(0.0, seconds - (number - 1) * ending) * number / in_turn
        affordable = known.members(network, own)
        if affordable > number:  # they would be divided among more, which take longer
            own = (1 - 1e-5) * known.least_flops(network, number + 1)
        if affordable >= number:
            flops = max(flops, own)
    return flops


def limited_flops(known: Known, flops: float) -> float:
    """The most that the last training may spend of the FLOPs left, if one number was given for search and training.

    A network far smaller than the planned ones would otherwise train for hours.
    """
    setup, plan = known.setup, known.plan
    if setup.job.options.minutes is not None or plan.training is not None or setup.points > 1:
        return flops
    planned = max(plan.shares.longest, plan.expected / setup.epoch_flops)
    return min(flops, plan.shares.most_trained * planned * known.last_epoch_flops(known.found_network))


def _ending_seconds(setup: SearchSetup, architecture: Architecture, variant: InputVariant, pace: Pace) -> float:
    """Seconds for everything but search and training: building, testing, and writing export and report."""
    task, seconds = variant.task, pace.building + pace.scoring * len(variant.task.test)
    if setup.job.folder is not None:
        writing = WRITING + WRITING_A_STEP * (task.goal.steps or 0)
        if isinstance(task.shape, SeriesShape | TokenShape) and RECURRENT in architecture.values():
            writing += READING_A_STEP * task.shape.steps
        seconds += writing
    return setup.points * seconds
