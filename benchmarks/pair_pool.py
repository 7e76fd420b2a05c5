"""Pools of networks with their recipes, each trained on small tasks; a file keeps the trainings."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import ceil
from pathlib import Path

import numpy as np
import torch
from mixed_tasks import Folders, Problem

import lit_metanas as lm
from lit_metanas.training.child import fit_child, score

RECIPE = (
    lm.spaces.Choice("learning_rate", ("0.003", "0.01", "0.03")),
    lm.spaces.Choice("weight_decay", ("0.001", "0.1")),
    lm.spaces.Choice("label_smoothing", ("0", "0.1")),
)
STEPS = 100
"""Of each training, whatever the task's size."""
BATCH = 32
BLOCK = 8


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        task: its id.
        member: the pair's place in the pool.
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


def draw_pool(space: lm.spaces.ChoiceSpace, number: int) -> list[lm.Architecture]:
    """Draw so many different architectures."""
    generator = torch.Generator().manual_seed(0)
    found: dict[lm.Architecture, None] = {}
    while len(found) < number:
        found[space.sample(generator)] = None
    return list(found)


class PairSpace(lm.spaces.ChoiceSpace):
    """The choices of a space and of the recipe: a member of the pool has both."""

    def __init__(self, space: lm.SearchSpace) -> None:
        self.choices = (*space.choices, *RECIPE)


def parts_of(pair: lm.Architecture, examples: int, steps: int = STEPS) -> tuple[lm.Architecture, lm.Recipe]:
    """The architecture and the recipe of a pair, for a task of so many examples to learn from."""
    names = {choice.name for choice in RECIPE}
    numbers = {name: float(label) for name, label in pair.items() if name in names}
    recipe = lm.Recipe(epochs=ceil(steps / ceil(examples / BATCH)), batch_size=BATCH)
    return lm.Architecture({n: label for n, label in pair.items() if n not in names}), recipe.replace(numbers)


def train(task: lm.Task, member: int, pair: lm.Architecture, *, steps: int, space: lm.SearchSpace) -> Row:
    """Train one pair on one task; both accuracies are of the trained network, the test one is not chosen by."""
    start = time.process_time()
    assert task.val is not None
    architecture, recipe = parts_of(pair, len(task.train), steps)
    torch.manual_seed(0)
    child = lm.Child(space=space, architecture=architecture, shape=task.shape, way=task.way, recipe=recipe)
    fit_child(child, task.train, seed=0)
    val, test = score(child, task.val), score(child, task.test)
    return Row(task.id, member, 0, round(val, 4), round(test, 4), round(time.process_time() - start, 2))


class PairPool:
    """Pairs with what was measured of them, in a file that grows by a line a training.

    Args:
        path: the file; its first line has the pairs.
        number: of pairs.
        space: of the networks.
        steps: of each training.

    Raises:
        ValueError: the file is of another pool.
    """

    def __init__(self, path: Path, number: int, space: lm.SearchSpace, steps: int = STEPS) -> None:
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
                pair = self.pairs[member]
                self._add(train(tasks[problem.id], member, pair, steps=self.steps, space=self.space))
            if missing:
                tests = [100 * row.test for row in self.rows if row.task == problem.id]
                summary = f"{len(tests)} members, {np.mean(tests):.1f} in the mean, {max(tests):.1f} the best"
                print(f"{problem.id}: {summary}, {tasks[problem.id]}", flush=True)

    def _add(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(list(asdict(row).values())) + "\n")
        self.rows.append(row)
