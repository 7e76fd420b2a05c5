"""The plan of a budget: all shares in one table, and what each part of a call may spend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lit_metanas.training.precision import FLOAT32


@dataclass(frozen=True)
class Shares:
    """How minutes or FLOPs are divided, in the order in which they are spent: change a number here, and nowhere else.

    *The minutes* are those that the user gives. *The budget* is for the search and everything after it: the minutes
    less what was spent before the search and what testing and writing take, or the FLOPs less those of encoders.

    A search that goes on keeps its shares. Six are used before its plan is read, and are always those of ``SHARES``:
    ``teacher``, ``reading``, ``least_reading``, ``encoding``, ``least_first`` and ``most_first``.
    """

    teacher: float = 0.6  # of the minutes or FLOPs, if a student is wanted; the rest is the student's
    reading: float = 0.12  # of the minutes; preparing what was read takes about half as long again
    least_reading: float = 0.04  # of the minutes, for reading in any case, where a machine is slow to start
    encoding: float = 0.5  # of the minutes, for the features of encoders at most
    moment: float = 0.015  # of the minutes, to measure the pace
    shortest_moment: float = 0.2  # seconds
    longest_moment: float = 2.0  # seconds
    # Of the budget, for the search, which also gets what the last training no longer gains from. On photographs 0.4
    # cost two to three points of test accuracy in a minute or two; 0.25 paid for only two networks, where 0.3 paid for
    # five.
    search: float = 0.3
    first_rung: float = 0.5  # of the search, for the first networks; the later rungs have equal parts of the rest
    # The usual first training of a candidate, called a trial: so many epochs, and at least so many steps.
    trial_epochs: int = 3
    trial_steps: int = 100
    # The first networks: so many even if each has only that part of a trial, and so many at most.
    least_first: int = 4
    least_of_a_trial: float = 0.1
    most_first: int = 32
    # Number and length of the first trainings grow alike: there are so many times the root of the trials paid for. That
    # makes four to six networks of a minute, and some twenty of ten, for a few thousand photographs on two cores.
    first_networks: float = 2.1
    front_points: int = 6  # networks of a front at most
    front_trials: int = 4  # candidates of a search for a front per candidate of another one: each has a shorter trial
    head_trials: int = 64  # usual first trainings that a search of networks behind encoders alone gets at most
    folds: int = 5  # networks that a candidate is scored with at most, each on other examples of few
    choosing: int = 300  # examples of all folds that are enough to choose by
    least_in_folds: int = 6  # first networks that a search in folds has at least
    trees: float = 0.05  # of the budget, for boosted trees at most
    linear: float = 0.2  # of what the search leaves of the budget, for linear models at most
    # Of what is left then, and of the rest, to train a network on that a linear model beats.
    longer: tuple[float, float] = (0.5, 0.8)
    longest: int = 200  # epochs of the last training of one network; the search gets what is left
    members: int = 5  # networks of an ensemble at most
    pair: int = 20  # epochs for each of two networks, which two cores train side by side; further ones need more
    head_epochs: int = 30  # of each network behind an encoder; the last training has no more
    least_trained: float = 0.25  # of the search's planned seconds, which the last training gets even if that was slow
    most_trained: int = 5  # times the planned epochs, which a far smaller network gets at most of FLOPs

    def moment_of(self, minutes: float) -> float:
        """Seconds for which networks are trained to measure a pace."""
        return min(max(self.moment * 60 * minutes, self.shortest_moment), self.longest_moment)

    def rungs(self, flops: float, trial: float) -> tuple[int, ...]:
        """The number of candidates in each rung of a search: about half of the rung before, the last two at the end.

        ``trial`` are the training FLOPs of a trial.
        """
        trials = max(flops, 0.0) / trial
        least = min(self.least_first, int(trials * self.first_rung / self.least_of_a_trial))
        numbers = [min(max(round(self.first_networks * trials**0.5), least, 1), self.most_first)]
        while numbers[-1] > 2:
            numbers.append(max(2, 2 * round(numbers[-1] / 4)))  # even numbers keep two workers busy
        return tuple(numbers)

    def front_rungs(self, flops: float, trial: float) -> tuple[int, ...]:
        """The number of candidates in each rung of a search for a front: half of all begin."""
        number = sum(self.rungs(flops, trial))
        left = number // 2
        return (number - left, *(part for part in (left - left // 2, left // 2) if part))


SHARES = Shares()  # the shares of every new plan


@dataclass(frozen=True)
class BudgetPlan:
    """What each part may spend; it is written, so that a search that goes on keeps it."""

    search: float  # training FLOPs of the search
    # Of everything after it, in training FLOPs. Two numbers of FLOPs say so from the start. Minutes, or one number of
    # FLOPs, say so only after the search. A search that goes on from there has it here: nothing is measured again.
    training: float | None = None
    pace: float = 0.0  # training FLOPs a second; 0 if it was not measured
    prepared: float = 0.0  # seconds before the search
    expected: float = 0.0  # a forecast of `training`
    threads: int = 1  # torch's after the search, but for ensembles
    shares: Shares = field(default_factory=lambda: SHARES)
    precision: str = FLOAT32  # of the networks' trainings
    folds: int = 1  # networks that each candidate is scored with; see ``TrainingEstimator``

    @property
    def after_search(self) -> float:
        """Training FLOPs of everything after the search, or their forecast as long as they are not settled."""
        return self.training or self.expected


def most_that_fits(fits: Callable[[float], bool], most: float) -> float:
    """The most that fits, up to ``most``, by bisection."""
    low, high = 0.0, most
    for _ in range(60):
        middle = (low + high) / 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
