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

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from amortised import (
    SOURCES,
    Problem,
    Records,
    meta_searched,
    plain_searched,
    recorded,
    run_all,
    sources_first,
    summarised,
    tpe_searched,
    write,
)

from lit_metanas.estimators import NASBench201Table
from lit_metanas.spaces import NASBench201Encoding

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
SIGNAL = "val_200"
BEST = 16
LIMIT = 200
BUDGETS = (5, 10, 25, 50)
SEARCHERS = ("MetaSampler", "GP", "sources first", "random", "evolution", "TPE")


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="NAS-Bench-201 as an .npz file")
    parser.add_argument("--targets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS), choices=SEARCHERS)
    parser.add_argument("--seeds", type=int, default=14, help="how many, from the first")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=LIMIT, help="most queries of a search")
    parser.add_argument("--queries", type=int, default=200, help="of each source search")
    parser.add_argument(
        "--sources",
        default="separate",
        choices=SOURCES,
        help="the records as one source for each other data set, those of one alone, or those of all as one source",
    )
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    problems = problems_of(options.table)
    records = Records(problems, random=2, evolutions=3, queries=options.queries, sources=options.sources)
    limit = options.limit
    make = {
        "MetaSampler": lambda problem, seed: meta_searched(records, problem, seed, limit, BUDGETS),
        "GP": lambda problem, seed: plain_searched(problem, seed, limit, BUDGETS),
        "sources first": lambda problem, seed: sources_first(records, problem, seed, limit, BUDGETS),
        "random": lambda problem, seed: recorded(records, problem, seed, limit, BUDGETS)[0],
        "evolution": lambda problem, seed: recorded(records, problem, seed, limit, BUDGETS)[1],
        "TPE": lambda problem, seed: tpe_searched(problem, seed, limit, BUDGETS),
    }
    targets = [problem for problem in problems if problem.name in options.targets]
    seeds = list(range(options.first_seed, options.first_seed + options.seeds))
    chosen = {name: make[name] for name in options.searchers}
    rows = run_all(options.output, seeds, targets, chosen, records)
    summary = summarised(rows, options.targets, "GP", "MetaSampler", limit)
    goals = {problem.name: problem.goal for problem in problems}
    if options.output:
        write(options.output, rows, {"sources": options.sources, "goals": goals, **summary})


if __name__ == "__main__":
    main()
