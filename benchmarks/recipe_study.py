"""What each part of a recipe is worth on images, on validation parts alone.

A network of four convolutions, 32-64-128-128 with max-pooling and a flat readout, sees 64,000 images of 32 times 32
pixels in each training: about 40 CPU-seconds with bf16. A fifth of each class of the part to learn from validates; the
test part of a set is not read. One part of the recipe changes at a time.

    python benchmarks/recipe_study.py --data FOLDER --sets clothing10 Caltech-101 --seeds 0 1
    python benchmarks/recipe_study.py        # the table alone
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from statistics import fmean
from tempfile import gettempdir
from typing import Any

import torch
from development_sets import SETS, divide_evenly, written
from kept_rows import kept_rows
from mixed_tasks import Folders
from references import image_networks

import lit_metanas as lm
from lit_metanas.io.text import table_lines
from lit_metanas.records.statistics import percent
from lit_metanas.searchers.mutation import complete
from lit_metanas.training.child import fit_child, score

RESULTS = Path(__file__).parent / "results" / "recipe_study.jsonl"
SEEN = 64_000
"""Images of a training, with repetition."""
MIRRORED = ("clothing10", "Caltech-101", "20 of Caltech-101", "hand signs")
BASE = lm.Recipe(
    batch_size=64, learning_rate=3e-3, weight_decay=0.05, label_smoothing=0.1, augmentation="light", warmup=0.1
)
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "no augmentation": {"augmentation": "none", "mirror": False},
    "strong": {"augmentation": "strong"},
    "not mirrored": {"mirror": False},
    "average 0.05": {"average": 0.05},
    "average 0.2": {"average": 0.2},
    "mixup 0.2": {"mixup": 0.2},
    "batch 32": {"batch_size": 32},
    "batch 128": {"batch_size": 128},
    "learning rate 1e-3": {"learning_rate": 1e-3},
    "learning rate 1e-2": {"learning_rate": 1e-2},
    "no warm-up": {"warmup": 0.0},
    "warm-up 0.3": {"warmup": 0.3},
    "weight decay 1e-3": {"weight_decay": 1e-3},
    "weight decay 0.2": {"weight_decay": 0.2},
    "no smoothing": {"label_smoothing": 0.0},
}
SPACE = lm.LayeredSpace(
    kernels=(3,), widths=(32, 64, 128), activations=("ReLU",), pools=("max",), dropouts=(0.0,), readouts=("flat",)
)
WIDTHS = {f"layer{place}.width": width for place, width in enumerate(("32", "64", "128", "128"), 1)}
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Row:
    """One training: a set, what of the recipe is changed, and its validation accuracy, in %."""

    data: str
    recipe: str
    seed: int
    value: float
    seconds: float


def task_of(data: Path, files: Path, name: str) -> lm.Task:
    """The part of a set to learn from, a fifth of which validates."""
    inputs, names = image_networks.read(written(name, Folders(data, Path()), files)[0])
    classes = sorted(set(names))
    labels = torch.tensor([classes.index(label) for label in names])
    train, val = (lm.Split(inputs[rows], labels[rows]) for rows in divide_evenly(names).values())
    return lm.Task(name, len(classes), train, val, val)


def measure(task: lm.Task, key: Key) -> Row:
    """Train by a changed recipe, and validate."""
    name, change, seed = key
    base = replace(BASE, mirror=name in MIRRORED, epochs=max(1, round(SEEN / len(task.train))))
    begin = time.process_time()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        recipe = replace(base, **CHANGES[change])
        child = lm.Child(
            space=SPACE, architecture=complete(SPACE, WIDTHS), shape=task.shape, way=task.way, recipe=recipe
        )
        fit_child(child, task.train, seed=seed, precision="bf16-mixed")
        assert task.val is not None
        value = 100 * score(child, task.val)
    row = Row(*key, round(value, 2), round(time.process_time() - begin, 1))
    print(row, flush=True)
    return row


def table(rows: Sequence[Row]) -> str:
    """Validation accuracies, means over seeds, as Markdown."""
    names = list(dict.fromkeys(row.data for row in rows))
    body: list[Sequence[str]] = [["recipe", *names], ["---"] + ["---:"] * len(names)]
    for change in CHANGES:
        own = [[row.value for row in rows if (row.data, row.recipe) == (name, change)] for name in names]
        if any(own):
            body.append([change, *(percent(fmean(values) / 100) if values else "" for values in own)])
    return table_lines(body)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets; without it the table alone is shown")
    parser.add_argument("--sets", nargs="+", choices=[*SETS], default=["clothing10", "Caltech-101"])
    parser.add_argument("--recipes", nargs="+", choices=[*CHANGES], default=[*CHANGES])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--files", type=Path, default=Path(gettempdir()) / "development_sets", help="folder to write in"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.io.tune_allocator()
    read = cache(lambda name: task_of(options.data, options.files, name))
    wanted = [(name, recipe, seed) for seed, recipe, name in product(options.seeds, options.recipes, options.sets)] * (
        options.data is not None
    )
    rows = kept_rows(
        options.results,
        Row,
        wanted,
        lambda key: measure(read(key[0]), key),
        key=lambda row: (row.data, row.recipe, row.seed),
    )
    print(table(rows))


if __name__ == "__main__":
    main()
