"""Query searchers on NAS-Bench-201: test accuracy of what each chose by validation, after 50, 100 and 200 queries.

    python benchmarks/nas_bench_201.py --table nas_bench_201.npz --output benchmarks/results/nas_bench_201.json

Searches are kept as they finish, so that an interrupted run goes on. Random search and evolution are compared with
plain loops of their own; the difference of two means is given in its standard errors.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import torch
from figure import document_rows, parser_of, write_document
from plain_search import Candidate, random_search, regularised_evolution
from query_searchers import POPULATION, QUICK, SAMPLE, SEARCHERS, search

from lit_metanas.estimators import NASBench201Table, TabularEstimator
from lit_metanas.records import SearchRecord
from lit_metanas.spaces import Architecture

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
SIGNAL, TEST = "val_200", "test_200"
BUDGETS = (50, 100, 200)
PLAIN = ("random", "evolution")
PLAIN_SEEDS = 1000
PUBLISHED = {
    "best in the table": (94.37, 73.51, 47.31),
    "DrNAS": (94.36, 73.51, 46.34),
    "evolution": (94.23, 72.82, 46.49),
    "random": (93.83, 71.52, 45.37),
    "DARTS": (54.30, 38.97, 18.41),
    "ENAS": (54.30, 10.62, 16.32),
}
"""Test accuracy in the literature, in per cent; budgets and signals differ from paper to paper."""


@dataclass(frozen=True)
class Row:
    """Test accuracies of one searcher, in per cent, over seeds.

    Attributes:
        dataset: the data set.
        searcher: its name; of a plain loop, with ``plain`` in front.
        queries: architectures it could ask for.
        mean: mean over seeds.
        std: standard deviation over seeds.
        seeds: how many.
        milliseconds: mean time of a trial, those at no cost too, where it was taken.
    """

    dataset: str
    searcher: str
    queries: int
    mean: float
    std: float
    seeds: int
    milliseconds: float | None = None

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.std / sqrt(self.seeds)


def chosen(record: SearchRecord, queries: int) -> Architecture:
    """The best by validation among the first so many queries."""
    trials = [trial for trial in record.trials if trial.cost.queries <= queries]
    return max(trials, key=lambda trial: trial.value).architecture


def rows_of(dataset: str, searcher: str, tests: dict[int, list[float]], milliseconds: float | None = None) -> list[Row]:
    """One row a budget, from test accuracies by budget."""
    return [
        Row(dataset, searcher, queries, fmean(values), stdev(values), len(values), milliseconds)
        for queries, values in tests.items()
    ]


def searched(table: NASBench201Table, searcher: str, budgets: Sequence[int], seeds: int) -> list[Row]:
    """Search with seeds 0, 1, …; a search of the largest budget holds the smaller ones."""
    estimator = TabularEstimator(table, SIGNAL)
    tests: dict[int, list[float]] = {queries: [] for queries in budgets}
    begin, trials = time.perf_counter(), 0
    for seed in range(seeds):
        record = search(searcher, estimator, table.space, max(budgets), seed, problem=table.dataset)
        trials += len(record.trials)
        for queries in budgets:
            tests[queries].append(100 * table.score(chosen(record, queries), TEST))
    milliseconds = 1000 * (time.perf_counter() - begin) / trials
    return rows_of(table.dataset, searcher, tests, milliseconds)


def plain(table: NASBench201Table, searcher: str, budgets: Sequence[int], seeds: int) -> list[Row]:
    """The same by a plain loop, with other seeds."""
    space = table.space
    labels = [len(choice.labels) for choice in space.choices]

    @cache
    def identity(candidate: Candidate) -> int:
        named = {c.name: c.labels[label] for c, label in zip(space.choices, candidate, strict=True)}
        return space.to_index(space.canonical(named))

    @cache
    def value(index: int) -> float:
        return table.score(space.from_index(index), SIGNAL)

    tests: dict[int, list[float]] = {queries: [] for queries in budgets}
    for seed in range(seeds):
        draw = random.Random(f"plain {seed}")
        if searcher == "random":
            tried = random_search(labels, identity, max(budgets), draw)
        else:
            tried = regularised_evolution(
                labels, identity, value, max(budgets), draw, population=POPULATION, sample=SAMPLE
            )
        for queries in budgets:
            best = max(tried[:queries], key=value)
            tests[queries].append(100 * table.score(space.from_index(best), TEST))
    return rows_of(table.dataset, f"plain {searcher}", tests)


def differences(rows: Sequence[Row]) -> list[tuple[Row, Row, float]]:
    """Each row that has a plain counterpart, that one, and their difference in standard errors of the difference."""
    by_name = {(row.dataset, row.searcher, row.queries): row for row in rows}
    pairs = []
    for row in rows:
        other = by_name.get((row.dataset, f"plain {row.searcher}", row.queries))
        if other is not None:
            pairs.append((row, other, (row.mean - other.mean) / sqrt(row.error**2 + other.error**2)))
    return pairs


def show(rows: Sequence[Row], datasets: Sequence[str]) -> None:
    """Print one line for each searcher and budget, with the literature's figures below."""
    print(f"{'test accuracy in %':22} {'queries':>7}  " + "  ".join(f"{dataset:>14}" for dataset in datasets))
    cells = {(row.searcher, row.queries, row.dataset): row for row in rows}
    for searcher, queries in dict.fromkeys((row.searcher, row.queries) for row in rows):
        found = [cells[searcher, queries, dataset] for dataset in datasets]
        line = "  ".join(f"{row.mean:6.2f} ± {row.std:5.2f}" for row in found)
        print(f"{searcher:22} {queries:7d}  {line}")
    for name, published in PUBLISHED.items():
        by_dataset = dict(zip(DATASETS, published, strict=True))
        print(f"{'literature: ' + name:30}  " + "  ".join(f"{by_dataset[dataset]:6.2f}{'':8}" for dataset in datasets))
    pairs = differences(rows)
    if pairs:
        far = [pair for pair in pairs if abs(pair[2]) > 2]
        print(f"Of {len(pairs)} differences to the plain loops, {len(far)} exceed two standard errors.")
        for row, other, errors in far:
            print(
                f"  {row.dataset}, {row.searcher}, {row.queries}: {row.mean:.3f} and {other.mean:.3f} ({errors:+.1f})"
            )


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write rows, differences and the literature's figures as JSON, with the machine."""
    write_document(
        path,
        "query searchers on NAS-Bench-201",
        signal=SIGNAL,
        rows=[asdict(row) for row in rows],
        differences=[
            {"dataset": row.dataset, "searcher": row.searcher, "queries": row.queries, "standard_errors": errors}
            for row, _, errors in differences(rows)
        ],
        published={name: dict(zip(DATASETS, values, strict=True)) for name, values in PUBLISHED.items()},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--table", type=Path, required=True, help="NAS-Bench-201 as an .npz file")
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--searchers", nargs="+", default=list(QUICK), choices=list(SEARCHERS))
    parser.add_argument("--queries", type=int, nargs="+", default=list(BUDGETS))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--plain-seeds", type=int, default=PLAIN_SEEDS, help="seeds of the plain loops; 0 for none")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = document_rows(options.output, Row)
    for dataset in options.datasets:
        table = NASBench201Table(dataset, options.table)
        for searcher in options.searchers:
            if not any(row.dataset == dataset and row.searcher == searcher for row in rows):
                rows += searched(table, searcher, options.queries, options.seeds)
                if searcher in PLAIN and options.plain_seeds:
                    rows += plain(table, searcher, options.queries, options.plain_seeds)
            if options.output:
                write(options.output, rows)
    show(rows, options.datasets)


if __name__ == "__main__":
    main()
