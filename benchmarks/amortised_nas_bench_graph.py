"""Amortised search on NAS-Bench-Graph, leave one data set out: queries to a network of the top 0.1 % by validation.

For each seed the source records are, on each of the other seven data sets, two random searches and three evolutions
of 200 queries from random initialisation. The baseline, GP, is the same Gaussian process without sources; random and
evolution are searches out of the records of the data set itself; TPE is Optuna's. Searches are kept as they finish,
so that an interrupted run goes on:

    pip install 'lit-metanas[graph]'
    python benchmarks/amortised_nas_bench_graph.py --output benchmarks/results/amortised_nas_bench_graph.json

With ``--sources one`` a search learns from one of the other data sets, another for each seed, and with ``--sources
merged`` from the records of all of them as those of one task.

What is in the sampler was chosen on seeds 1000 to 1035 (``--tuning``), and the reported ones, 112 to 153, were seen
once. Seeds 0 to 111 had shown earlier samplers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from amortised import Problem, amortised_parser, run

from lit_metanas.estimators import NASBenchGraphTable
from lit_metanas.spaces import NASBenchGraph, NASBenchGraphEncoding

DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv")
TOP = 0.001
BUDGETS = (10, 25, 50)
TUNING = range(1000, 1036)


def problems_of(folder: Path | None) -> list[Problem]:
    """All data sets of the large space."""
    encoding = NASBenchGraphEncoding(NASBenchGraph())
    problems = []
    for dataset in DATASETS:
        table = NASBenchGraphTable(dataset, folder)
        scores = {one: table.score(one, "val") for one in encoding.candidates.architectures}
        goal = sorted(scores.values(), reverse=True)[int(TOP * len(scores)) - 1]
        problems.append(Problem(dataset, encoding, scores, goal))
    return problems


def main(arguments: Sequence[str] | None = None) -> None:
    parser = amortised_parser(__doc__, DATASETS, seeds=42, first_seed=112)
    parser.add_argument("--folder", type=Path, help="where the tables lie; default: the package nas-bench-graph")
    parser.add_argument("--tuning", action="store_true", help="the seeds on which the sampler was chosen instead")
    options = parser.parse_args(arguments)
    seeds = TUNING if options.tuning else range(options.first_seed, options.first_seed + options.seeds)
    run(options, problems_of(options.folder), seeds, BUDGETS)


if __name__ == "__main__":
    main()
