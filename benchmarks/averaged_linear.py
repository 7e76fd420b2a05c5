"""A linear model of characters averaged with networks for words, on tasks of texts that ``auto`` is not compared on.

That linear models count characters, and not words, was chosen on such intents of the same two data sets, too.

The networks and their recipe are those that ``auto`` begins with, from the records of other data sets; each is trained
on all but the test part for as many epochs as a member of an ensemble has. The linear model is the best one by the
validation part. There are three seeds of both. ``one`` is the mean of the three networks, ``three`` their ensemble, and
``linear`` the mean of the three linear models. The last two columns average scores: of a network and a linear model
of the same seed, mean of three, and of the ensemble and a linear model, mean of three.

    python benchmarks/averaged_linear.py --data FOLDER
    python benchmarks/averaged_linear.py          # the table alone

Each task is written as a line once there is one, and a second call goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from auto_comparison import steps_of
from comparison_data import Data, Labelled, commands, labelled
from ensembles import accuracy_of, tested_logs
from kept_rows import kept_rows
from mixed_tasks import Folders
from text_data import read_data

import lit_metanas as lm
from lit_metanas.automl.data_kinds import DATA_KINDS
from lit_metanas.automl.given_data import other_ways, read_given
from lit_metanas.automl.steps.limits import NetworkLimits
from lit_metanas.automl.steps.views import Views
from lit_metanas.report.table_text import markdown_lines
from lit_metanas.spaces.any_input import LinearSpace, default_space

RESULTS = Path(__file__).parent / "results" / "averaged_linear.jsonl"
SEEDS = (0, 1, 2)
COLUMNS = ("one", "three", "linear", "one and linear", "three and linear")
ALL_STEPS = 1000
"""More than there are steps in the comparison of linear models."""


def domain(folders: Folders, name: str) -> Data:
    """Seven intents of a domain of CLINC150, of which the comparison of ``auto`` has two others; 60 texts of each."""
    data = read_data(folders.data, "clinc150.json")
    intents = sorted(data["domains"][name])[2:9]

    def part(most: int, *of: str) -> Labelled:
        pairs = [(text, data["intents"][label]) for one in of for text, label in data[one]]
        return labelled({intent: [text for text, own in pairs if own == intent][:most] for intent in intents})

    return Data(part(60, "train", "val"), part(30, "test"))


TASKS: Mapping[str, tuple[str, Callable[[Folders], Data]]] = {
    "CLINC150, credit cards": ("clinc", partial(domain, name="credit_cards")),
    "CLINC150, work": ("clinc", partial(domain, name="work")),
    "CLINC150, kitchen": ("clinc", partial(domain, name="kitchen_and_dining")),
    "HWU64, second third": ("hwu64", partial(commands, first=1)),
    "HWU64, last third": ("hwu64", partial(commands, first=2)),
}
"""By name the source, whose records are left out, and what reads it; ``auto`` is compared on HWU64's first third."""


def measure(name: str, folders: Folders) -> dict[str, Any]:
    """Test accuracies in % of a task."""
    source, read = TASKS[name]
    data = read(folders)
    task = read_given(**data.given)
    ways = other_ways(data.learned, task, kind=None, test=data.tested, group=None)
    views, kind = Views(task, ways, default_space(task.shape), NetworkLimits()), DATA_KINDS["texts"]
    steps = steps_of(task, source, views=views, linear=LinearSpace())
    architecture, recipe = steps.beginning.usual, replace(steps.beginning.recipe, epochs=kind.member_epochs)
    assert steps.linear_models is not None
    best = steps.linear_models.best(ALL_STEPS)
    assert best is not None
    networks = [tested_logs(task, views.space, architecture, recipe, seed) for seed in SEEDS]
    linear = [tested_logs(best.view.task, LinearSpace(), best.architecture, best.recipe, seed) for seed in SEEDS]
    accuracy = partial(accuracy_of, task)
    whole = torch.stack(networks).mean(dim=0)
    values = (
        fmean(map(accuracy, networks)),
        accuracy(whole),
        fmean(map(accuracy, linear)),
        fmean(map(accuracy, networks, linear)),
        fmean(accuracy(whole, one) for one in linear),
    )
    row = {"task": name, "learned": len(views.usual.learned), "tested": len(task.test), "features": best.view.label}
    return row | {column: round(value, 2) for column, value in zip(COLUMNS, values, strict=True)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Networks, linear models and their means of each task, and the means of all tasks, as Markdown."""
    heading = ["task", "learned", "tested", *COLUMNS]
    body = [
        [row["task"], str(row["learned"]), str(row["tested"]), *(f"{row[column]:.1f}" for column in COLUMNS)]
        for row in rows
    ]
    if rows:
        body.append(["mean", "", "", *(f"{fmean(row[column] for row in rows):.1f}" for column in COLUMNS)])
    return markdown_lines([heading, ["---"] + ["---:"] * (len(heading) - 1), *body])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets; without it the table alone is shown")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.tune_allocator()
    wanted = options.tasks if options.data is not None else ()
    made = partial(measure, folders=Folders(options.data, Path()))
    print(table(kept_rows(options.output, wanted, made, key=itemgetter("task"))))


if __name__ == "__main__":
    main()
