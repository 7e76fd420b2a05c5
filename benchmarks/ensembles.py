"""One long training against an ensemble of shorter ones, on small tasks of the mixed stream.

The network and the recipe are those that ``auto`` begins with, from the records of other data sets. It is trained on
all but the test part, with three seeds, for 50, 100 and 200 epochs each. ``single`` is the mean of the three, ``pair``
that of the three pairs, and ``three`` the ensemble of all. ``probabilities`` has the mean of these instead of that of
scores.

    python benchmarks/ensembles.py --data FOLDER --tasks snips/intents xsid/de fsdd/0 glyphs/train caltech/0
    python benchmarks/ensembles.py          # the table alone

Each task is written as a line once there is one, and a second call goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from auto_comparison import steps_of
from kept_rows import kept_rows
from mixed_tasks import PROBLEMS, Folders, Problem
from torch import Tensor

import lit_metanas as lm
from lit_metanas.comparisons.single_task import all_but_test
from lit_metanas.records.record import SearchOutcome
from lit_metanas.report.table_text import markdown_lines
from lit_metanas.training.child import chosen_child, fit_child

RESULTS = Path(__file__).parent / "results" / "ensembles.jsonl"
EPOCHS, SEEDS = (50, 100, 200), (0, 1, 2)
KINDS = ("single", "pair", "three", "probabilities")


def tested_logs(task: lm.Task, space: lm.SearchSpace, one: lm.Architecture, recipe: lm.Recipe, seed: int) -> Tensor:
    """Logarithms of probabilities for the test part, of a network that is trained on all others."""
    return logs_of(task, space, one, recipe, seed, learned=all_but_test(task), asked=task.test)


def logs_of(
    task: lm.Task,
    space: lm.SearchSpace,
    one: lm.Architecture,
    recipe: lm.Recipe,
    seed: int,
    *,
    learned: lm.Split,
    asked: lm.Split,
) -> Tensor:
    """Logarithms of probabilities, ``(n, classes)``, for some examples, of a network that is trained on others."""
    child = chosen_child(task, space, SearchOutcome(one, None, lm.SearchRecord(task.id)), recipe, seed)
    fit_child(child, learned, seed=seed)
    with torch.no_grad():
        logs: Tensor = child.eval()(asked.inputs).double().log_softmax(dim=1)
    return logs


def accuracy_of(task: lm.Task, *parts: Tensor) -> float:
    """In %, on the test part, of the sum of some scores."""
    right = torch.stack(parts).sum(dim=0).argmax(dim=1) == task.test.labels
    return 100 * float(right.double().mean())


def measure(problem: Problem, folders: Folders) -> dict[str, Any]:
    """Test accuracies in % of a task, by the epochs of each training."""
    task = problem.draw(folders)
    steps, accuracy = steps_of(task, problem.dataset), partial(accuracy_of, task)
    architecture, recipe = steps.beginning.usual, steps.beginning.recipe
    row: dict[str, Any] = {"task": task.id, "learned": len(all_but_test(task)), "tested": len(task.test)}
    for epochs in EPOCHS:
        longer = replace(recipe, epochs=epochs)
        found_scores = [tested_logs(task, steps.space, architecture, longer, seed) for seed in SEEDS]
        values = (
            fmean(map(accuracy, found_scores)),
            fmean(accuracy(*pair) for pair in combinations(found_scores, 2)),
            accuracy(*found_scores),
            accuracy(*(logs.exp() for logs in found_scores)),
        )
        row[str(epochs)] = {kind: round(value, 2) for kind, value in zip(KINDS, values, strict=True)}
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Single networks and ensembles of each task, as Markdown."""
    heading = ["task", "learned", "tested"]
    heading += [f"{name} of {epochs}" for epochs in EPOCHS for name in ("one", "two", "three")]
    body = [
        [row["task"], str(row["learned"]), str(row["tested"])]
        + [f"{row[str(epochs)][kind]:.1f}" for epochs in EPOCHS for kind in KINDS[:3]]
        for row in rows
    ]
    return markdown_lines([heading, ["---"] * len(heading), *body])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets; without it the table alone is shown")
    parser.add_argument("--series", type=Path, default=Path(), help="folder of the UCR and UEA archives")
    parser.add_argument("--tasks", nargs="+", choices=[problem.id for problem in PROBLEMS], default=[])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.tune_allocator()
    problems = {problem.id: problem for problem in PROBLEMS if problem.id in options.tasks}
    wanted, folders = problems if options.data is not None else (), Folders(options.data, options.series)
    rows = kept_rows(
        options.output, wanted, lambda name: measure(problems[name], folders), key=lambda row: str(row["task"])
    )
    print(table(rows))


if __name__ == "__main__":
    main()
