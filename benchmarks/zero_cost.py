"""Zero-cost proxies on cells of NAS-Bench-201: rank correlation with published values, and with accuracy.

    python benchmarks/zero_cost.py --proxies nas_bench_201_zero_cost.npz --table nas_bench_201.npz

Networks are those of the benchmark, newly initialised, a seed for each. The published values were taken on CIFAR-10;
here are photographs of ten classes from ``--images`` (arrays ``images``, uint8 of shape (n, 32, 32, 3), and ``label``),
or else embedded glyphs. So only the proxies without data have a target: Spearman's correlation of at least 0.9.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from figure import Figure, show, write

from lit_metanas.estimators import (
    FlopCount,
    GradNorm,
    Jacov,
    L2Norm,
    NASBench201Table,
    Nwot,
    ParameterCount,
    Proxy,
    ProxyEstimator,
    Snip,
    Synflow,
)
from lit_metanas.spaces import NASBench201
from lit_metanas.tasks import DrawnTasks, Glyphs, Split, Task

PROXIES: Mapping[str, Proxy] = {
    "synflow": Synflow(),
    "l2_norm": L2Norm(),
    "snip": Snip(),
    "grad_norm": GradNorm(),
    "jacov": Jacov(),
    "nwot": Nwot(),
    "parameters": ParameterCount(),
    "flops": FlopCount(),
}
DATASET = "cifar10"
WAY = 10
TARGET = 0.9

Values = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Column:
    """What one proxy said of the cells: its values, -inf where it has none, and mean seconds for a cell."""

    values: Values
    seconds: float


def ranks(values: Values) -> Values:
    """Places in ascending order, equal values at their mean place."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse])


def spearman(left: Values, right: Values) -> float:
    """Correlation of ranks."""
    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


def published(path: Path) -> dict[str, Values]:
    """The published values of each proxy by official index, NaN where there is none."""
    with np.load(path, allow_pickle=False) as arrays:
        values = arrays["proxies"][list(arrays["datasets"]).index(DATASET)]
        return {str(name): values[:, place] for place, name in enumerate(arrays["proxy_names"])}


def minibatch(path: Path | None, size: int) -> Split:
    """Images of ten classes, shape ``(size, 3, 32, 32)``, in [0, 1]."""
    if path is None:
        train = DrawnTasks(Glyphs(), way=WAY, train=-(-size // WAY), val=0, test=1, tasks=1)[0].train
        return Split(F.pad(train.inputs, (2, 2, 2, 2)).expand(-1, 3, -1, -1), train.labels)
    with np.load(path, allow_pickle=False) as arrays:
        labels = torch.from_numpy(arrays["label"].astype(np.int64))
        images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2)
    classes = torch.randperm(int(labels.max()) + 1, generator=torch.Generator().manual_seed(0))[:WAY]
    chosen = torch.isin(labels, classes)
    places = torch.argsort(classes)
    return Split(images[chosen].float() / 255, places[torch.searchsorted(classes[places], labels[chosen])])


def score(proxy: Proxy, rows: Sequence[int], task: Task, space: NASBench201, images: int) -> Column:
    """The proxy of each cell, with initial weights of its own."""
    values, begin = [], time.process_time()
    for seed, row in enumerate(rows):
        estimator = ProxyEstimator(task, space, seed, proxy, images)
        try:
            values.append(estimator(space.from_index(row), fidelity=1.0).value)
        except ValueError:  # not finite: the worst
            values.append(-inf)
    return Column(np.array(values), (time.process_time() - begin) / len(rows))


def figures(
    columns: Mapping[str, Column], rows: Sequence[int], tables: Mapping[str, Values], accuracy: Values | None
) -> list[Figure]:
    """Rank correlations and times."""
    found = []
    for name, column in columns.items():
        if name in tables:
            target = None if PROXIES[name].needs_data else TARGET
            value = spearman(column.values, tables[name][rows])
            found.append(Figure(f"{name}, with the published values", value, target=target))
        if accuracy is not None:
            found.append(Figure(f"{name}, with test accuracy", spearman(column.values, accuracy)))
            if name in tables:
                value = spearman(tables[name][rows], accuracy)
                found.append(Figure(f"{name} as published, with test accuracy", value))
        found.append(Figure(f"{name}, processor time for a cell", 1000 * column.seconds, "ms"))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxies", type=Path, required=True, help="published values as an .npz file")
    parser.add_argument("--table", type=Path, help="NAS-Bench-201 as an .npz file, for the accuracy")
    parser.add_argument("--images", type=Path, help="photographs as an .npz file; embedded glyphs by default")
    parser.add_argument("--names", nargs="+", default=list(PROXIES), choices=list(PROXIES))
    parser.add_argument("--cells", type=int, default=150, help="how many, drawn at random")
    parser.add_argument("--batch", type=int, default=64, help="images in the minibatch")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--depth", type=int, default=5, help="cells in each stage")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tables = published(options.proxies)
    known = np.flatnonzero(np.isfinite(np.stack(list(tables.values()))).all(0))
    rows = [int(row) for row in np.random.default_rng(0).choice(known, options.cells, replace=False)]
    accuracy = None
    if options.table:
        table = NASBench201Table(DATASET, options.table)
        accuracy = np.array([table.score(table.space.from_index(row), "test_200") for row in rows])
    train = minibatch(options.images, options.batch)
    task = Task("zero cost", WAY, train, None, train)
    space = NASBench201(channels=options.channels, cells=options.depth, merge_isomorphs=False)
    columns: dict[str, Column] = {}
    found: list[Figure] = []
    title = (
        f"zero-cost proxies on {options.cells} cells of NAS-Bench-201, {options.channels} channels, {options.depth} "
        f"cells in each stage, {options.batch} {'photographs' if options.images else 'glyphs'}"
    )
    for name in options.names:
        columns[name] = score(PROXIES[name], rows, task, space, options.batch)
        found = figures(columns, rows, tables, accuracy)
        if options.output:
            write(options.output, title=title, figures=found)
    print(title)
    show(found)
    print(f"Mean time of all proxies: {1000 * fmean(column.seconds for column in columns.values()):.0f} ms for a cell")


if __name__ == "__main__":
    main()
