"""How fast a machine trains and scores networks on a task, measured by training some for a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from statistics import fmean
from time import perf_counter

from lit_metanas.estimators.folds import validation_part
from lit_metanas.estimators.training_estimator import first_weights
from lit_metanas.io.allocator import torch_threads
from lit_metanas.records.record import Cost, SearchOutcome, SearchRecord
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import Child, chosen_child, fit_child, score
from lit_metanas.training.precision import FLOAT32, by_timing
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.workers import StepEnded, submit

MOST_SCORED = 100  # examples whose scoring is timed

# How many times as fast several threads must be: below that, measurements of a moment differ by chance.
CLEARLY_FASTER = 1.2

# The networks that are trained to compare precisions, and the steps of each training.
PRECISION_NETWORKS, PRECISION_STEPS = 2, 4


@dataclass(frozen=True)
class Pace:
    """How fast a machine is on a task."""

    flops: float  # training FLOPs a second
    building: float  # seconds to build a network
    scoring: float  # seconds to score an example

    def averaged(self, trainings: Sequence[Cost], *, around: float) -> Pace:
        """The mean of this pace and that of earlier trainings, since other work on a machine comes and goes.

        ``around`` are seconds of each that were spent on building and scoring.
        """
        flops = sum(cost.flops for cost in trainings)
        seconds = sum(cost.seconds for cost in trainings) - len(trainings) * around
        if not flops or seconds <= 0:
            return self
        return replace(self, flops=2 / (1 / self.flops + seconds / flops))


def measure_pace(
    task: Task,
    space: SearchSpace,
    architectures: Sequence[Architecture],
    recipe: Recipe,
    *,
    seconds: float,
    workers: int = 1,
    precision: str = FLOAT32,
) -> Pace:
    """Train some networks on the train part for a moment, each for the same share of the seconds, and score them.

    With several workers, all do that at once, and the pace is the mean of one: they share memory and heat.
    """
    work = partial(_measured, task, space, architectures, recipe, seconds, precision)
    if workers == 1:
        return work(lambda: None)
    trainings = [submit(work) for _ in range(workers)]  # all of them, before the first one is waited for
    return Pace(*map(fmean, zip(*(astuple(one.result()) for one in trainings), strict=True)))


def threads_that_pay(
    task: Task, space: SearchSpace, one: Architecture, recipe: Recipe, *, seconds: float, precision: str, most: int
) -> int:
    """``most`` threads of torch if they train a network clearly faster than one, else 1."""
    paces = []
    for threads in (1, most):
        with torch_threads(threads):
            paces.append(measure_pace(task, space, [one], recipe, seconds=seconds / 2, precision=precision).flops)
    if paces[1] >= CLEARLY_FASTER * paces[0]:
        return most
    return 1


def _measured(
    task: Task,
    space: SearchSpace,
    architectures: Sequence[Architecture],
    recipe: Recipe,
    seconds: float,
    precision: str,
    step_ended: StepEnded,
) -> Pace:
    val, rates, building, scoring = validation_part(task), list[float](), list[float](), list[float]()
    scored = val.spread(MOST_SCORED)
    for architecture in architectures:
        begin = perf_counter()
        child = _fresh_child(task, space, architecture, recipe)
        building.append(perf_counter() - begin)
        rates.append(_training_pace(child, task.train, seconds / len(architectures), precision))
        begin = perf_counter()
        score(child.to(scored.inputs.device), scored)
        scoring.append((perf_counter() - begin) / len(scored))
    return Pace(fmean(rates), fmean(building), fmean(scoring))  # all get the same time


def faster_precision(
    task: Task, space: SearchSpace, architectures: Sequence[Architecture], recipe: Recipe, *, seconds: float
) -> str:
    """The precision in which some networks are trained fastest: see ``by_timing``."""
    part, short = task.train.spread(PRECISION_STEPS * recipe.batch_size), replace(recipe, epochs=1)
    children = (_fresh_child(task, space, one, short) for one in architectures[:PRECISION_NETWORKS])
    return by_timing([partial(_train_in, child, part) for child in children], part.inputs.device, seconds=seconds)


def _train_in(child: Child, part: Split, precision: str) -> None:
    fit_child(child, part, seed=0, precision=precision)


def _fresh_child(task: Task, space: SearchSpace, architecture: Architecture, recipe: Recipe) -> Child:
    fresh = SearchOutcome(architecture, first_weights(space, task.shape, 0), SearchRecord(task.id))
    return chosen_child(task, space, fresh, recipe, 0)


def _training_pace(child: Child, train: Split, seconds: float, precision: str) -> float:
    """Training FLOPs a second; the first step, which takes longer, is not counted."""
    recipe, batches = child.recipe, 1
    while True:
        examples = batches * min(recipe.batch_size, len(train))
        child.recipe = replace(recipe, epochs=max(1, round(examples / len(train))))
        part = train.portion(examples)
        begin = perf_counter()
        cost = fit_child(child.train(), part, seed=0, precision=precision)
        if (taken := perf_counter() - begin) >= seconds / 2:
            return cost.flops / taken
        batches *= 2
