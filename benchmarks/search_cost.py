"""What a search costs at equal accuracy: learned on other data sets, against TPE, evolution and others from scratch.

All from trainings that are kept: the pool of the mixed stream (``mixed_pool.py``) and those of the shipped records
(``shipped_pools.py``), with the data set of each task left out of what its search has learned from. A search trains
members of the pool one after the other, each at its own FLOPs, until the best by validation so far has a test accuracy
that is asked for. One that never gets there is charged the whole pool. Costs count in trainings of a network of mean
FLOPs of the task. What was spent on the source tasks is not counted in.

    python benchmarks/search_cost.py

searches what ``results/search_cost/orders.json`` lacks, ten minutes of CPU time for all pools, and prints the tables;
with ``--kept`` it prints those of what is kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import optuna
import shipped_pools
import torch
from amortised import kept as kept_searches
from amortised import queries_of, ratio
from mixed_darts import FILE as DARTS_FILE
from mixed_darts import child_flops
from mixed_darts import read as read_darts
from mixed_pool import PairPool
from mixed_stream import MAIN, Stream, chosen_accuracy, portfolio, samplers_of, search, stream_of
from mixed_tasks import PROBLEMS, Problem
from optuna.samplers import BaseSampler

from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware
from lit_metanas.tasks.inputs import read_shape

RESULTS = Path(__file__).parent / "results"
FOLDER = RESULTS / "search_cost"
RANDOM = "random"
SEEDS: Mapping[str, int] = {
    MAIN: 10,
    "meta-sampler": 10,
    "TPE": 50,
    "evolution": 50,
    "Gaussian process": 10,
    RANDOM: 200,
}
"""Of each method."""
BASELINE = "TPE"
AFTER = (10, 20)
"""Children of the baseline whose mean accuracy is to be reached, beside that of its whole budget."""
WITHIN = 1.0
"""Points below the best of the pool."""
DRAWS = 10_000
LIMIT = 200
"""Most queries of a search of a table."""
TABLES = {"NAS-Bench-201": "amortised_nas_bench_201.json", "NAS-Bench-Graph": "amortised_nas_bench_graph.json"}
"""Searches of whole spaces, until one of the best by validation is found."""

Orders = dict[str, list[list[list[int]]]]
"""For each method, task and seed the members in the order in which they were tried."""


@dataclass(frozen=True)
class Trained:
    """A pool that was trained on all of some tasks.

    Attributes:
        name: of the pool.
        stream: what was measured.
        flops: of each training, shape ``(tasks, members)``.
    """

    name: str
    stream: Stream
    flops: np.ndarray

    @property
    def units(self) -> np.ndarray:
        """The FLOPs of each training as a share of the task's mean, shape ``(tasks, members)``."""
        return self.flops / self.flops.mean(axis=1, keepdims=True)


def trained(
    name: str, pool: PairPool, problems: Sequence[Problem], folder: Path, flops: list[list[int]] | None = None
) -> Trained:
    """A pool from its files; FLOPs that are not given are worked out."""
    shapes = json.loads((folder / "shapes.json").read_text(encoding="utf-8"))
    file = folder / "embeddings.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    stream = stream_of(pool, {p.id: tuple(known.get(p.id, ())) for p in problems}, problems)
    flops = flops or [
        [
            child_flops(pair, read_shape(told["shape"]), told["way"], told["examples"], pool.steps, pool.space)
            for pair in stream.pairs
        ]
        for told in (shapes[problem.id] for problem in problems)
    ]
    return Trained(name, stream, np.array(flops, dtype=float))


def all_pools(
    flops: Mapping[str, list[list[int]]], *, kept: bool = False, results: Path = RESULTS
) -> Iterator[Trained]:
    """The pools, with the FLOPs that are known of them; of all, or of those of which these are ``kept``."""
    mixed, shipped = results / "mixed_stream", results / "shipped"
    name = "mixed stream"
    if not kept or name in flops:
        yield trained(name, PairPool(mixed / "pool.jsonl"), PROBLEMS, mixed, flops.get(name))
    for kind, problems in shipped_pools.PROBLEMS.items():
        name = f"shipped, {kind}"
        if not kept or name in flops:
            yield trained(name, shipped_pools.pool_of(kind, shipped), problems, shipped, flops.get(name))


def makers(stream: Stream) -> dict[str, Callable[[int, int], BaseSampler]]:
    """What makes the sampler of each method, of a task's place and a seed."""
    found = samplers_of(stream)

    def elsewhere(name: str) -> Callable[[int, int], BaseSampler]:
        return lambda place, seed: found[name](stream.elsewhere(place), seed, stream.problems[place].family)

    whole = len(stream.pairs)
    return {name: elsewhere(name) for name in SEEDS} | {
        MAIN: lambda place, seed: portfolio(stream.elsewhere(place), size=whole)
    }


class Kept:
    """The searches of all pools, in a file that grows by a method of a pool at a time; random ones are drawn again.

    Args:
        path: the file.

    Attributes:
        orders: by pool.
        seconds: CPU time of a proposal, by pool and method: median over searches of their means, and the largest.
        flops: of the trainings, by pool.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.orders: dict[str, Orders] = known.get("orders", {})
        self.seconds: dict[str, dict[str, list[float]]] = known.get("seconds", {})
        self.flops: dict[str, list[list[int]]] = known.get("flops", {})
        for own in self.orders.values():
            self._draw(own, len(own[MAIN]), len(own[MAIN][0][0]))

    @staticmethod
    def _draw(own: Orders, tasks: int, number: int) -> None:
        own[RANDOM] = [
            [np.random.default_rng([place, seed]).permutation(number).tolist() for seed in range(SEEDS[RANDOM])]
            for place in range(tasks)
        ]

    def fill(self, pools: Sequence[Trained], seeds: Mapping[str, int]) -> None:
        """Search what the file lacks, by all methods on all tasks, each until the whole pool is trained."""
        for pool in pools:
            make, number, tasks = makers(pool.stream), len(pool.stream.pairs), len(pool.stream.problems)
            self.flops[pool.name] = pool.flops.astype(int).tolist()
            own = self.orders.setdefault(pool.name, {})
            self._draw(own, tasks, number)
            for name, count in seeds.items():
                found, spent = own.setdefault(name, [[] for _ in range(tasks)]), list[float]()
                for place, orders in enumerate(found):
                    while len(orders) < count:
                        if len(orders) == 2 and orders[0] == orders[1]:  # nothing is drawn
                            orders += [orders[0]] * (count - 2)
                            break
                        seed, begin = len(orders), time.process_time()
                        orders.append(search(make[name](place, seed), pool.stream, place, seed, number))
                        spent.append((time.process_time() - begin) / number)
                if spent:
                    times = [round(value, 4) for value in (median(spent), max(spent))]
                    self.seconds.setdefault(pool.name, {})[name] = times
                    self._write()
                    print(f"{pool.name}, {name}: {number * sum(spent):.0f} s", flush=True)

    def _write(self) -> None:
        orders = {name: {m: own[m] for m in own if m != RANDOM} for name, own in self.orders.items()}
        content = {"schema": 1, "seconds": self.seconds, "flops": self.flops, "orders": orders}
        write_whole(self.path, json.dumps(content, separators=(",", ":")) + "\n")


class Needed(NamedTuple):
    """What searches needed, each of shape ``(tasks, seeds)``.

    Attributes:
        children: trained networks.
        units: their cost, in trainings of mean FLOPs.
        missed: whether the accuracy was never reached; the two others are then of the whole pool.
    """

    children: np.ndarray
    units: np.ndarray
    missed: np.ndarray


def needed(pool: Trained, orders: Sequence[Sequence[Sequence[int]]], goals: np.ndarray) -> Needed:
    """What searches needed to reach test accuracies, in %, of shape ``(tasks,)``."""
    found = np.array(orders)
    reached = chosen_accuracy(pool.stream, orders) >= goals[:, None, None] - 1e-9
    missed = ~reached.any(axis=2)
    last = np.where(missed, found.shape[2] - 1, reached.argmax(axis=2))
    spent = pool.units[np.arange(len(found))[:, None, None], found].cumsum(axis=2)
    return Needed(last + 1, np.take_along_axis(spent, last[..., None], axis=2)[..., 0], missed)


def goals_of(pool: Trained, orders: Orders) -> dict[str, np.ndarray]:
    """The accuracies to reach, in %, each of shape ``(tasks,)``."""
    baseline = chosen_accuracy(pool.stream, orders[BASELINE]).mean(axis=1)
    found = {f"{BASELINE} after {number}": baseline[:, number - 1] for number in AFTER}
    found[f"{BASELINE} after all"] = baseline[:, -1]
    found[f"{WITHIN:g} point below the best"] = 100 * pool.stream.test.max(axis=1) - WITHIN
    return found


def first_choice(pool: Trained, goals: np.ndarray) -> np.ndarray:
    """The cost of the cheapest single network that reaches the goal, which nobody can know, shape ``(tasks,)``."""
    enough = 100 * pool.stream.test >= goals[:, None] - 1e-9
    return np.where(enough, pool.units, np.inf).min(axis=1)


def drawn_again(datasets: Sequence[str], values: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """Means over tasks ``(tasks, ...)`` of data sets that are drawn again, shape ``(draws, ...)``."""
    names = list(dict.fromkeys(datasets))
    picks = np.random.default_rng(0).integers(len(names), size=(draws, len(names)))
    times = np.stack([(picks == place).sum(axis=1) for place in range(len(names))], axis=1)
    weights = times[:, [names.index(own) for own in datasets]].astype(float)
    return np.tensordot(weights / weights.sum(axis=1, keepdims=True), values, axes=1)


@dataclass(frozen=True)
class Row:
    """How a method reaches an accuracy on the tasks of some pools.

    Attributes:
        pool: its name, or ``all``.
        goal: the accuracy's name.
        method: its name.
        children: trained networks until then, mean over tasks and seeds.
        units: their cost in trainings of mean FLOPs, likewise.
        missed: share of the searches that never reach it.
        times: its cost as a multiple of the portfolio's, and the ends of the 95 % interval over data sets.
    """

    pool: str
    goal: str
    method: str
    children: float
    units: float
    missed: float
    times: tuple[float, float, float]


def searched(pools: Sequence[Trained], orders: Mapping[str, Orders]) -> list[str]:
    """The methods whose searches are kept of all of some pools."""
    return [method for method in SEEDS if all(method in orders[pool.name] for pool in pools)]


def rows_of(name: str, pools: Sequence[Trained], orders: Mapping[str, Orders]) -> Iterator[Row]:
    """The rows of some pools together."""
    datasets = [problem.dataset for pool in pools for problem in pool.stream.problems]
    goals = [goals_of(pool, orders[pool.name]) for pool in pools]
    for goal in goals[0]:
        found = {
            method: [needed(pool, orders[pool.name][method], own[goal]) for pool, own in zip(pools, goals, strict=True)]
            for method in searched(pools, orders)
        }
        means = {
            method: np.concatenate([np.stack([part.mean(axis=1) for part in own], axis=1) for own in parts])
            for method, parts in found.items()
        }
        best = np.concatenate([first_choice(pool, own[goal]) for pool, own in zip(pools, goals, strict=True)])
        means["the cheapest that will do"] = np.stack([np.ones_like(best), best, np.zeros_like(best)], axis=1)
        for method, values in means.items():
            both = drawn_again(datasets, np.stack([values[:, 1], means[MAIN][:, 1]], axis=1))
            ends = np.quantile(both[:, 0] / both[:, 1], [0.025, 0.975])
            times = values[:, 1].mean() / means[MAIN][:, 1].mean()
            children, units, missed = values.mean(axis=0).round(3).tolist()
            low, high = ends.round(2).tolist()
            yield Row(name, goal, method, children, units, missed, (round(float(times), 2), low, high))


@dataclass(frozen=True)
class Level:
    """What a method costs until its accuracy, mean over tasks and seeds, is that of the baseline.

    Attributes:
        pool: its name.
        after: children of the baseline.
        accuracy: of the baseline after these, %.
        method: its name.
        children: of the method until its mean accuracy is as high.
        units: their cost in trainings of mean FLOPs.
        times: what the baseline spends as a multiple of it, and the ends of the 95 % interval over data sets.
    """

    pool: str
    after: int
    accuracy: float
    method: str
    children: int
    units: float
    times: tuple[float, float, float]


def curves_of(pool: Trained, orders: Sequence[Sequence[Sequence[int]]]) -> np.ndarray:
    """Accuracy in % and cost after each child, means over seeds, shape ``(tasks, 2, children)``."""
    found = np.array(orders)
    spent = pool.units[np.arange(len(found))[:, None, None], found].cumsum(axis=2)
    return np.stack([chosen_accuracy(pool.stream, orders).mean(axis=1), spent.mean(axis=1)], axis=1)


def until_level(curves: np.ndarray, after: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Children, cost, and how many times as much the baseline spends, each of shape ``(n,)``.

    Args:
        curves: accuracy and cost of the baseline, then of a method, shape ``(n, 4, children)``.
        after: children of the baseline.
    """
    reached = curves[:, 2] >= curves[:, 0, after - 1, None] - 1e-9
    last = np.where(reached.any(axis=1), reached.argmax(axis=1), curves.shape[2] - 1)
    spent = curves[np.arange(len(curves)), 3, last]
    return last + 1, spent, curves[:, 1, after - 1] / spent


def levels_of(pool: Trained, orders: Orders) -> Iterator[Level]:
    """The rows of one pool."""
    datasets = [problem.dataset for problem in pool.stream.problems]
    curves = {method: curves_of(pool, orders[method]) for method in SEEDS if method in orders}
    for after in (*AFTER, len(pool.stream.pairs)):
        for method, own in curves.items():
            both = np.concatenate([curves[BASELINE], own], axis=1)
            children, units, times = (float(each[0]) for each in until_level(both.mean(axis=0)[None], after))
            low, high = (
                np.quantile(until_level(drawn_again(datasets, both), after)[2], [0.025, 0.975]).round(2).tolist()
            )
            accuracy = round(float(curves[BASELINE][:, 0, after - 1].mean()), 2)
            yield Level(
                pool.name, after, accuracy, method, int(children), round(units, 2), (round(times, 2), low, high)
            )


@dataclass(frozen=True)
class DARTSRow:
    """DARTS beside the first children of the portfolio.

    Attributes:
        children: of the portfolio, of which the best by validation counts.
        tasks: that DARTS has searched.
        searches: of DARTS, over all seeds.
        darts: test accuracy of what DARTS found, trained in full, mean over tasks and seeds, %.
        portfolio: test accuracy of the portfolio's, %.
        ahead: of the portfolio, in points, and the ends of the 95 % interval over data sets.
        times: FLOPs of DARTS and the training of its network as a multiple of those of the children, and its interval.
        units: cost of DARTS in trainings of mean FLOPs.
    """

    children: int
    tasks: int
    searches: int
    darts: float
    portfolio: float
    ahead: tuple[float, float, float]
    times: tuple[float, float, float]
    units: float


def darts_rows(pool: Trained, orders: Orders, path: Path) -> Iterator[DARTSRow]:
    """What was kept of DARTS, on the tasks that it has searched."""
    rows = read_darts(path)
    problems = list(pool.stream.problems)
    own = {place: found for place, p in enumerate(problems) if (found := [row for row in rows if row.task == p.id])}
    if not own:
        return
    places = list(own)
    test = np.array([100 * np.mean([row.test for row in found]) for found in own.values()])
    spent = np.array([np.mean([row.search + row.training for row in found]) for found in own.values()])
    spent = spent / pool.flops[places].mean(axis=1)
    curves = curves_of(pool, orders[MAIN])[places]
    datasets = [problems[place].dataset for place in places]
    for children in (1, 3, 5):
        accuracy, cost = curves[:, 0, children - 1], curves[:, 1, children - 1]
        both = drawn_again(datasets, np.stack([accuracy - test, spent, cost], axis=1))
        ahead = np.quantile(both[:, 0], [0.025, 0.975]).round(2).tolist()
        times = np.quantile(both[:, 1] / both[:, 2], [0.025, 0.975]).round(1).tolist()
        yield DARTSRow(
            children,
            len(own),
            len(rows),
            round(float(test.mean()), 2),
            round(float(accuracy.mean()), 2),
            (round(float((accuracy - test).mean()), 2), *ahead),
            (round(float(spent.mean() / cost.mean()), 1), *times),
            round(float(spent.mean()), 1),
        )


def table_rows(folder: Path) -> dict[str, dict[str, tuple[float, float, float, float]]]:
    """Mean queries of each searcher of whole tables, and their multiple of MetaSampler's with its 95 % interval."""
    found: dict[str, dict[str, tuple[float, float, float, float]]] = {}
    for name, file in TABLES.items():
        rows = kept_searches(folder / file)
        own = queries_of(rows, "MetaSampler", None, LIMIT)
        found[name] = {}
        for searcher in dict.fromkeys(row.searcher for row in rows):
            queries = queries_of(rows, searcher, None, LIMIT)
            found[name][searcher] = (round(float(np.mean(queries)), 1), *(round(v, 2) for v in ratio(queries, own)))
    return found


def show(rows: Sequence[Row], levels: Sequence[Level], darts: Sequence[DARTSRow]) -> None:
    """Print the tables."""
    print(
        f"{'pool':18}{'until':24}{'searched by':26}{'children':>9}{'cost':>7}{'missed':>8}   times the portfolio's cost"
    )
    for row in rows:
        mean, low, high = row.times
        told = f"{row.children:9.1f}{row.units:7.2f}{100 * row.missed:7.0f}%{mean:8.2f} ({low:.2f} to {high:.2f})"
        print(f"{row.pool:18}{row.goal:24}{row.method:26}{told}")
    print(
        f"\n{'pool':18}{'mean accuracy as ' + BASELINE:26}{'searched by':20}{'children':>9}{'cost':>7}   times cheaper"
    )
    for level in levels:
        mean, low, high = level.times
        told = f"{level.children:9}{level.units:7.2f}{mean:8.2f} ({low:.2f} to {high:.2f})"
        print(f"{level.pool:18}{f'after {level.after}, {level.accuracy:.1f} %':26}{level.method:20}{told}")
    for one in darts:
        (ahead, low, high), (mean, least, most) = one.ahead, one.times
        print(
            f"DARTS, {one.searches} searches of {one.tasks} tasks: {one.darts:.1f} % at {one.units:.1f} trainings; "
            f"portfolio of {one.children}: {one.portfolio:.1f} %, {ahead:+.1f} points ({low:+.1f} to {high:+.1f}), "
            f"{mean:.1f} times cheaper ({least:.1f} to {most:.1f})"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the searches and the tables")
    parser.add_argument("--seeds", type=int, default=max(SEEDS.values()), help="at most so many of each method")
    parser.add_argument("--kept", action="store_true", help="search nothing, and make the tables of what is kept")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options.folder.mkdir(parents=True, exist_ok=True)
    kept = Kept(options.folder / "orders.json")
    if not options.kept:
        kept.fill(list(all_pools(kept.flops)), {name: min(count, options.seeds) for name, count in SEEDS.items()})
    pools = list(all_pools(kept.flops, kept=True))
    rows = [row for pool in pools for row in rows_of(pool.name, [pool], kept.orders)]
    if pools[1:]:
        rows += rows_of("all shipped", pools[1:], kept.orders)
    levels = [level for pool in pools for level in levels_of(pool, kept.orders[pool.name])]
    darts = list(darts_rows(pools[0], kept.orders[pools[0].name], RESULTS / "mixed_stream" / DARTS_FILE))
    tables = table_rows(RESULTS)
    show(rows, levels, darts)
    for name, found in tables.items():
        told = "; ".join(f"{s} {q:g}, {t:g} times ({a:g} to {b:g})" for s, (q, t, a, b) in found.items())
        print(f"queries on {name}: {told}")
    document = {
        "benchmark": "search cost",
        "hardware": hardware(),
        "seeds": {name: {m: len(found[0]) for m, found in own.items()} for name, own in kept.orders.items()},
        "seconds a proposal, median and largest mean of a search": kept.seconds,
        "rows": [asdict(row) for row in rows],
        "levels": [asdict(level) for level in levels],
        "darts": [asdict(row) for row in darts],
        "queries, times MetaSampler's": tables,
    }
    write_whole(options.folder / "table.json", json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
