"""The plan of a budget: what search, comparison and training may spend, of minutes or FLOPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import ceil, inf
from time import perf_counter

from lit_metanas.automl.options import PRECISION_OF_FLOPS, AutoOptions
from lit_metanas.automl.pace import Pace, Rungs, faster_precision, measure_pace, search_flops
from lit_metanas.automl.views import View, Views, without_preprocessing
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.text import duration
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import RecipeFields, SearchOutcome
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import recipe_cost
from lit_metanas.training.precision import AUTO_PRECISION, FLOAT32
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.workers import workers_now


@dataclass(frozen=True)
class Shares:
    """How a budget is divided: change a share here, and nowhere else.

    The search gets its share, and whatever the last training no longer gains from (``longest``).
    """

    search: float = 0.4  # of the budget, for the search
    first_rung: float = 0.5  # of the search, for the first networks; the later rungs have equal parts of the rest
    longest: int = 200  # epochs of the last training of one network; the search gets what is left
    members: int = 5  # networks of an ensemble at most
    pair: int = 20  # epochs for each of two networks, which two cores train side by side; further ones need more
    head_epochs: int = 30  # of each network behind an encoder; the last training has no more
    head_trials: int = 64  # usual first trainings of such networks that a search of nothing else gets at most
    linear: float = 0.2  # of what the search leaves, for linear models at most
    longer: tuple[float, float] = (0.5, 0.8)  # of what is left, and then of the rest, for a network that they beat
    moment: float = 0.015  # of the minutes, to measure the pace
    shortest_moment: float = 0.2  # seconds
    longest_moment: float = 2.0  # seconds
    slow_start: float = 0.5  # of the minutes; if more is gone before the search, a sentence says so
    least_trained: float = 0.25  # of its planned seconds, which the last training gets even if the search was slow
    most_trained: int = 5  # times the planned epochs, which a far smaller network gets at most of FLOPs


SHARES = Shares()
"""The shares of every new plan."""

EPOCHS_OF_A_TRIAL, STEPS_OF_A_TRIAL = 3, 100
"""The usual first training of a candidate: so many epochs, and at least so many steps."""

LEAST_FIRST, MOST_FIRST, LEAST_OF_A_TRIAL = 4, 32, 0.1
"""The first networks: so many even if each has only that part of its usual first training, and so many at most."""

FIRST_NETWORKS = 1.8
"""Number and length of the first trainings grow alike: there are so many times the root of the trainings paid for.

That makes four to six networks of a minute, and some twenty of ten, for a few thousand photographs on two cores.
"""


Trainings = Sequence[tuple[Architecture, RecipeFields, Cost]]
"""Architectures, with the changes of their recipe and what their training cost."""


@dataclass(frozen=True)
class BudgetPlan:
    """How one budget is divided; it is written, so that a search that goes on keeps it."""

    search: float  # training FLOPs of the search
    training: float | None = None  # of everything after it; None before that is known
    pace: float = 0.0  # training FLOPs a second; 0 if it was not measured
    prepared: float = 0.0  # seconds before the search
    expected: float = 0.0  # training FLOPs of the training, about
    threads: int = 1  # torch's in the last training of a single network
    shares: Shares = field(default_factory=lambda: SHARES)
    precision: str = FLOAT32  # of the networks' trainings


@dataclass(frozen=True)
class Workload:
    """The networks that a search begins with, and what they cost."""

    views: Views
    networks: Sequence[Architecture]  # some that may be tried, the first one first
    recipe: Recipe
    share: float  # of the budget, for the search
    began: float  # the clock when the minutes began
    reading: float  # seconds to make a view
    writes: bool  # whether the result is written
    points: int = 1  # networks that are trained, tested and written after the search
    candidates: Sequence[Architecture] = ()  # those that the search begins with, if they are not ``networks``
    trials: float = 1  # candidates that share the usual training of one
    member_epochs: int = 0  # see ``Kind``
    shares: Shares = field(default_factory=lambda: SHARES)

    @cached_property
    def epoch(self) -> float:
        """Training FLOPs of an epoch of one of the networks, on average."""
        return self._mean_epoch(self.networks)

    @cached_property
    def trial(self) -> float:
        """Training FLOPs of one candidate."""
        steps = ceil(len(self.views.usual.task.train) / self.recipe.batch_size)
        epochs = max(EPOCHS_OF_A_TRIAL, STEPS_OF_A_TRIAL / steps) / self.trials
        return self._mean_epoch(self.candidates or self.networks) * epochs

    @property
    def scored(self) -> int:
        """Examples that each candidate is scored on."""
        return len(self.views.usual.task.val or ())

    def recipe_of(self, found: SearchOutcome) -> Recipe:
        """The recipe of what was found."""
        return self.recipe.replace(without_preprocessing(found.recipe))

    def epoch_of(self, architecture: Architecture, view: View, part: Sized) -> int:
        """Training FLOPs of an epoch on a part of the data."""
        return recipe_cost(self.views.space, architecture, view.task, part, self.recipe, epochs=1).flops

    def last_epoch(self, found: SearchOutcome) -> int:
        """Training FLOPs of an epoch of the last training."""
        view = self.views.of(found.recipe)
        return self.epoch_of(found.architecture, view, view.learned)

    def members(self, found: SearchOutcome, flops: float, *, linear: Mapping[str, float] | None = None) -> int:
        """How many networks of what was found make an ensemble.

        Args:
            found: by the search.
            flops: of all their trainings.
            linear: limited measures of a linear model that is averaged with them, if there is one.
        """
        if not self.member_epochs:
            return 1
        most = self.views.of(found.recipe).limited.members(found.architecture, self.shares.members, linear)
        return max((n for n in range(2, most + 1) if flops >= self._least(found, n) * (1 - 1e-6)), default=1)

    def useful(self, found: SearchOutcome) -> float:
        """The FLOPs of a last training beyond which it does not help: features of an encoder are soon learned."""
        if self.views.label_of(found.recipe) not in self.views.encoded:
            return inf
        return self.shares.members * self.shares.head_epochs * self.last_epoch(found)

    def rung_shares(self, numbers: Sequence[int]) -> list[float]:
        """The share of a search for each of its rungs of so many candidates; those of a front have equal parts."""
        first, later = self.shares.first_rung, len(numbers) - 1
        if self.points > 1 or not later:
            return [number / sum(numbers) for number in numbers]
        return [first, *[(1 - first) / later] * later]

    def last_flops(
        self, found: SearchOutcome, seconds: float, *, alone: float, together: float, workers: int, ending: float
    ) -> float:
        """The FLOPs of the last training that take so many seconds, of one network or an ensemble.

        Args:
            found: by the search.
            seconds: of the training.
            alone: FLOPs a second of one network that is trained alone.
            together: those of each of the members that are trained side by side.
            workers: how many members that are.
            ending: seconds that each member but the first takes in addition.
        """
        flops = list[float]()
        for number in range(1, self.shares.members + 1):
            pace, rounds = alone if number == 1 else together, ceil(number / workers)
            own = pace * max(0.0, seconds - (number - 1) * ending) * number / rounds
            affordable = self.members(found, own)
            if affordable > number:  # whose last round would take longer
                own = (1 - 1e-5) * self._least(found, number + 1)
            if affordable >= number:
                flops.append(own)
        return max(flops)

    def _least(self, found: SearchOutcome, members: int) -> float:
        """The least FLOPs of an ensemble of so many members."""
        epochs = self.member_epochs if members > 2 else min(self.shares.pair, self.member_epochs)
        return members * epochs * self.last_epoch(found)

    def searched(self, budget: float, *, epoch: float, trial: float, single: float) -> float:
        """The search's part of a budget, in FLOPs or seconds; ``single`` if it pays for no second candidate."""
        members = self.views.usual.limited.members(self.networks[0], self.shares.members)
        longest = max(self.shares.longest, members * self.member_epochs)
        found = searched_share(budget, epoch=epoch, trial=trial, share=self.share, longest=longest, single=single)
        if self.views.usual.label not in self.views.encoded:
            return found
        return min(found, max(single, self.shares.head_trials * trial))

    def ending(self, architecture: Architecture, view: View, pace: Pace) -> float:
        """Seconds for everything but search and training: building, testing and writing."""
        writing = self.writes * pace.writing_seconds(view.task, architecture)
        return self.points * (pace.building + pace.scoring * len(view.task.test) + writing)

    def moment(self, minutes: float) -> float:
        """Seconds for which networks are trained to measure a pace."""
        shares = self.shares
        return min(max(shares.moment * 60 * minutes, shares.shortest_moment), shares.longest_moment)

    def _mean_epoch(self, architectures: Sequence[Architecture]) -> float:
        usual = self.views.usual
        return sum(self.epoch_of(one, usual, usual.task.train) for one in architectures) / len(architectures)


def divide(work: Workload, options: AutoOptions, rungs: Rungs) -> BudgetPlan:
    """Divide the minutes or FLOPs between the search, whose candidates ``rungs`` counts, and the training.

    Raises:
        ValueError: they are too few for one network.
    """
    if options.minutes is None:
        precision = PRECISION_OF_FLOPS if options.precision == AUTO_PRECISION else options.precision
        return replace(_divided_flops(work, _spendable(work, options)), precision=precision)
    return _divided_minutes(work, options, options.minutes, rungs)


def rest(
    work: Workload,
    options: AutoOptions,
    plan: BudgetPlan,
    found: SearchOutcome,
    *,
    flops: float,
    seconds: float,
    trainings: Trainings,
    later: float = 0.0,
) -> float:
    """The FLOPs of everything after the search, which spent ``flops``.

    ``seconds`` include what was trained since; ``later`` ones are kept for other models.
    """
    if plan.training is not None:
        return plan.training
    if options.minutes is None:
        return rounded(sum(_spendable(work, options)) - flops)
    view, label = work.views.of(found.recipe), work.views.label_of
    before = [each for one, own, each in trainings if one == found.architecture and label(own) == view.label]
    recipe, moment, workers = work.recipe_of(found), work.moment(options.minutes), workers_now()
    measure = partial(measure_pace, view.task, view.limited.space, [found.architecture], recipe)
    with torch_threads(plan.threads):
        pace = measure(seconds=moment, precision=plan.precision)
    if plan.threads == 1:  # as in the earlier trainings
        pace = pace.averaged(before, scored=work.scored)
    gone = max(perf_counter() - work.began, plan.prepared + seconds)
    ending = work.ending(found.architecture, view, pace)
    left = 60 * options.minutes - gone - ending - later
    together = pace
    if work.member_epochs and workers > 1:
        together = measure(seconds=moment, precision=plan.precision, workers=workers)
        together, left = together.averaged(before, scored=work.scored), left - moment
    flops = work.last_flops(found, left, alone=pace.flops, together=together.flops, workers=workers, ending=ending)
    # A machine that got slower would leave the network untrained.
    least = plan.shares.least_trained * plan.search / (workers * plan.pace)
    return rounded(max(flops, least * pace.flops))


def limited(work: Workload, options: AutoOptions, plan: BudgetPlan, found: SearchOutcome, flops: float) -> float:
    """The most that the last training may spend of the FLOPs left, if one number was given for search and training.

    A network far smaller than the planned ones would otherwise train for hours.
    """
    if options.minutes is not None or plan.training is not None or work.points > 1:
        return flops
    planned = max(plan.shares.longest, plan.expected / work.epoch)
    return min(flops, plan.shares.most_trained * planned * work.last_epoch(found))


def _spendable(work: Workload, options: AutoOptions) -> tuple[float, ...]:
    """The FLOPs of search and training, or of both together, of which the features of encoders are paid, too.

    Raises:
        ValueError: they do not pay for the features.
    """
    encoding = work.views.encoding_cost.flops
    match options.parts:
        case (both,) if encoding:
            if both <= encoding:
                raise ValueError(
                    f"auto: the FLOPs do not pay for the features of the encoders, {encoding:.3g}: give more, a "
                    "smaller encoder or, for images, a smaller 'shape'."
                )
            return (both - encoding,)
    return options.parts


def _divided_flops(work: Workload, given: tuple[float, ...]) -> BudgetPlan:
    usual, network = work.views.usual, work.networks[0]
    first, last = (work.epoch_of(network, usual, part) for part in (usual.task.train, usual.learned))
    more = 1.005  # so that rounded FLOPs are enough
    match given:
        case search, training:
            plan = BudgetPlan(search, training, expected=training, shares=work.shares)
            enough, least = search >= first, f"[{ceil(more * first):.3g},{ceil(more * last):.3g}]"
        case both, *_:
            # The mean of several networks: after a tiny first one, nearly all would go to the search.
            epoch = work.epoch * len(usual.learned) / len(usual.task.train)
            search = work.searched(both, epoch=epoch, trial=work.trial, single=last)
            plan = BudgetPlan(search, None, expected=both - search, shares=work.shares)
            enough, least = search >= first and both >= 2 * last, f"{2 * ceil(more * last):.3g}"
    if not enough:
        raise ValueError(f"auto: the FLOPs pay for no epoch of a network on these data: give {least} or more.")
    return plan


def _divided_minutes(work: Workload, options: AutoOptions, minutes: float, rungs: Rungs) -> BudgetPlan:
    usual, network, task = work.views.usual, work.networks[0], work.views.usual.task
    gone = perf_counter() - work.began
    if gone > work.shares.slow_start * 60 * minutes:
        options.say(
            f"starting and reading the data took {duration(gone)} of {duration(60 * minutes)}, which leaves little for "
            "the network: more minutes would help."
        )
    precision, moment, workers = options.precision, work.moment(minutes), workers_now()
    if precision == AUTO_PRECISION:
        precision = faster_precision(task, usual.limited.space, work.networks, work.recipe, seconds=moment / 2)
    pace = measure_pace(
        task, usual.limited.space, work.networks, work.recipe, seconds=moment / 2, precision=precision, workers=workers
    )
    prepared, ending = perf_counter() - work.began, work.ending(network, usual, pace)
    left = 60 * minutes - prepared - ending
    epoch = work.epoch * len(usual.learned) / len(task.train) / pace.flops
    trial = work.trial / (workers * pace.flops)
    first, last = (work.epoch_of(network, usual, part) / pace.flops for part in (task.train, usual.learned))
    least = first + pace.building + pace.scoring * work.scored
    searching = max(work.searched(left, epoch=epoch, trial=trial, single=least), least)
    search = search_flops(
        searching,
        pace,
        trial=work.trial,
        scored=work.scored,
        rungs=rungs,
        shares=work.rung_shares,
        views=len(work.views.labels[1:]),
        reading=work.reading,
        workers=workers,
    )
    search = max(search, float(ceil(first * pace.flops)))
    if left - searching < last:
        needed = prepared + ending + 2.2 * max(least, last)
        raise ValueError(
            f"auto: {minutes:g} min is too short for one network on these data and this machine: give "
            f"{ceil(needed / 6) / 10:.1f} minutes or more."
        )
    training = pace.flops * (left - searching)
    options.say(
        f"this machine trains {workers * pace.flops:.3g} FLOPs a second ({precision}): {search:.3g} are to try "
        f"networks, about {training:.2g} to train the best of them."
    )
    return BudgetPlan(search, None, pace.flops, prepared, expected=training, shares=work.shares, precision=precision)


def rounded(flops: float) -> float:
    """To twelve digits, as a person can copy them."""
    return float(f"{flops:.12g}")


def searched_share(budget: float, *, epoch: float, trial: float, share: float, longest: float, single: float) -> float:
    """The search's part of a budget, in FLOPs or seconds.

    Args:
        budget: of search and training.
        epoch: cost of an epoch of the training.
        trial: cost of the training of a candidate.
        share: of the budget, as long as the training gains from more.
        longest: epochs beyond which the training gains no more.
        single: cost of a single candidate, which is compared with no other.
    """
    searched = max(share * budget, budget - longest * epoch)
    if rungs_of(searched, trial) == (1,):
        return single
    return searched


def rungs_of(flops: float, trial: float) -> tuple[int, ...]:
    """The number of candidates in each rung of a search: about half of the rung before, the last two at the end."""
    trials = max(flops, 0.0) / trial
    first = max(round(FIRST_NETWORKS * trials**0.5), min(LEAST_FIRST, int(trials / (2 * LEAST_OF_A_TRIAL))), 1)
    numbers = [min(first, MOST_FIRST)]
    while numbers[-1] > 2:
        numbers.append(max(2, 2 * round(numbers[-1] / 4)))  # even numbers keep two workers busy
    return tuple(numbers)
