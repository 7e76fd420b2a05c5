"""The pace of a machine: training FLOPs a second on a task, and the seconds for everything around trainings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from math import ceil
from statistics import fmean
from time import perf_counter, process_time

import torch

from lit_metanas.estimators.training_estimator import first_weights, validation_part
from lit_metanas.inputs.shapes import SeriesShape, TokenShape
from lit_metanas.io.allocator import torch_threads
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import Child, fit_child, score
from lit_metanas.training.precision import FLOAT32, by_timing
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.workers import StepEnded, submit

MOST_SCORED = 100
"""Examples whose scoring is timed."""

WRITING, WRITING_A_STEP, READING_A_STEP = 1.5, 0.3, 0.1
"""Seconds of a processor for export and report, for each step that a network writes, and for each that a recurrent one
reads: the exported program has all steps, one behind the other."""

CLEARLY_FASTER = 1.2
"""How many times as fast several threads must be: below that, measurements of a moment differ by chance."""

PRECISION_NETWORKS, PRECISION_STEPS = 2, 4
"""The networks that are trained to compare precisions, and the steps of each training."""

RECURRENT = "gru"
"""The label of recurrent operations."""

Rungs = Callable[[float, float], tuple[int, ...]]
"""From the FLOPs of a search, and of one candidate's training, to the number of candidates in each rung."""


@dataclass(frozen=True)
class Pace:
    """How fast a machine is on a task."""

    flops: float  # training FLOPs a second
    building: float  # seconds to build a network
    scoring: float  # seconds to score an example
    waiting: float = 1.0  # seconds that pass per second of the processor: above 1 if it has other work, too

    def averaged(self, trainings: Sequence[Cost], *, scored: int) -> Pace:
        """The mean of this pace and that of earlier trainings, since other work on a machine comes and goes.

        The costs include building, and the scoring of so many examples.
        """
        flops = sum(cost.flops for cost in trainings)
        around = len(trainings) * (self.building + self.scoring * scored)
        seconds = sum(cost.seconds for cost in trainings) - around
        if not flops or seconds <= 0:
            return self
        return replace(self, flops=2 / (1 / self.flops + seconds / flops))

    def writing_seconds(self, task: Task, architecture: Architecture) -> float:
        """The approximate seconds for export and report of a network."""
        shape, read = task.shape, 0
        if isinstance(shape, SeriesShape | TokenShape) and RECURRENT in architecture.values():
            read = shape.steps
        return self.waiting * (WRITING + WRITING_A_STEP * (task.goal.steps or 0) + READING_A_STEP * read)


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
    each = [one.result() for one in [submit(work) for _ in range(workers)]]
    return Pace(*(fmean(values) for values in zip(*(astuple(pace) for pace in each), strict=True)))


def threads_that_pay(
    task: Task, space: SearchSpace, one: Architecture, recipe: Recipe, *, seconds: float, precision: str, most: int
) -> int:
    """``most`` threads of torch if they train a network clearly faster than one, else 1."""
    paces = []
    for threads in (1, most):
        with torch_threads(threads):
            paces.append(measure_pace(task, space, [one], recipe, seconds=seconds / 2, precision=precision).flops)
    return most if paces[1] >= CLEARLY_FASTER * paces[0] else 1


def _measured(
    task: Task,
    space: SearchSpace,
    architectures: Sequence[Architecture],
    recipe: Recipe,
    seconds: float,
    precision: str,
    step_ended: StepEnded,
) -> Pace:
    """A pace as the work of a process."""
    val, rates, building, scoring = validation_part(task), list[float](), list[float](), list[float]()
    scored = val.spread(MOST_SCORED)
    began, worked = perf_counter(), process_time()
    for architecture in architectures:
        begin = perf_counter()
        child = _fresh_child(task, space, architecture, recipe)
        building.append(perf_counter() - begin)
        rates.append(_training_pace(child, task.train, seconds / len(architectures), precision))
        begin = perf_counter()
        score(child.to(scored.inputs.device), scored)
        scoring.append((perf_counter() - begin) / len(scored))
    waiting = (perf_counter() - began) / max(process_time() - worked, 1e-9)
    return Pace(fmean(rates), fmean(building), fmean(scoring), max(1.0, waiting))  # all get the same time


def faster_precision(
    task: Task, space: SearchSpace, architectures: Sequence[Architecture], recipe: Recipe, *, seconds: float
) -> str:
    """The precision in which some networks are trained fastest: see ``by_timing``."""
    children = [_fresh_child(task, space, one, replace(recipe, epochs=1)) for one in architectures[:PRECISION_NETWORKS]]
    part = task.train.spread(PRECISION_STEPS * recipe.batch_size)
    trainings = [partial(_train_in, child, part) for child in children]
    return by_timing(trainings, part.inputs.device, seconds=seconds)


def _train_in(child: Child, part: Split, precision: str) -> None:
    """Train a network for an epoch."""
    fit_child(child, part, seed=0, precision=precision)


def _fresh_child(task: Task, space: SearchSpace, architecture: Architecture, recipe: Recipe) -> Child:
    """A new network, which leaves no trace in the caller's random state."""
    with torch.random.fork_rng(devices=[]):
        return Child(
            space=space,
            architecture=architecture,
            shape=task.shape,
            way=task.way,
            recipe=recipe,
            weights=first_weights(space, task.shape, 0),
            objective=task.objective,
        )


def _training_pace(child: Child, train: Split, seconds: float, precision: str) -> float:
    """Training FLOPs a second; the first step, which takes longer, is not counted."""
    recipe, batches = child.recipe, 1
    while True:
        examples = batches * min(recipe.batch_size, len(train))
        child.recipe = replace(recipe, epochs=max(1, round(examples / len(train))))
        part = train.portion(examples)
        child.train()
        begin = perf_counter()
        cost = fit_child(child, part, seed=0, precision=precision)
        taken = perf_counter() - begin
        if taken >= seconds / 2:
            return cost.flops / taken
        batches *= 2


def search_flops(
    seconds: float,
    pace: Pace,
    *,
    trial: float,
    scored: int,
    rungs: Rungs,
    shares: Callable[[Sequence[int]], Sequence[float]],
    views: int = 0,
    reading: float = 0.0,
    workers: int = 1,
) -> float:
    """The FLOPs of a search of so many seconds, building and scoring of its networks included.

    Args:
        seconds: of the search.
        pace: of this machine.
        trial: FLOPs of the training of a candidate.
        scored: examples that each network is scored on.
        rungs: candidates for so many FLOPs.
        shares: of these FLOPs for each rung, by their candidates.
        views: other preprocessings, one of which comes in with each rung after the first.
        reading: seconds to make the data under one of these.
        workers: networks of a rung that are trained side by side, for the same FLOPs each.
    """
    around = pace.building + pace.scoring * scored
    low, high = 0.0, workers * pace.flops * seconds
    for _ in range(50):
        middle = (low + high) / 2
        numbers, taken = rungs(middle, trial), 0.0
        for number, share in zip(numbers, shares(numbers), strict=True):
            taken += ceil(number / workers) * (share * middle / number / pace.flops + around)
        taken += min(views, len(numbers) - 1) * reading
        if taken <= seconds:
            low = middle
        else:
            high = middle
    return float(f"{0.995 * low:.3g}")  # rounded up, it could pay for a further network
