"""The records that the package ships, made of what ``shipped_pools.py`` has trained.

    python benchmarks/shipped_records.py
    python benchmarks/shipped_records.py --data FOLDER --series FOLDER

The second form, with the folders of ``mixed_tasks.py``, reads the shapes of the tasks anew; the FLOPs follow from them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from mixed_tasks import Folders, Problem
from pair_pool import BATCH, PairPool, parts_of
from shipped_pools import PROBLEMS, RESULTS, pool_of

import lit_metanas as lm
from lit_metanas.inputs.shapes import plain_shape, read_shape
from lit_metanas.io.files import write_whole
from lit_metanas.records.record_lines import SHIPPED_FILE
from lit_metanas.training.child import training_cost
from lit_metanas.training.recipes import images_an_epoch

SHAPES = "shapes.json"


def describe(folders: Folders, path: Path) -> None:
    """Write shape, number of classes and of training examples of each task."""
    found = {}
    for problem in (problem for problems in PROBLEMS.values() for problem in problems):
        task = problem.draw(folders)
        found[task.id] = {"shape": plain_shape(task.shape), "way": task.way, "examples": len(task.train)}
    write_whole(path, json.dumps(found, indent=1) + "\n")


def record_of(problem: Problem, pool: PairPool, described: Mapping[str, Any]) -> lm.records.SearchRecord:
    """All trainings on one task as a search of it, the recipe of each apart from the architecture.

    They do not have the FLOPs behind a score (``trained``): all have as many steps, and are compared with each other.
    """
    space, shape, examples = pool.space, read_shape(described["shape"]), described["examples"]
    spent, trials = lm.Cost(), []
    rows = {row.member: row for row in pool.rows if row.task == problem.id}
    for member, row in sorted(rows.items()):
        architecture, recipe = parts_of(pool.pairs[member], examples, pool.steps)
        images = images_an_epoch(examples, BATCH) * ceil(pool.steps / ceil(examples / BATCH))
        cost = training_cost(space, architecture, shape, described["way"], images=images)
        spent += replace(cost, queries=1, seconds=row.seconds)
        chosen: dict[str, float | int | str | bool] = {
            name: getattr(recipe, name) for name in ("learning_rate", "weight_decay", "label_smoothing")
        }
        full = space.canonical(architecture)
        trials.append(lm.records.Trial(full, row.val, spent, recipe=chosen))
    choices = {choice.name: choice.labels for choice in space.choices}
    return lm.records.SearchRecord(problem.id, trials, space=space.name, choices=choices, method="random")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--series", type=Path, help="folder of the archives of series")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pools")
    parser.add_argument("--output", type=Path, default=SHIPPED_FILE)
    options = parser.parse_args(arguments)
    if options.data is not None and options.series is not None:
        describe(Folders(options.data, options.series), options.results / SHAPES)
    shapes = json.loads((options.results / SHAPES).read_text(encoding="utf-8"))
    records = [
        record_of(problem, pool, shapes[problem.id])
        for kind, problems in PROBLEMS.items()
        for pool in [pool_of(kind, options.results)]
        for problem in problems
    ]
    lm.records.write_record_lines(options.output, records)
    print(f"{options.output}: {len(records)} searches, {options.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
