"""Minutes as training FLOPs: how fast a machine trains networks of a space, and how a budget is divided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import fmean
from time import perf_counter, process_time

import torch

from lit_metanas.estimators.training_estimator import fresh_weights, validation_part
from lit_metanas.inputs.shapes import SeriesShape, TokenShape
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import Child, Recipe, fit_child, score

SEARCH_SHARE = 0.5
"""Of a budget; the rest is for the training of what was found."""

LONGEST_TRAINING = 200
"""Epochs of the training of a single network beyond which the search gets the rest."""

MOST_MEMBERS = 5
"""The most networks of an ensemble."""

EPOCHS_OF_A_TRIAL, STEPS_OF_A_TRIAL, USUAL_TRIALS = 3, 100, 14
"""How long each candidate is trained on average, at least, up to so many of them; beyond, both grow alike.

The steps are those of the shipped records: shorter trainings would tell less of a new task than these do.
"""

FIRST_RUNG, LATER_RUNGS = 6, 4
"""Candidates in each rung."""

FRONT_TRIALS = 4
"""Candidates of a search for a front for each of another search of the same FLOPs: the first trainings are shorter."""

MOST_TRIALS = 10_000
"""Candidates of a search at most, whatever its budget."""

MOST_SCORED = 100
"""Examples whose scoring is timed."""

WRITING, WRITING_A_STEP, READING_A_STEP = 1.5, 0.3, 0.1
"""Seconds of a processor for export and report; for each step that a network writes; and for each that a recurrent
network reads: the exported program has all of them, one behind the other."""

RECURRENT = "gru"
"""The label of operations that are recurrent."""


@dataclass(frozen=True)
class Pace:
    """How fast a machine is on a task.

    Attributes:
        flops: training FLOPs a second.
        building: seconds to build a network before its training.
        scoring: seconds to score one example.
        waiting: seconds that pass while the processor works for one: more than 1 where others work on it, too.
    """

    flops: float
    building: float
    scoring: float
    waiting: float = 1.0

    def averaged(self, trainings: Sequence[Cost], *, scored: int) -> Pace:
        """The mean of this moment's pace and that of earlier trainings, since other work on a machine comes and goes.

        Args:
            trainings: what they cost, building and scoring included.
            scored: how many examples each was scored on.
        """
        flops = sum(cost.flops for cost in trainings)
        beside = len(trainings) * (self.building + self.scoring * scored)
        seconds = sum(cost.seconds for cost in trainings) - beside
        if not flops or seconds <= 0:
            return self
        return replace(self, flops=2 / (1 / self.flops + seconds / flops))


@dataclass(frozen=True)
class BudgetPlan:
    """How a budget is divided.

    Attributes:
        search: training FLOPs that the search may spend.
        training: those of the training after it; None where they are what the search leaves.
        pace: training FLOPs a second that were measured for it; 0 where none were.
        prepared: seconds that were gone before the search.
        expected: training FLOPs that the training will take, about, before it is known.
    """

    search: float
    training: float | None = None
    pace: float = 0.0
    prepared: float = 0.0
    expected: float = 0.0


Rungs = Callable[[float, float], tuple[int, ...]]
"""FLOPs of a search, and of the training of a candidate, to how many candidates each rung has."""


def measure_pace(
    task: Task, space: SearchSpace, architectures: Sequence[Architecture], recipe: Recipe, *, seconds: float
) -> Pace:
    """Train some networks for a moment, as a search does, each for the same time.

    Args:
        task: whose train and val parts are used.
        space: where the architectures come from.
        architectures: of a search, which gives each of them the same FLOPs.
        recipe: how they are trained.
        seconds: how long all the trainings take, about.
    """
    val, rates, building, scoring = validation_part(task), list[float](), list[float](), list[float]()
    scored = evenly_spread(val, MOST_SCORED)
    began, worked = perf_counter(), process_time()
    for architecture in architectures:
        begin = perf_counter()
        with torch.random.fork_rng(devices=[]):
            child = Child(
                space=space,
                architecture=architecture,
                shape=task.shape,
                way=task.way,
                recipe=recipe,
                weights=fresh_weights(space, task.shape, 0),
                objective=task.objective,
            )
        building.append(perf_counter() - begin)
        rates.append(_training_pace(child, task.train, seconds / len(architectures)))
        begin = perf_counter()
        score(child.to(scored.inputs.device), scored)
        scoring.append((perf_counter() - begin) / len(scored))
    waiting = (perf_counter() - began) / max(process_time() - worked, 1e-9)
    return Pace(1 / fmean(1 / rate for rate in rates), fmean(building), fmean(scoring), max(1.0, waiting))


def _training_pace(child: Child, train: Split, seconds: float) -> float:
    """Training FLOPs a second; the first step, which takes longer, is not counted."""
    recipe, batches = child.recipe, 1
    while True:
        examples = batches * min(recipe.batch_size, len(train))
        child.recipe = replace(recipe, epochs=max(1, round(examples / len(train))))
        part = evenly_spread(train, examples)
        child.train()
        begin = perf_counter()
        cost = fit_child(child, part, seed=0)
        taken = perf_counter() - begin
        if taken >= seconds / 2:
            return cost.flops / taken
        batches *= 2


def rounded(flops: float) -> float:
    """To twelve digits, as a person can copy them."""
    return float(f"{flops:.12g}")


def writing_seconds(task: Task, architecture: Architecture, pace: Pace) -> float:
    """How long export and report of a network take, about."""
    shape = task.shape
    read = shape.steps if isinstance(shape, SeriesShape | TokenShape) and RECURRENT in architecture.values() else 0
    return pace.waiting * (WRITING + WRITING_A_STEP * (task.goal.steps or 0) + READING_A_STEP * read)


def evenly_spread(part: Split, most: int) -> Split:
    """At most so many examples of a part, spread evenly over it."""
    if len(part) <= most:
        return part
    places = torch.linspace(0, len(part) - 1, most, device=part.labels.device).round().long()
    return Split(part.inputs[places], part.labels[places])


def trial_epochs(examples: int, batch_size: int) -> float:
    """Epochs that a candidate is trained for, where there are few.

    Args:
        examples: to learn from.
        batch_size: examples a step.
    """
    return max(EPOCHS_OF_A_TRIAL, STEPS_OF_A_TRIAL / ceil(examples / batch_size))


def searched_share(
    budget: float,
    *,
    epoch: float,
    trial: float,
    share: float = SEARCH_SHARE,
    longest: float = LONGEST_TRAINING,
    single: float | None = None,
) -> float:
    """What the search gets of a budget, in the unit of all, seconds or FLOPs.

    Args:
        budget: of search and training.
        epoch: what an epoch of the training costs.
        trial: what the training of a candidate costs.
        share: of the budget, as long as the training gains from more.
        longest: epochs of the training, of all members of an ensemble together, beyond which it gains no more.
        single: what a single candidate gets, which is compared with no other; None is an epoch.
    """
    searched = max(share * budget, budget - longest * epoch)
    if searched >= 2 * trial:
        return searched
    return epoch if single is None else single


def search_flops(
    seconds: float,
    pace: Pace,
    *,
    trial: float,
    scored: int,
    rungs: Rungs | None = None,
    views: int = 0,
    reading: float = 0.0,
) -> float:
    """The FLOPs of a search that takes so many seconds, building and scoring of its networks included.

    Args:
        seconds: of the search.
        pace: of this machine.
        trial: FLOPs of the training of a candidate.
        scored: how many examples each network is scored on.
        rungs: how many candidates so many FLOPs are for; None is ``rungs_of``.
        views: other preprocessings of the data that come in, one with each rung behind the first.
        reading: seconds to make the data under one of these.
    """
    beside = pace.building + pace.scoring * scored
    divided = rungs or rungs_of
    low, high = 0.0, pace.flops * seconds
    for _ in range(50):
        middle = (low + high) / 2
        numbers = divided(middle, trial)
        taken = middle / pace.flops + sum(numbers) * beside + min(views, len(numbers) - 1) * reading
        low, high = (middle, high) if taken <= seconds else (low, middle)
    return float(f"{low:.3g}")


def front_rungs(flops: float, trial: float) -> tuple[int, ...]:
    """How many candidates each rung of a search for a front has: half of all begin, the others come beside the best.

    Args:
        flops: that the search may spend.
        trial: what the training of a candidate costs.
    """
    number = sum(rungs_of(flops, trial))
    first = (number + 1) // 2
    rest = number - first
    return (first, *(part for part in (rest - rest // 2, rest // 2) if part))


def shared_epochs(epochs: Sequence[float], flops: float) -> list[int]:
    """How many epochs each network of a front is trained for, at most ``LONGEST_TRAINING``.

    What each gets is in proportion to the root of what an epoch costs, so that small ones have more of them.

    Args:
        epochs: what an epoch of each costs, in FLOPs.
        flops: of all.

    Returns:
        One number or more for the first networks; those that can no longer be paid for are left out.
    """
    number = len(epochs)
    while number > 1 and sum(epochs[:number]) > flops:
        number -= 1
    own = epochs[:number]

    def divided(factor: float) -> list[int]:
        return [min(LONGEST_TRAINING, max(1, int(factor / cost**0.5))) for cost in own]

    low, high = 0.0, LONGEST_TRAINING * max(own) ** 0.5
    for _ in range(60):
        middle = (low + high) / 2
        spent = sum(number * cost for number, cost in zip(divided(middle), own, strict=True))
        low, high = (middle, high) if spent <= flops else (low, middle)
    return divided(high if sum(LONGEST_TRAINING * cost for cost in own) <= flops else low)


def rungs_of(flops: float, trial: float) -> tuple[int, ...]:
    """How many candidates each rung of a search has.

    Args:
        flops: that the search may spend.
        trial: what the training of a candidate costs.
    """
    trials = flops / trial
    if trials > USUAL_TRIALS:
        trials = (trials * USUAL_TRIALS) ** 0.5
    number = max(1, int(min(trials, MOST_TRIALS)))
    if number <= FIRST_RUNG:
        return (number,)
    later = ceil((number - FIRST_RUNG) / LATER_RUNGS)
    return (FIRST_RUNG, *[min(LATER_RUNGS, number - FIRST_RUNG)] * later)
