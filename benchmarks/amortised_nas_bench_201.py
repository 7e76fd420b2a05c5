"""Amortised search on NAS-Bench-201, leave one data set out: queries to one of the best 16 cells by validation.

A sanity check: the three data sets agree so well (0.96 and more) that trying first what is best on the other two,
the row "sources first", finds such a cell in a few queries. Source records are, for each seed and on each of the other
two data sets, two random searches and three evolutions of 200 queries from random initialisation. Searches are kept as
they finish, so that an interrupted run goes on:

    python benchmarks/amortised_nas_bench_201.py --table nas_bench_201.npz --output amortised_nas_bench_201.json

With ``--sources one`` a search learns from one of the other data sets, another for each seed, and with ``--sources
merged`` from the records of both as those of one task. How a search with few sources begins was chosen on seeds 1000 to
1039 of these data sets and 1000 to 1009 of NAS-Bench-Graph; nothing else in the sampler was chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from amortised import Problem, amortised_parser, run

from lit_metanas.estimators import NASBench201Table
from lit_metanas.spaces import NASBench201Encoding

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
SIGNAL = "val_200"
BEST = 16
BUDGETS = (5, 10, 25, 50)


def problems_of(file: Path) -> list[Problem]:
    """The three data sets, isomorphic cells merged."""
    space = NASBench201Table(DATASETS[0], file).space
    encoding = NASBench201Encoding(space)
    problems = []
    for dataset in DATASETS:
        table = NASBench201Table(dataset, file)
        scores = {one: table.score(one, SIGNAL) for one in encoding.candidates.architectures}
        problems.append(Problem(dataset, encoding, scores, sorted(scores.values(), reverse=True)[BEST - 1]))
    return problems


def main(arguments: Sequence[str] | None = None) -> None:
    parser = amortised_parser(__doc__, DATASETS, seeds=14, first_seed=0)
    parser.add_argument("--table", type=Path, required=True, help="NAS-Bench-201 as an .npz file")
    options = parser.parse_args(arguments)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    run(options, problems_of(options.table), seeds, BUDGETS)


if __name__ == "__main__":
    main()
