"""A mixed stream of tasks: what was learned on some data sets, on those of another one, after few trained children.

A pool of networks with their recipes is trained on each of 24 small tasks of images, speech, text and series
(``mixed_pool.py``). Then each data set in turn is left out: what its tasks are searched with has seen the others alone.
A search tries members of the pool one after the other, is told their validation accuracy, and is judged by the test
accuracy of the best by validation so far. Trainings and searches are kept as they finish:

    python benchmarks/mixed_stream.py --data FOLDER --series FOLDER

Without the folders it searches in what ``pool.jsonl`` and ``embeddings.json`` hold.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import optuna
import torch
from learned_pool import rank_correlation
from mixed_pool import POOL, RESULTS, STEPS, PairPool, PairSpace, in_turn
from mixed_tasks import FAMILIES, PROBLEMS, Folders, Problem
from optuna.samplers import BaseSampler, TPESampler
from paired import bootstrap_means
from pool_sampler import PREFIX, PoolSampler
from pool_space import PoolSpace

import lit_metanas as lm
from lit_metanas.io.files import replacing, write_whole
from lit_metanas.io.text import hardware
from lit_metanas.searchers.query.trial_loop import reseed
from lit_metanas.searchers.samplers.memory import EMBEDDING
from lit_metanas.surrogates.transfer import SourceGP, fit_source

SHOWN = (1, 3, 5, 10)
"""Trained children after which accuracy is reported."""
SEEDS = 10
DRAWS = 10_000
START = 3
"""Trials that the model-based baselines draw at random: with more they would be random search after five."""
ONE, FAMILY, ORACLE = "one for all", "best of the family", "best of the task"
"""Trained once, on no validation of the new task; the last one is chosen by test accuracy, which nobody can."""
MAIN = "portfolio"


@dataclass(frozen=True)
class Stream:
    """The pool's figures on the tasks that it was trained on in full.

    Attributes:
        pairs: the members.
        problems: the tasks.
        val: validation accuracy, shape ``(tasks, members)``.
        test: test accuracy of the same networks.
        embeddings: of the tasks, by id.
        choices: the space of architectures and recipes that the members were drawn from.
    """

    pairs: tuple[lm.Architecture, ...]
    problems: tuple[Problem, ...]
    val: np.ndarray
    test: np.ndarray
    embeddings: Mapping[str, tuple[float, ...]]
    choices: lm.ChoiceSpace = field(default_factory=PairSpace)

    @property
    def space(self) -> PoolSpace:
        """The members as a space."""
        return PoolSpace(self.pairs, self.choices)

    def elsewhere(self, place: int) -> Sources:
        """The tasks of other data sets than that of one task."""
        own = self.problems[place].dataset
        others = [p for p, problem in enumerate(self.problems) if problem.dataset != own]
        return Sources(self, tuple(others), self.val[others])


def stream_of(
    pool: PairPool, embeddings: Mapping[str, tuple[float, ...]], problems: Sequence[Problem] | None = None
) -> Stream:
    """The members that were trained on all tasks, those that come first; by default those of the mixed stream."""
    known = tuple(PROBLEMS if problems is None else problems)
    val, test = (np.stack([pool.scores(problem, signal) for problem in known]) for signal in ("val", "test"))
    number = int(np.isfinite(val).all(0).cumprod().sum())
    pairs = tuple(pool.pairs[:number])
    return Stream(pairs, known, val[:, :number], test[:, :number], embeddings, PairSpace(pool.space))


def embed(problems: Sequence[Problem], folders: Folders, path: Path) -> None:
    """Statistics of the training examples of each task, kept in a file."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for problem in problems:
        if problem.id not in kept:
            kept[problem.id] = list(lm.DataStatistics()(problem.draw(folders)))
            write_whole(path, json.dumps(kept, indent=1) + "\n")


@dataclass(frozen=True)
class Sources:
    """What a search of one task may learn from.

    Attributes:
        stream: all tasks.
        places: of those of other data sets.
        val: their validation accuracies, shape ``(sources, members)``; NaN where a member was not tried.
    """

    stream: Stream
    places: tuple[int, ...]
    val: np.ndarray

    def records(self, embedded: bool = True) -> list[lm.SearchRecord]:
        """One search of each, as files hold them."""
        found = []
        for place, values in zip(self.places, self.val, strict=True):
            known = [(pair, float(v)) for pair, v in zip(self.stream.pairs, values, strict=True) if not np.isnan(v)]
            trials = [lm.Trial(pair, v, lm.Cost(queries=n)) for n, (pair, v) in enumerate(known, start=1)]
            name = self.stream.problems[place].id
            embedding = self.stream.embeddings[name] if embedded else ()
            found.append(lm.SearchRecord(name, trials, embedding=embedding))
        return found

    def best(self, family: str | None = None) -> int:
        """The member of the highest mean validation accuracy, on all sources or on those of a family."""
        rows = [row for row, p in enumerate(self.places) if family is None or self.stream.problems[p].family == family]
        return int(np.nanmean(self.val[rows], axis=0).argmax())

    def mean_rank(self) -> list[int]:
        """Members by their mean rank on the sources, the best first."""
        ranks = [[(values > v).mean() + (values == v).mean() / 2 for v in values] for values in self.val]
        return np.argsort(np.mean(ranks, axis=0), kind="stable").tolist()


Learned = Callable[[Sources, int], Sources]
"""From the sources and a seed to what is told of them."""


def all_sources(sources: Sources, seed: int) -> Sources:
    """Everything."""
    del seed
    return sources


def permuted(sources: Sources, seed: int) -> Sources:
    """The members of each source mixed up: poisoned, of no use."""
    draw = np.random.default_rng(seed)
    return Sources(sources.stream, sources.places, np.stack([draw.permutation(row) for row in sources.val]))


def half_permuted(sources: Sources, seed: int) -> Sources:
    """Those of half of the sources mixed up."""
    draw = np.random.default_rng(seed)
    wrong = set(draw.permutation(len(sources.val))[: len(sources.val) // 2].tolist())
    rows = [draw.permutation(row) if place in wrong else row for place, row in enumerate(sources.val)]
    return Sources(sources.stream, sources.places, np.stack(rows))


def strange_embeddings(sources: Sources, seed: int) -> Sources:
    """Each source with the embedding of one that is drawn at random."""
    names = [sources.stream.problems[place].id for place in sources.places]
    others = np.random.default_rng(seed).permutation(names)
    drawn = {name: sources.stream.embeddings[other] for name, other in zip(names, others, strict=True)}
    return replace(sources, stream=replace(sources.stream, embeddings=drawn))


def a_third(sources: Sources, seed: int) -> Sources:
    """Each source has tried a third of the members, others than the next one."""
    draw = np.random.default_rng(seed)
    hidden = draw.random(sources.val.shape).argsort(axis=1) >= sources.val.shape[1] // 3
    return Sources(sources.stream, sources.places, np.where(hidden, np.nan, sources.val))


def only(sources: Sources, family: str, *, same: bool) -> Sources:
    """Those of a family, or of the others."""
    own = [row for row, p in enumerate(sources.places) if (sources.stream.problems[p].family == family) == same]
    return Sources(sources.stream, tuple(sources.places[row] for row in own), sources.val[own])


def portfolio(sources: Sources, *, weigh: bool = True, embedded: bool = True, size: int = max(SHOWN)) -> BaseSampler:
    """The sampler under test, held to the pool."""
    members = sources.stream.space
    records = sources.records(embedded)
    return PoolSampler(members, lm.PortfolioSampler(space=members, records=records, size=size, weigh=weigh))


class Surrogates:
    """Meta-surrogates of any of the tasks; the Gaussian process of each task is fitted once."""

    def __init__(self, stream: Stream) -> None:
        self.encoding = lm.OneHotEncoding(stream.space)
        self._kernel = lm.MetaSurrogate(encoding=self.encoding).kernel
        self._fitted: dict[int, SourceGP] = {}

    def of(self, sources: Sources) -> lm.MetaSurrogate:
        """That of some sources, all of whose members were tried."""
        found = lm.MetaSurrogate(encoding=self.encoding)
        for place, record in zip(sources.places, sources.records(), strict=True):
            if place not in self._fitted:
                data = lm.RecordDataModule(encoding=self.encoding, records=[record])
                data.setup("fit")
                self._fitted[place] = fit_source(data.train[0], self._kernel, self.encoding.candidates.features)
            found.sources[record.task_id] = self._fitted[place]
        mean = torch.stack([source.parameters for source in found.sources.values()]).mean(0)
        found.mean.data.copy_(mean)
        return found


def samplers_of(stream: Stream) -> dict[str, Callable[[Sources, int, str], BaseSampler]]:
    """What makes the sampler of each method, of the sources, a seed and the family of the task."""
    surrogates = Surrogates(stream)
    members = stream.space

    def gaussian(surrogate: lm.MetaSurrogate | None) -> BaseSampler:
        encoding = None if surrogate else surrogates.encoding
        return PoolSampler(
            members,
            lm.MetaSampler(space=members, encoding=encoding, surrogate=surrogate, first=5 if surrogate else START),
        )

    def told(change: Learned) -> Callable[[Sources, int, str], BaseSampler]:
        return lambda sources, seed, family: portfolio(change(sources, seed))

    evolution = {"population": 2 * START, "sample": START}
    return {
        MAIN: told(all_sources),
        "portfolio, no embeddings": lambda s, seed, family: portfolio(s, embedded=False),
        "portfolio, embeddings of others": told(strange_embeddings),
        "portfolio, as in the papers": lambda s, seed, family: portfolio(s, embedded=False, weigh=False),
        "portfolio, own family": lambda s, seed, family: portfolio(only(s, family, same=True)),
        "meta-sampler": lambda s, seed, family: gaussian(surrogates.of(s)),
        "random": lambda s, seed, family: PoolSampler(members),
        "TPE": lambda s, seed, family: PoolSampler(members, TPESampler(n_startup_trials=START)),
        "Gaussian process": lambda s, seed, family: gaussian(None),
        "evolution": lambda s, seed, family: PoolSampler(
            members, lm.RegularisedEvolution(space=stream.choices, **evolution)
        ),
        "portfolio, a third of the scores": told(a_third),
        "portfolio, other families": lambda s, seed, family: portfolio(only(s, family, same=False)),
        "portfolio, half poisoned": told(half_permuted),
        "portfolio, all poisoned": told(permuted),
    }


def search(sampler: BaseSampler, stream: Stream, place: int, seed: int, trials: int = max(SHOWN)) -> list[int]:
    """The members that a sampler tries on a task, told validation accuracies alone."""
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.set_user_attr(EMBEDDING, list(stream.embeddings[stream.problems[place].id]))
    reseed(sampler, seed)
    members = {pair: number for number, pair in enumerate(stream.pairs)}
    order = []
    for _ in range(trials):
        trial = study.ask()
        order.append(members[stream.choices.suggest(trial, PREFIX)])
        study.tell(trial, float(stream.val[place, order[-1]]))
    return order


Orders = dict[str, list[list[list[int]]]]
"""For each method, task and seed the members in the order in which they were tried."""


def replay(stream: Stream, seeds: int) -> Orders:
    """All searches."""
    orders: Orders = {"mean rank": []}
    methods = samplers_of(stream)
    for place, problem in enumerate(stream.problems):
        begin = time.process_time()
        sources = stream.elsewhere(place)
        orders["mean rank"].append([sources.mean_rank()[: max(SHOWN)]] * seeds)
        for name, make in methods.items():
            found: list[list[int]] = []
            for seed in range(seeds):
                if len(found) == 2 and found[0] == found[1]:  # nothing is drawn
                    found += [found[0]] * (seeds - 2)
                    break
                found.append(search(make(sources, seed, problem.family), stream, place, seed))
            orders.setdefault(name, []).append(found)
        print(f"{problem.id}: {time.process_time() - begin:.0f} s", flush=True)
    return orders


def chosen_accuracy(stream: Stream, orders: Sequence[Sequence[Sequence[int]]]) -> np.ndarray:
    """Test accuracy in % of the best by validation after each child, shape ``(tasks, seeds, children)``."""
    found = np.array(orders)
    tasks = np.arange(len(found))[:, None, None]
    val = stream.val[tasks, found]
    best = np.maximum.accumulate(val, axis=2)
    newer = np.concatenate([np.ones_like(val[..., :1], bool), best[..., 1:] > best[..., :-1]], axis=2)
    places = np.maximum.accumulate(np.where(newer, np.arange(val.shape[2]), 0), axis=2)
    return 100 * stream.test[tasks, np.take_along_axis(found, places, axis=2)]


def untrained(stream: Stream) -> dict[str, np.ndarray]:
    """Test accuracy in % of networks that no validation of the new task chose, shape ``(tasks,)``."""
    found: dict[str, list[float]] = {ONE: [], FAMILY: [], ORACLE: []}
    for place, problem in enumerate(stream.problems):
        sources, test = stream.elsewhere(place), stream.test[place]
        found[ONE].append(test[sources.best()])
        found[FAMILY].append(test[sources.best(problem.family)])
        found[ORACLE].append(test.max())
    return {name: 100 * np.array(values) for name, values in found.items()}


@dataclass(frozen=True)
class Row:
    """A method after so many trained children.

    Attributes:
        method: its name.
        children: how many were trained.
        accuracy: of the chosen one on test data, mean over tasks and seeds, %.
        ahead: of ``one for all``, in points, and the ends of the 95 % interval.
        main_ahead: how far the portfolio is ahead of it, likewise; none of itself.
        by_family: the accuracy of each family.
    """

    method: str
    children: int
    accuracy: float
    ahead: tuple[float, float, float]
    main_ahead: tuple[float, float, float] | None
    by_family: Mapping[str, float]


def difference(stream: Stream, pairs: np.ndarray) -> tuple[float, float, float]:
    """The mean of paired differences ``(tasks, seeds)`` and its 95 % interval.

    Data sets are drawn again, for tasks of one resemble each other, then tasks and seeds within each.
    """
    owners = [problem.dataset for problem in stream.problems]
    groups = [pairs[[row for row, own in enumerate(owners) if own == name]].ravel() for name in dict.fromkeys(owners)]
    low, high = np.quantile(bootstrap_means(groups, seed=0, draws=DRAWS), [0.025, 0.975])
    return round(float(pairs.mean()), 2), round(float(low), 2), round(float(high), 2)


def rows_of(stream: Stream, orders: Orders) -> list[Row]:
    """The table."""
    flat = untrained(stream)
    found = {name: chosen_accuracy(stream, own) for name, own in orders.items()}
    shape = found[MAIN].shape
    found |= {name: np.broadcast_to(values[:, None, None], shape) for name, values in flat.items()}
    families = np.array([problem.family for problem in stream.problems])
    rows = []
    for name, accuracy in found.items():
        for count in SHOWN:
            own, one, main = (each[..., count - 1] for each in (accuracy, found[ONE], found[MAIN]))
            by_family = {f: round(float(own[families == f].mean()), 2) for f in FAMILIES if (families == f).any()}
            ahead = None if name == MAIN else difference(stream, main - own)
            mean = round(float(own.mean()), 2)
            rows.append(Row(name, count, mean, difference(stream, own - one), ahead, by_family))
    return rows


def agreement_of(stream: Stream) -> dict[str, float]:
    """Mean rank correlation of the members' validation accuracies between tasks of different data sets."""
    found: dict[str, list[float]] = {}
    for a, one in enumerate(stream.problems):
        for b, other in enumerate(stream.problems[:a]):
            if one.dataset != other.dataset:
                key = one.family if one.family == other.family else "between families"
                found.setdefault(key, []).append(rank_correlation(stream.val[a], stream.val[b]))
    return {name: round(float(np.mean(values)), 2) for name, values in found.items()}


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    print(f"\n{'trained children':34}" + "".join(f"{count:>7}" for count in SHOWN) + "   after 5, ahead of one for all")
    for name in dict.fromkeys(row.method for row in rows):
        own = {row.children: row for row in rows if row.method == name}
        mean, low, high = own[5].ahead
        told = f"   {mean:+.1f} ({low:+.1f} to {high:+.1f})"
        if (ahead := own[5].main_ahead) is not None:
            told += f"; portfolio ahead of it {ahead[0]:+.1f} ({ahead[1]:+.1f} to {ahead[2]:+.1f})"
        print(f"{name:34}" + "".join(f"{own[count].accuracy:7.1f}" for count in SHOWN) + told)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--series", type=Path, help="folder of the archives of series")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pool, the searches and the table")
    parser.add_argument("--pairs", type=int, default=POOL, help="networks in the pool")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each training")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="searches of each task by each method")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pool = PairPool(options.results / "pool.jsonl", options.pairs, options.steps)
    file = options.results / "embeddings.json"
    if options.data is not None and options.series is not None:
        lm.tune_allocator()
        folders = Folders(options.data, options.series)
        pool.fill(in_turn(PROBLEMS), folders)
        embed(PROBLEMS, folders, file)
    stream = stream_of(pool, {n: tuple(v) for n, v in json.loads(file.read_text(encoding="utf-8")).items()})
    told = f"{len(stream.problems)} tasks of {len({p.dataset for p in stream.problems})} data sets"
    print(f"{told}, {len(stream.pairs)} networks; rank correlations {agreement_of(stream)}", flush=True)
    orders = replay(stream, options.seeds)
    rows = rows_of(stream, orders)
    show(rows)
    document = {
        "benchmark": "mixed stream",
        "hardware": hardware(),
        "tasks": [problem.id for problem in stream.problems],
        "networks": len(stream.pairs),
        "steps": options.steps,
        "seeds": options.seeds,
        "rank correlations": agreement_of(stream),
        "rows": [asdict(row) for row in rows],
    }
    for name, content in (("table.json", document), ("replays.json", {"schema": 1, "orders": orders})):
        with replacing(options.results / name) as temporary:
            indent = 1 if name == "table.json" else None
            temporary.write_text(json.dumps(content, indent=indent) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
