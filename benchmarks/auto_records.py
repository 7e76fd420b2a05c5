"""``auto`` with the shipped records, on data sets that none of these is of.

On a task of each data set of ``shipped_pools.py`` ``auto`` knows the records of the others alone. For the same training
FLOPs in the same space it is compared with ``auto`` without any records, and with the one network that is best on
average for the other data sets, trained for all of the budget. Searches are written as they finish, one a line:

    python benchmarks/auto_records.py --data FOLDER --series FOLDER
    python benchmarks/auto_records.py

The second form makes the table of what was written.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch
from bootstrap import mean_and_interval
from kept_rows import kept_rows, read_rows
from mixed_tasks import Folders, Problem
from shipped_pools import PROBLEMS, RESULTS

import lit_metanas as lm
from lit_metanas.records.record_lines import SHIPPED
from lit_metanas.searchers.halving.proposals import covering
from lit_metanas.tasks.splits import all_but_test
from lit_metanas.training.child import recipe_cost

METHODS = ("shipped records", "no records", "one for all")
FILE = "searches.jsonl"
EPOCHS = 100
"""What each method may spend, in passes over the data by the network that is best for the records."""


@dataclass(frozen=True)
class Row:
    """One search.

    Attributes:
        task: its id.
        kind: of its inputs.
        method: one of ``METHODS``.
        seed: of the search and the training.
        test: accuracy on the test part, in %.
        search: FLOPs of the search.
        training: FLOPs of the chosen network's training.
        seconds: of CPU time.
    """

    task: str
    kind: str
    method: str
    seed: int
    test: float
    search: int
    training: int
    seconds: float


RELATED = {"snips": "xsid", "xsid": "snips"}
"""Data sets that share sentences: xSID has translations of those of SNIPS."""


def records_without(dataset: str) -> list[lm.records.SearchRecord]:
    """The shipped records that are not of a data set, nor of one with some of its sentences."""
    own = {dataset, RELATED.get(dataset, dataset)}
    return [record for record in lm.records.read_record_lines(SHIPPED) if record.task_id.split("/")[0] not in own]


@contextmanager
def file_without(dataset: str) -> Iterator[str]:
    """The path of a file with the records of ``records_without``."""
    with TemporaryDirectory() as folder:
        path = f"{folder}/others.jsonl"
        lm.records.write_record_lines(path, records_without(dataset))
        yield path


def search(problem: Problem, kind: str, task: lm.Task, method: str, seed: int, epochs: int = EPOCHS) -> Row:
    """One method on one task, for the training FLOPs of so many epochs, of its search, too."""
    begin, space = time.process_time(), lm.default_space(task.shape)
    best = covering(records_without(problem.dataset), space, 1)[0]
    recipe = replace(lm.Recipe().replace(dict(best.recipe)), epochs=epochs)
    flops = recipe_cost(space, best.architecture, task, all_but_test(task), recipe).flops
    with file_without(problem.dataset) as path:
        if method == "one for all":
            alone = lm.searchers.FixedArchitecture(best.architecture)
            found = lm.search(task, space, method=alone, recipe=recipe, seed=seed, progress=False)
        else:
            records = [path] if method == METHODS[0] else []
            found = lm.auto(task, flops=flops, space=space, records=records, seed=seed, progress=False)
    test, costs = 100 * found.test_accuracy, (found.cost.flops, found.training_cost.flops)
    return Row(task.id, kind, method, seed, round(test, 2), *costs, round(time.process_time() - begin, 1))


def one_of_each(problems: Sequence[Problem]) -> list[Problem]:
    """The first task of each data set."""
    return list({problem.dataset: problem for problem in reversed(problems)}.values())[::-1]


def measure(folders: Folders, path: Path, seeds: Sequence[int]) -> list[Row]:
    """All searches, those among them that the file lacked."""
    problems = {p.id: (kind, p) for kind, own in PROBLEMS.items() for p in one_of_each(own)}
    task_of = cache(lambda name: problems[name][1].draw(folders))

    def measured(key: tuple[str, str, int]) -> Row:
        name, method, seed = key
        kind, problem = problems[name]
        print(row := search(problem, kind, task_of(name), method, seed), flush=True)
        return row

    wanted = [(name, method, seed) for seed, name, method in product(seeds, problems, METHODS)]
    return kept_rows(path, Row, wanted, measured, key=lambda row: (row.task, row.method, row.seed))


def ahead(rows: Sequence[Row], method: str) -> tuple[int, float, float, float, float, float]:
    """Number of pairs, accuracies of the first method and of another, their difference and its 95 % interval.

    Data sets are drawn again, then the searches of each.
    """
    scores = {(row.task, row.method, row.seed): row.test for row in rows}
    pairs = [
        (task, score, scores[task, method, seed])
        for (task, name, seed), score in scores.items()
        if name == METHODS[0] and (task, method, seed) in scores
    ]
    groups: dict[str, list[float]] = {}
    for task, mine, other in pairs:
        groups.setdefault(task.split("/")[0], []).append(mine - other)
    mean, low, high = mean_and_interval(groups)
    _, ours, theirs = zip(*pairs, strict=True)
    return len(pairs), fmean(ours), fmean(theirs), mean, low, high


def table(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each kind of input and each other method."""
    kinds = dict.fromkeys(row.kind for row in rows)
    for kind, method in product(("all", *kinds), METHODS[1:]):
        own = [row for row in rows if kind in ("all", row.kind)]
        number, mine, other, mean, low, high = ahead(own, method)
        yield (
            f"{kind:8} {number:4} pairs: shipped records {mine:.1f} %, {method} {other:.1f} %, {mean:+.1f} points "
            f"({low:+.1f} to {high:+.1f})"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--series", type=Path, help="folder of the archives of series")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the searches")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.data is not None and options.series is not None:
        lm.io.tune_allocator()
        measure(Folders(options.data, options.series), options.results / FILE, options.seeds)
    print("\n".join(table(read_rows(options.results / FILE, Row))))


if __name__ == "__main__":
    main()
