"""Fronts of test accuracy against parameters by ``auto`` with ``pareto``, by NSGA-II and by random sampling.

All spend the same training FLOPs on the same task in the same space, half of them for the search at most, the rest to
train the front's networks, which are then tested once. Of the package's records those of the task's data set are left
out. The share of the area between chance and 100 % and between ``SMALLEST`` and the reference number of parameters that
a front dominates, on a logarithmic axis, is its hyper-volume. Settings were chosen on ``digits`` and
``other photographs``. Run:

    python benchmarks/pareto_front.py --data FOLDER
    python benchmarks/pareto_front.py

The second form makes the table and the figure of what was written.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from math import log10
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from mixed_tasks import Folders, digits, fsdd, small_photographs
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler

import lit_metanas as lm
from lit_metanas.automl.budget_plan import SHARES
from lit_metanas.automl.front import POINTS, shared_epochs
from lit_metanas.callbacks.figures import COLOURS, figure, save
from lit_metanas.comparisons.single_task import all_but_test, result_of
from lit_metanas.kinds.kind import LEARNING_RATES, SMOOTHINGS, WEIGHT_DECAYS
from lit_metanas.records.record import SearchOutcome
from lit_metanas.records.record_lines import SHIPPED
from lit_metanas.records.statistics import hypervolume, t_interval, widest
from lit_metanas.searchers.query.objectives import RecipeRange
from lit_metanas.training.child import chosen_child, fit_child, recipe_cost

RESULTS = Path(__file__).parent / "results" / "pareto_front.json"
METHODS = ("auto", "NSGA-II", "random")
SMALLEST = 1e3
EPOCHS = 10
"""Of each training of NSGA-II and random sampling."""
POPULATION = 4


def caltech_classes(first: int, folders: Folders) -> lm.Task:
    """Ten classes of Caltech-101, every tenth."""
    return small_photographs(folders, f"ten{first}", range(first, 101, 10))


@dataclass(frozen=True)
class Setting:
    """A task of the comparison.

    Attributes:
        draw: makes it.
        flops: training FLOPs of search and trainings.
        reference: parameters from which on a network adds nothing.
    """

    draw: Callable[[Folders], lm.Task]
    flops: float
    reference: float


TASKS: Mapping[str, Setting] = {
    "digits": Setting(digits, 3e10, 4e5),
    "other photographs": Setting(partial(caltech_classes, 5), 6e10, 4e5),
    "photographs": Setting(partial(caltech_classes, 1), 6e10, 4e5),
    "spoken digits": Setting(lambda folders: fsdd(folders, 0), 3e10, 1e5),
}


@dataclass(frozen=True)
class Point:
    """A network of a front: its parameters, multiply-adds, test accuracy from 0 to 1, and epochs of training."""

    parameters: int
    flops: int
    test: float
    epochs: int


@dataclass(frozen=True)
class Row:
    """One front.

    Attributes:
        task: its name.
        method: one of ``METHODS``.
        seed: of the search and the trainings.
        points: the networks.
        search: training FLOPs of the search.
        training: training FLOPs of the trainings after it.
        tried: trials of the search, those among them that the budget did not pay for.
        seconds: of CPU time.
    """

    task: str
    method: str
    seed: int
    points: tuple[Point, ...]
    search: int
    training: int
    tried: int
    seconds: float

    def volume(self, way: int = 10) -> float:
        """The hyper-volume, from 0 to 1."""
        reference = TASKS[self.task].reference
        points = [(log10(reference / point.parameters), point.test) for point in self.points]
        return hypervolume(points, (0.0, 1 / way)) / log10(reference / SMALLEST) / (1 - 1 / way)


def point_of(result: lm.SearchResult) -> Point:
    """What is kept of a network."""
    return Point(result.parameters, result.flops, round(result.test_accuracy, 4), result.recipe.epochs)


def by_auto(name: str, task: lm.Task, seed: int) -> Row:
    """``auto`` with the records of other data sets."""
    known = [one for one in lm.records.read_record_lines(SHIPPED) if one.task_id.split("/")[0] != task.id.split("/")[0]]
    begin, space = time.process_time(), lm.default_space(task.shape)  # given, so that no linear model is on the front
    with TemporaryDirectory() as folder:
        lm.records.write_record_lines(path := f"{folder}/others.jsonl", known)
        made = lm.auto(
            task,
            flops=TASKS[name].flops,
            space=space,
            pareto="parameters",
            records=[path],
            seed=seed,
            progress=False,
        )
    points = tuple(map(point_of, made.front))
    spent, tried = (made.cost.flops, made.training_cost.flops), len(made.record.trials)
    return Row(name, "auto", seed, points, *spent, tried, round(time.process_time() - begin, 1))


def by_sampler(
    name: str, task: lm.Task, seed: int, *, epochs: int = EPOCHS, population: int = POPULATION, recipes: bool = True
) -> Callable[[str], Row]:
    """Random sampling or NSGA-II over the same architectures, and the same recipes but for augmentation."""

    def run(method: str) -> Row:
        begin, whole = time.process_time(), TASKS[name].flops
        space, recipe = lm.default_space(task.shape), lm.Recipe(epochs=epochs)
        sampler: BaseSampler = NSGAIISampler(population_size=population) if method == "NSGA-II" else RandomSampler()
        ranges = {
            "learning_rate": RecipeRange(LEARNING_RATES[0], LEARNING_RATES[-1], log=True),
            "weight_decay": RecipeRange(WEIGHT_DECAYS[0], WEIGHT_DECAYS[-1], log=True),
            "label_smoothing": RecipeRange(SMOOTHINGS[0], SMOOTHINGS[-1]),
        }
        searcher = lm.searchers.QuerySearcher(
            sampler=sampler,
            estimator=partial(lm.estimators.TrainingEstimator, recipe=recipe),
            objectives=("accuracy", "parameters"),
            train=ranges if recipes else None,
        )
        budget = lm.Budget(flops=whole / 2)
        found = searcher.search(task, space, budget, seed)
        results = trained_front(task, space, found, recipe, whole - budget.spent.flops, seed)
        trained = sum(result.training_cost.flops for result in results)
        points, tried = tuple(map(point_of, results)), len(found.record.trials)
        return Row(
            name, method, seed, points, budget.spent.flops, trained, tried, round(time.process_time() - begin, 1)
        )

    return run


def trained_front(
    task: lm.Task, space: lm.SearchSpace, found: SearchOutcome, recipe: lm.Recipe, flops: float, seed: int
) -> list[lm.SearchResult]:
    """The front of a search, each network trained in full and tested, as ``auto`` does."""
    front = sorted(found.record.trade_offs, key=lambda trial: -trial.value)
    points = [(-log10(trial.measures["parameters"]), trial.value) for trial in front]
    below = (min(x for x, _ in points) - 0.1, min(y for _, y in points) - 0.1)
    chosen = list(dict.fromkeys([0, *widest(points, POINTS, below)]))[:POINTS]
    part = all_but_test(task)
    costs = [recipe_cost(space, front[place].architecture, task, part, recipe, epochs=1).flops for place in chosen]
    results = []
    for place, epochs in zip(chosen, shared_epochs(costs, flops, SHARES.longest), strict=False):
        one = replace(found, architecture=front[place].architecture, weights=None, recipe=front[place].recipe)
        child = chosen_child(task, space, one, replace(recipe.replace(one.recipe), epochs=epochs), seed)
        cost = fit_child(child, part, seed=seed)
        more = {"cost": lm.Cost(), "training_cost": cost, "meta_cost": lm.Cost()}
        results.append(result_of(task, space, one, child, learned=len(part), **more))
    return results


def measure(folders: Folders, path: Path, tasks: Sequence[str], seeds: Sequence[int]) -> None:
    """All fronts that the file lacks; it is written after each."""
    rows = read(path)
    done = {(row.task, row.method, row.seed) for row in rows}
    drawn = {name: TASKS[name].draw(folders) for name in tasks}
    for seed, name, method in product(seeds, tasks, METHODS):
        if (name, method, seed) not in done:
            task = drawn[name]
            row = by_auto(name, task, seed) if method == "auto" else by_sampler(name, task, seed)(method)
            rows.append(row)
            path.write_text(json.dumps([asdict(each) for each in rows], indent=1) + "\n", encoding="utf-8")
            print(f"{name}, {method}, seed {seed}: {row.volume():.3f}, {row.seconds} s", flush=True)


def read(path: Path) -> list[Row]:
    """What was written."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [Row(**{**row, "points": tuple(Point(**point) for point in row["points"])}) for row in kept]


def paired(rows: Sequence[Row], task: str, method: str) -> tuple[float, float, float, int]:
    """By how much the hyper-volume of ``auto`` is above a method's: the mean, its 95 % interval by t, and the pairs."""
    volumes = {(row.method, row.seed): row.volume() for row in rows if row.task == task}
    seeds = sorted(seed for name, seed in volumes if name == "auto" and (method, seed) in volumes)
    found = t_interval([volumes["auto", seed] - volumes[method, seed] for seed in seeds])
    return found.mean, found.mean - found.half, found.mean + found.half, len(seeds)


def table(rows: Sequence[Row]) -> list[str]:
    """A line for each task and method."""
    lines = []
    for task in dict.fromkeys(row.task for row in rows):
        for method in METHODS:
            own = [row for row in rows if row.task == task and row.method == method]
            if not own:
                continue
            volume, tried = np.mean([row.volume() for row in own]), np.mean([row.tried for row in own])
            spent = np.mean([row.search + row.training for row in own])
            line = f"{task:13} {method:8} {volume:.3f}, {tried:.1f} trials in the search, {spent:.3g} FLOPs"
            if method != METHODS[0]:
                mean, low, high, pairs = paired(rows, task, method)
                line += f"; auto is {mean:+.3f} above ({low:+.3f} to {high:+.3f}, {pairs} pairs)"
            lines.append(line)
    return lines


def draw(rows: Sequence[Row], path: Path) -> None:
    """All networks of all fronts, and each method's mean over the seeds of the best accuracy up to a size."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    drawn = figure(4.6 * len(tasks), 3.4)
    panels = drawn.subplots(1, len(tasks), squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        sizes = np.geomspace(3e3, TASKS[task].reference, 200)
        for method, colour in zip(METHODS, COLOURS, strict=False):
            own = [row for row in rows if row.task == task and row.method == method]
            best = [
                [max((p.test for p in row.points if p.parameters <= size), default=0.0) for size in sizes]
                for row in own
            ]
            axes.plot(sizes, 100 * np.mean(best, axis=0), color=colour, linewidth=1.6, label=method)
            points = [(p.parameters, 100 * p.test) for row in own for p in row.points]
            axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=2.5, alpha=0.5)
        axes.set_xscale("log")
        axes.set_title(task, fontsize=10)
        axes.set_xlabel("parameters", fontsize=9)
        axes.set_ylabel("test accuracy, %", fontsize=9)
        axes.legend(fontsize=8, frameon=False)
    drawn.tight_layout()
    save(drawn, path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--tasks", nargs="+", choices=[*TASKS], default=["photographs", "spoken digits"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[*range(15)])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.data is not None:
        lm.io.tune_allocator()
        measure(Folders(options.data, Path()), options.results, options.tasks, options.seeds)
    rows = read(options.results)
    print("\n".join(table(rows)))
    draw(rows, options.results.with_suffix(".png"))


if __name__ == "__main__":
    main()
