"""Query searchers on NAS-Bench-Graph: how many queries each needs to find a network of the top 0.1 % by validation.

Searches are kept as they finish, so that an interrupted run goes on:

    pip install 'lit-metanas[graph]'
    python benchmarks/nas_bench_graph_queries.py --output benchmarks/results/nas_bench_graph.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import torch
from figure import document_rows, parser_of, write_document
from query_searchers import QUICK, SEARCHERS, search
from torch import Tensor

from lit_metanas.estimators import Estimator, NASBenchGraphTable, Score, TabularEstimator
from lit_metanas.records import Cost
from lit_metanas.spaces import Architecture

DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv")
SIGNAL = "val"
TOP = 0.001
LIMIT = 1000


@dataclass(frozen=True)
class Row:
    """Queries that one searcher needed on one data set.

    Attributes:
        dataset: the data set.
        searcher: its name.
        median: median over seeds; infinite where half of them or more did not arrive within the limit.
        arrived: how many did.
        queries: of each seed; infinite where it did not arrive.
    """

    dataset: str
    searcher: str
    median: float
    arrived: int
    queries: tuple[float, ...]


class UntilGoal(Estimator):
    """Scores until one score reaches a goal; after that no budget pays for another.

    Args:
        estimator: scores.
        goal: the score to reach.
    """

    def __init__(self, estimator: Estimator, goal: float) -> None:
        self.estimator = estimator
        self.goal = goal
        self.reached = False

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """That of the estimator, or more than there is."""
        return Cost(queries=10**9) if self.reached else self.estimator.cost(architecture, fidelity)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Score, and see whether the goal is reached."""
        score = self.estimator(architecture, fidelity=fidelity, start=start)
        self.reached = score.value >= self.goal
        return score


def goal_of(table: NASBenchGraphTable, share: float) -> float:
    """The lowest validation score among the best ``share`` of all networks; at least the best one is among them."""
    scores = sorted((table.score(architecture, SIGNAL) for architecture in table.space.architectures()), reverse=True)
    return scores[max(int(share * len(scores)), 1) - 1]


def needed(table: NASBenchGraphTable, goal: float, searcher: str, limit: int, seed: int) -> float:
    """Queries until the goal, or infinity."""
    estimator = UntilGoal(TabularEstimator(table, SIGNAL), goal)
    record = search(searcher, estimator, table.space, limit, seed, problem=table.dataset)
    return float(record.trials[-1].cost.queries) if estimator.reached else inf


def row_of(table: NASBenchGraphTable, goal: float, searcher: str, limit: int, seeds: int) -> Row:
    """Search with the first so many seeds."""
    queries = tuple(needed(table, goal, searcher, limit, seed) for seed in range(seeds))
    return Row(table.dataset, searcher, median(queries), sum(number < inf for number in queries), queries)


def show(rows: Sequence[Row], limit: int) -> None:
    """Print the medians, data sets below one another, searchers side by side."""
    searchers = list(dict.fromkeys(row.searcher for row in rows))
    print(f"{'median of queries':18}" + "".join(f"{searcher:>14}" for searcher in searchers))
    cells = {(row.dataset, row.searcher): row for row in rows}
    for dataset in dict.fromkeys(row.dataset for row in rows):
        found = [cells[dataset, searcher].median for searcher in searchers]
        print(f"{dataset:18}" + "".join(f"{f'{m:.0f}' if m < inf else f'> {limit}':>14}" for m in found))


def write(path: Path, rows: Sequence[Row], goals: dict[str, float], limit: int) -> None:
    """Write the rows as JSON, with the machine; null stands for more queries than the limit."""
    plain = [asdict(row) for row in rows]
    for row in plain:
        row["median"] = row["median"] if row["median"] < inf else None
        row["queries"] = [number if number < inf else None for number in row["queries"]]
    title = f"queries to the top {100 * TOP:g} % of NAS-Bench-Graph by validation"
    write_document(path, title, limit=limit, goals=goals, rows=plain)


def row_from_document(queries: Sequence[float | None], **values: Any) -> Row:
    """A row of its values in the file."""
    numbers = tuple(inf if number is None else number for number in queries)
    return Row(**{**values, "median": median(numbers)}, queries=numbers)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--folder", type=Path, help="where the tables lie; default: the package nas-bench-graph")
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--searchers", nargs="+", default=list(QUICK), choices=list(SEARCHERS))
    parser.add_argument("--limit", type=int, default=LIMIT, help="most queries of one search")
    parser.add_argument("--seeds", type=int, default=21)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = document_rows(options.output, row_from_document)
    goals: dict[str, float] = {}
    for dataset in options.datasets:
        table = NASBenchGraphTable(dataset, options.folder)
        goals[dataset] = goal_of(table, TOP)
        for searcher in options.searchers:
            if not any(row.dataset == dataset and row.searcher == searcher for row in rows):
                rows.append(row_of(table, goals[dataset], searcher, options.limit, options.seeds))
            if options.output:
                write(options.output, rows, goals, options.limit)
    show(rows, options.limit)


if __name__ == "__main__":
    main()
