"""A pool of networks with their recipes, each trained on small tasks of images, speech, text and series.

Trainings are written as they finish, one a line, so that an interrupted run goes on:

    python benchmarks/mixed_pool.py --data FOLDER --series FOLDER
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product, zip_longest
from math import ceil
from pathlib import Path

import numpy as np
import torch
from learned_pool import Row, draw_pool
from mixed_tasks import DATASETS, PROBLEMS, Folders, Problem

import lit_metanas as lm
from lit_metanas.training.child import fit_child, score

RESULTS = Path(__file__).parent / "results" / "mixed_stream"
SPACE = lm.AnyInputSpace(
    operations=("conv_3", "conv_5", "sep_conv_3", "sep_conv_5", "gated_linear", "attention_4", "gru"),
    depths=(1, 2, 3, 4),
    widths=(8, 16, 32),
    patch=4,
)
RECIPE = (
    lm.Choice("learning_rate", ("0.003", "0.01", "0.03")),
    lm.Choice("weight_decay", ("0.001", "0.1")),
    lm.Choice("label_smoothing", ("0", "0.1")),
)
POOL = 40
STEPS = 100
"""Of each training, whatever the task's size, unless others are asked for."""
BATCH = 32
BLOCK = 8


class PairSpace(lm.ChoiceSpace):
    """The choices of a space and of the recipe: a member of the pool has both."""

    def __init__(self, space: lm.SearchSpace = SPACE) -> None:
        self.choices = (*space.choices, *RECIPE)


def parts_of(pair: lm.Architecture, examples: int, steps: int = STEPS) -> tuple[lm.Architecture, lm.Recipe]:
    """The architecture and the recipe of a pair, for a task of so many examples to learn from."""
    names = {choice.name for choice in RECIPE}
    numbers = {name: float(label) for name, label in pair.items() if name in names}
    recipe = lm.Recipe(epochs=ceil(steps / ceil(examples / BATCH)), batch_size=BATCH)
    return lm.Architecture({n: label for n, label in pair.items() if n not in names}), recipe.replace(numbers)


def train(
    task: lm.Task, member: int, pair: lm.Architecture, steps: int = STEPS, seed: int = 0, space: lm.SearchSpace = SPACE
) -> Row:
    """Train one pair on one task; both accuracies are of the trained network, the test one is not chosen by."""
    start = time.process_time()
    assert task.val is not None
    architecture, recipe = parts_of(pair, len(task.train), steps)
    torch.manual_seed(seed)
    child = lm.Child(space=space, architecture=architecture, shape=task.shape, way=task.way, recipe=recipe)
    fit_child(child, task.train, seed=seed)
    val, test = score(child, task.val), score(child, task.test)
    return Row(task.id, member, seed, round(val, 4), round(test, 4), round(time.process_time() - start, 2))


class PairPool:
    """Pairs with what was measured of them, in a file that grows by a line a training.

    Args:
        path: the file; its first line tells the pairs.
        number: of pairs.
        steps: of each training.
        space: of the networks.

    Raises:
        ValueError: the file is of another pool.
    """

    def __init__(self, path: Path, number: int = POOL, steps: int = STEPS, space: lm.SearchSpace = SPACE) -> None:
        self.path, self.steps, self.space = path, steps, space
        self.pairs = draw_pool(PairSpace(space), number)
        self.rows: list[Row] = []
        head = json.dumps({"schema": 1, "steps": steps, "batch": BATCH, "pairs": [p.to_json() for p in self.pairs]})
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head + "\n", encoding="utf-8")
        first, *lines = path.read_text(encoding="utf-8").split("\n")
        if first != head:
            raise ValueError(f"'{path}' is of other pairs or other trainings: give another file.")
        whole = [line for line in lines[:-1] if line]
        if lines and lines[-1]:  # a stopped run may have left half a line
            path.write_text("\n".join([head, *whole, ""]), encoding="utf-8")
        self.rows = [Row(*json.loads(line)) for line in whole]

    def fill(self, problems: Sequence[Problem], folders: Folders, block: int = BLOCK) -> None:
        """Train what the file does not hold yet.

        Args:
            problems: the tasks.
            folders: where their files are.
            block: members that are trained on all tasks before the next ones are on any.
        """
        done = {(row.task, row.member) for row in self.rows}
        tasks: dict[str, lm.Task] = {}
        for first, problem in product(range(0, len(self.pairs), block), problems):
            members = range(first, min(first + block, len(self.pairs)))
            missing = [member for member in members if (problem.id, member) not in done]
            if missing and problem.id not in tasks:
                tasks[problem.id] = problem.draw(folders)
                assert tasks[problem.id].id == problem.id
            for member in missing:
                self._add(train(tasks[problem.id], member, self.pairs[member], self.steps, space=self.space))
            if missing:
                tests = [100 * row.test for row in self.rows if row.task == problem.id]
                told = f"{len(tests)} members, {np.mean(tests):.1f} in the mean, {max(tests):.1f} the best"
                print(f"{problem.id}: {told}, {tasks[problem.id]}", flush=True)

    def scores(self, problem: Problem, signal: str) -> np.ndarray:
        """Accuracies on one task in the order of the pairs, shape ``(pairs,)``; NaN where it was not trained."""
        found = np.full(len(self.pairs), np.nan)
        for row in self.rows:
            if row.task == problem.id:
                found[row.member] = getattr(row, signal)
        return found

    def _add(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(list(asdict(row).values())) + "\n")
        self.rows.append(row)


def in_turn(problems: Sequence[Problem]) -> list[Problem]:
    """One of each data set, then another one of each: so a run that is stopped has some of all."""
    by_dataset = [[p for p in problems if p.dataset == dataset] for dataset in DATASETS]
    return [problem for turn in zip_longest(*by_dataset) for problem in turn if problem is not None]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--series", type=Path, required=True, help="folder of the archives of series")
    parser.add_argument("--output", type=Path, default=RESULTS / "pool.jsonl")
    parser.add_argument("--pairs", type=int, default=POOL, help="networks in the pool")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each training")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.tune_allocator()
    pool = PairPool(options.output, options.pairs, options.steps)
    pool.fill(in_turn(PROBLEMS), Folders(options.data, options.series))


if __name__ == "__main__":
    main()
