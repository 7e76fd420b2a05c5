"""A pool of architectures of the layered space, each trained on glyph tasks of several kinds: a table to search in.

Twelve source tasks and four target tasks of other scripts. Trainings are kept as they finish, so that an interrupted
run goes on:

    python benchmarks/learned_pool.py --output benchmarks/results/learned_tasks/pool.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from glyph_problems import REPEATED, SOURCES, TARGETS, Problem

from lit_metanas.estimators import Table
from lit_metanas.io import tune_allocator
from lit_metanas.io.files import write_whole
from lit_metanas.spaces import Architecture, ChoiceSpace, LayeredSpace
from lit_metanas.tasks import Task
from lit_metanas.training import Child, Recipe
from lit_metanas.training.child import fit_child, score

RESULTS = Path(__file__).parent / "results" / "learned_tasks"
SPACE = LayeredSpace(
    kernels=(3, 5),
    activations=("ReLU", "Tanh"),
    dropouts=(0.0, 0.2),
    depths=(2, 3, 4),
    widths=(8, 16, 32),
    skips=("none", "residual"),
)
"""What ``configs/spaces/layered_small.yaml`` says."""
RECIPE = Recipe(epochs=10, batch_size=32)
POOL = 64


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        task: its id.
        member: the architecture's place in the pool.
        seed: of initial weights, batches and dropout.
        val: validation accuracy.
        test: test accuracy.
        seconds: processor time.
    """

    task: str
    member: int
    seed: int
    val: float
    test: float
    seconds: float


@dataclass(frozen=True)
class Job:
    """A training to be done."""

    problem: Problem
    member: int
    seed: int
    architecture: Architecture
    recipe: Recipe


def draw_pool(space: ChoiceSpace, number: int, seed: int = 0) -> list[Architecture]:
    """Draw so many different architectures."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[Architecture, None] = {}
    while len(found) < number:
        found[space.sample(generator)] = None
    return list(found)


@lru_cache(maxsize=1)
def _drawn(problem: Problem) -> Task:
    return problem.draw()


def train(job: Job) -> Row:
    """Train one architecture on one task; both accuracies are of the trained network, the test one is not chosen by."""
    task, start = _drawn(job.problem), time.process_time()
    assert task.val is not None
    torch.manual_seed(job.seed)
    child = Child(space=SPACE, architecture=job.architecture, shape=task.shape, way=task.way, recipe=job.recipe)
    fit_child(child, task.train, seed=job.seed)
    val, test = score(child, task.val), score(child, task.test)
    return Row(task.id, job.member, job.seed, round(val, 4), round(test, 4), round(time.process_time() - start, 2))


class Pool:
    """Architectures with what was measured of them, in a file that grows.

    Args:
        path: the file.
        number: architectures, where the file does not exist yet.
        recipe: their training, where the file does not exist yet.

    Raises:
        ValueError: the file is of another pool.
    """

    def __init__(self, path: Path, number: int = POOL, recipe: Recipe = RECIPE) -> None:
        self.path = path
        self.architectures = draw_pool(SPACE, number)
        self.recipe = recipe
        self.rows: list[Row] = []
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["architectures"] != self._plain() or document["recipe"] != asdict(recipe):
                raise ValueError(f"'{path}' is of other architectures or another recipe: give another file.")
            self.rows = [Row(*row) for row in document["rows"]]

    def fill(self, problems: Iterable[tuple[Problem, int]], processes: int = 1) -> None:
        """Train what the file does not hold yet.

        Args:
            problems: tasks, with the seed of the trainings on each.
            processes: trainings at a time.
        """
        done = {(row.task, row.member, row.seed) for row in self.rows}
        jobs = [
            Job(problem, member, seed, architecture, self.recipe)
            for problem, seed in problems
            for member, architecture in enumerate(self.architectures)
            if (problem.id, member, seed) not in done
        ]
        for number, row in enumerate(_trained(jobs, processes), start=1):
            self.rows.append(row)
            self.write()
            print(f"{number}/{len(jobs)} {row.task} {row.member}: {row.val:.3f}, {row.seconds} s", flush=True)

    def scores(self, problem: Problem, signal: str, seed: int = 0) -> np.ndarray:
        """Accuracies on one task in the order of the architectures, shape ``(members,)``.

        Raises:
            ValueError: the task was not trained on in full.
        """
        found = {row.member: getattr(row, signal) for row in self.rows if (row.task, row.seed) == (problem.id, seed)}
        if len(found) < len(self.architectures):
            raise ValueError(f"'{self.path}' has {len(found)} trainings on '{problem.id}': fill it first.")
        return np.array([found[member] for member in range(len(self.architectures))])

    def write(self) -> None:
        """Write the file atomically, one row a line."""
        head = {"schema": 1, "recipe": asdict(self.recipe), "architectures": self._plain()}
        rows = ",\n".join(json.dumps(list(asdict(row).values())) for row in self.rows)
        write_whole(self.path, f'{json.dumps(head)[:-1]}, "rows": [\n{rows}\n]}}\n')

    def _plain(self) -> list[dict[str, str]]:
        return [architecture.to_json() for architecture in self.architectures]


def _trained(jobs: Sequence[Job], processes: int) -> Iterable[Row]:
    if processes == 1:
        _prepare()
        yield from map(train, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_prepare) as executor:
        yield from executor.map(train, jobs)


def _prepare() -> None:
    torch.set_num_threads(1)
    tune_allocator()


class PoolTable(Table):
    """What a pool measured on one task.

    Args:
        pool: filled.
        problem: the task.
    """

    signals = ("val", "test")

    def __init__(self, pool: Pool, problem: Problem) -> None:
        self.space = SPACE
        self.dataset = problem.id
        self._scores = {
            signal: dict(zip(pool.architectures, pool.scores(problem, signal).tolist(), strict=True))
            for signal in self.signals
        }

    def score(self, architecture: Architecture, signal: str) -> float:
        """Look up."""
        self.check_signal(signal)
        if architecture not in self._scores[signal]:
            raise ValueError(f"The pool has no architecture '{architecture}': propose its members only.")
        return self._scores[signal][architecture]


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's: Pearson's correlation of mean ranks."""
    ranks = np.array([[(v > values).mean() - (v < values).mean() for v in values] for values in (first, second)])
    return float(np.corrcoef(ranks)[0, 1])


def agreement(pool: Pool, problems: Sequence[Problem], repeated: Sequence[Problem]) -> dict[str, object]:
    """Print, and return, how far rankings agree between seeds, between signals and between tasks."""
    ceilings = {p.id: rank_correlation(pool.scores(p, "val"), pool.scores(p, "val", seed=1)) for p in repeated}
    signals = {p.id: rank_correlation(pool.scores(p, "val"), pool.scores(p, "test")) for p in problems}
    between = {
        f"{a.id} ~ {b.id}": rank_correlation(pool.scores(a, "val"), pool.scores(b, "val"))
        for a, b in combinations(problems, 2)
    }
    print(f"rank correlation of two seeds: mean {fmean(ceilings.values()):.2f}")
    print("\n".join(f"  {name:28}{value:.2f}" for name, value in ceilings.items()))
    print(f"of validation and test: mean {fmean(signals.values()):.2f}, lowest {min(signals.values()):.2f}")
    print(f"of two tasks: mean {fmean(between.values()):.2f}, lowest {min(between.values()):.2f}")
    return {"two seeds": ceilings, "validation and test": signals, "two tasks": between}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS / "pool.json")
    parser.add_argument("--processes", type=int, default=1, help="trainings at a time, of one thread each")
    options = parser.parse_args(arguments)
    pool = Pool(options.output)
    problems = [*SOURCES, *TARGETS]
    pool.fill([*((p, 0) for p in problems), *((p, 1) for p in REPEATED)], options.processes)
    agreement(pool, problems, REPEATED)


if __name__ == "__main__":
    main()
