"""Amortised search on NAS-Bench-201, leave one data set out: queries to one of the best 16 cells by validation.

A sanity check: the three data sets agree so well (0.96 and more) that trying first what is best on the other two,
the row "sources first", finds such a cell in a few queries. Source records are, for each seed and on each of the other
two data sets, two random searches and three evolutions of 200 queries from random initialisation. Searches are kept as
they finish, so that an interrupted run goes on:

    python benchmarks/amortised_nas_bench_201.py --table nas_bench_201.npz --output amortised_nas_bench_201.json

Nothing in the sampler was chosen on these data sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from amortised import (
    Problem,
    Records,
    Row,
    meta_searched,
    plain_searched,
    recorded,
    row_of,
    run_all,
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


def sources_first(records: Records, problem: Problem, seed: int, limit: int) -> Row:
    """Try all cells in the order of the mean over the sources of what each expects."""
    expected = torch.stack([source.candidates for source in records.surrogate(problem, seed).sources]).mean(0)
    order = expected.argsort(descending=True, stable=True)[:limit].tolist()
    architectures = problem.encoding.candidates.architectures
    values = [problem.scores[architectures[place]] for place in order]
    return row_of(problem, "sources first", seed, values, BUDGETS)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="NAS-Bench-201 as an .npz file")
    parser.add_argument("--targets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS), choices=SEARCHERS)
    parser.add_argument("--seeds", type=int, default=14, help="seeds 0, 1, …")
    parser.add_argument("--limit", type=int, default=LIMIT, help="most queries of a search")
    parser.add_argument("--queries", type=int, default=200, help="of each source search")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    problems = problems_of(options.table)
    records = Records(problems, random=2, evolutions=3, queries=options.queries)
    limit = options.limit
    make = {
        "MetaSampler": lambda problem, seed: meta_searched(records, problem, seed, limit, BUDGETS),
        "GP": lambda problem, seed: plain_searched(problem, seed, limit, BUDGETS),
        "sources first": lambda problem, seed: sources_first(records, problem, seed, limit),
        "random": lambda problem, seed: recorded(records, problem, seed, limit, BUDGETS)[0],
        "evolution": lambda problem, seed: recorded(records, problem, seed, limit, BUDGETS)[1],
        "TPE": lambda problem, seed: tpe_searched(problem, seed, limit, BUDGETS),
    }
    targets = [problem for problem in problems if problem.name in options.targets]
    chosen = {name: make[name] for name in options.searchers}
    rows = run_all(options.output, list(range(options.seeds)), targets, chosen, records)
    summary = summarised(rows, options.targets, "GP", "MetaSampler", limit)
    if options.output:
        write(options.output, rows, {"goals": {problem.name: problem.goal for problem in problems}, **summary})


if __name__ == "__main__":
    main()
