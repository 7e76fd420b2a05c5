"""What the benchmarks of amortised search share: problems, source records, searches, paired comparisons.

Source records are searches from random initialisation on the other data sets, by the plain loops of
``plain_search.py``; what a search on a data set learns from is never a search of that data set.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, median

import torch
from figure import document_rows, parser_of, write_document
from optuna.samplers import BaseSampler, TPESampler
from plain_search import Candidate, random_search, regularised_evolution
from torch import Tensor

from lit_metanas.estimators import Estimator, Score
from lit_metanas.records import Budget, Cost, TaskScores
from lit_metanas.records.statistics import t_interval
from lit_metanas.searchers import MetaSampler, QuerySearcher
from lit_metanas.spaces import Architecture, Encoding
from lit_metanas.surrogates import TransferSurrogate
from lit_metanas.surrogates.gaussian_process import GroupedKernel
from lit_metanas.surrogates.meta_surrogate import SURROGATE_KEY, surrogate_entry
from lit_metanas.surrogates.transfer import SourceGP, fit_source

POPULATION, SAMPLE = 20, 5
SOURCES = ("separate", "one", "merged")
"""The records as one source for each other data set, those of one of them alone, or those of all as one source."""
SEARCHERS = ("MetaSampler", "GP", "sources first", "random", "evolution", "TPE")
RESAMPLES = 10_000


@dataclass(frozen=True)
class Problem:
    """One data set as a table.

    Attributes:
        name: the data set.
        encoding: of the space.
        scores: of the encoding's candidates, the higher the better, by which is searched.
        goal: the score to reach.
    """

    name: str
    encoding: Encoding
    scores: Mapping[Architecture, float]
    goal: float


@dataclass(frozen=True)
class Row:
    """One search.

    Attributes:
        dataset: the data set.
        searcher: its name.
        seed: of the search and of the source records.
        queries: until the goal; None where it was not reached.
        regrets: by number of queries how far the best score so far is from the best of all.
    """

    dataset: str
    searcher: str
    seed: int
    queries: int | None
    regrets: dict[str, float]


class UntilGoal(Estimator):
    """Looks scores up until the goal is reached, but at least so many; after that no budget pays for another.

    Args:
        problem: the table.
        least: queries that are made in any case.
    """

    def __init__(self, problem: Problem, least: int) -> None:
        self.problem = problem
        self.least = least
        self.values: list[float] = []

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query, or more than there is."""
        done = len(self.values) >= self.least and max(self.values) >= self.problem.goal
        return Cost(queries=10**9 if done else 1)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Look up."""
        self.values.append(self.problem.scores[architecture])
        return Score(self.values[-1], Cost(queries=1))


def row_of(problem: Problem, searcher: str, seed: int, values: Sequence[float], budgets: Sequence[int]) -> Row:
    """What a search found, from its scores in order."""
    reached = [place for place, value in enumerate(values, start=1) if value >= problem.goal]
    best = max(problem.scores.values())
    regrets = {str(number): best - max(values[:number]) for number in budgets}
    return Row(problem.name, searcher, seed, reached[0] if reached else None, regrets)


def searched(
    problem: Problem, searcher: str, sampler: BaseSampler, seed: int, limit: int, budgets: Sequence[int]
) -> Row:
    """Search with a sampler, for at least as many queries as the largest of ``budgets``."""
    estimator = UntilGoal(problem, max(budgets))
    space = problem.encoding.space
    QuerySearcher(sampler=sampler, patience=1000).run(
        estimator, space, Budget(queries=limit), seed, problem=problem.name
    )
    return row_of(problem, searcher, seed, estimator.values, budgets)


class Records:
    """The source searches of each data set and seed: random ones, then evolutions, from random initialisation.

    Args:
        problems: all data sets.
        random: how many random searches.
        evolutions: how many evolutions.
        queries: of each.
        sources: one of ``SOURCES``.
    """

    def __init__(
        self, problems: Sequence[Problem], *, random: int, evolutions: int, queries: int, sources: str = "separate"
    ) -> None:
        self.problems, self.sources = problems, sources
        self.random, self.evolutions, self.queries = random, evolutions, queries
        self.encoding = problems[0].encoding
        space, features = self.encoding.space, self.encoding.candidates.features
        self.kernel = GroupedKernel.of(features, self.encoding.groups)
        self._architectures = self.encoding.candidates.architectures
        places = {architecture: place for place, architecture in enumerate(self._architectures)}

        @cache
        def identity(candidate: Candidate) -> int:
            labels = {c.name: c.labels[label] for c, label in zip(space.choices, candidate, strict=True)}
            return places.get(space.canonical(labels), -1)

        self._identity = identity
        self._labels = [len(choice.labels) for choice in space.choices]
        self._fitted: dict[tuple[str, int], SourceGP] = {}

    def searches(self, problem: Problem, seed: int) -> list[list[Architecture]]:
        """Each search's architectures in order."""
        found = []
        for number in range(self.random + self.evolutions):
            draw = random.Random(f"{problem.name} {seed} {number}")
            if number < self.random:
                tried = random_search(self._labels, self._identity, self.queries + 1, draw)
            else:
                tried = regularised_evolution(
                    self._labels,
                    self._identity,
                    lambda place: problem.scores[self._architectures[place]] if place >= 0 else 0.0,
                    self.queries + 1,
                    draw,
                    population=POPULATION,
                    sample=SAMPLE,
                )
            # one more than wanted, as -1 stands for what cannot be built
            found.append([self._architectures[place] for place in tried if place >= 0][: self.queries])
        return found

    def source(self, problem: Problem, seed: int) -> SourceGP:
        """What is learned from a data set's searches."""
        return self._learned((problem,), seed)

    def _learned(self, problems: Sequence[Problem], seed: int) -> SourceGP:
        """What is learned from searches as from those of one task: the first score of an architecture counts."""
        key = "+".join(problem.name for problem in problems), seed
        if key not in self._fitted:
            found: dict[Architecture, float] = {}
            for problem in problems:
                for search in self.searches(problem, seed):
                    for one in search:
                        found.setdefault(one, problem.scores[one])
            scores = TaskScores(
                task_id=key[0],
                features=self.encoding(list(found)),
                scores=torch.tensor(list(found.values()), dtype=torch.float64),
                architectures=tuple(found),
            )
            self._fitted[key] = fit_source(scores, self.kernel, self.encoding.candidates.features)
        return self._fitted[key]

    def surrogate(self, target: Problem, seed: int) -> TransferSurrogate:
        """What is learned from other data sets than one, as ``sources`` says."""
        others = [problem for problem in self.problems if problem.name != target.name]
        if self.sources == "merged":
            sources = [self._learned(others, seed)]
        elif self.sources == "one":
            place = self.problems.index(target)
            sources = [self.source(others[(place + seed) % len(others)], seed)]
        else:
            sources = [self.source(problem, seed) for problem in others]
        mean = torch.stack([source.parameters for source in sources]).mean(0)
        return TransferSurrogate(self.kernel, sources, mean)

    def forget(self) -> None:
        """Drop the sources of seeds that are done."""
        self._fitted.clear()


def meta_searched(records: Records, problem: Problem, seed: int, limit: int, budgets: Sequence[int]) -> Row:
    """Search with what was learned from the other data sets."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "surrogate.ckpt"
        torch.save({SURROGATE_KEY: surrogate_entry(problem.encoding, records.surrogate(problem, seed))}, checkpoint)
        sampler = MetaSampler(
            space=problem.encoding.space, encoding=problem.encoding, checkpoint=str(checkpoint), seed=seed
        )
        return searched(problem, "MetaSampler", sampler, seed, limit, budgets)


def plain_searched(problem: Problem, seed: int, limit: int, budgets: Sequence[int]) -> Row:
    """Search with the same Gaussian process without sources."""
    sampler = MetaSampler(space=problem.encoding.space, encoding=problem.encoding, seed=seed)
    return searched(problem, "GP", sampler, seed, limit, budgets)


def sources_first(records: Records, problem: Problem, seed: int, limit: int, budgets: Sequence[int]) -> Row:
    """Try all in the order of the mean over the sources of what each expects."""
    expected = records.surrogate(problem, seed).source_means(problem.encoding.candidates.features).mean(0)
    order = expected.argsort(descending=True, stable=True)[:limit].tolist()
    architectures = problem.encoding.candidates.architectures
    values = [problem.scores[architectures[place]] for place in order]
    return row_of(problem, "sources first", seed, values, budgets)


def tpe_searched(problem: Problem, seed: int, limit: int, budgets: Sequence[int]) -> Row:
    """Search with Optuna's tree-structured Parzen estimator."""
    return searched(problem, "TPE", TPESampler(seed=seed), seed, limit, budgets)


def recorded(records: Records, problem: Problem, seed: int, limit: int, budgets: Sequence[int]) -> list[Row]:
    """The first random search and the first evolution among the source records of this data set."""
    searches = records.searches(problem, seed)
    chosen = {"random": searches[0], "evolution": searches[records.random]}
    return [
        row_of(problem, name, seed, [problem.scores[one] for one in tried[:limit]], budgets)
        for name, tried in chosen.items()
    ]


def run_all(
    path: Path | None,
    seeds: Sequence[int],
    targets: Sequence[Problem],
    make: Mapping[str, Callable[[Problem, int], Row]],
    records: Records,
) -> list[Row]:
    """Do what is not done yet, seed by seed, and keep each row as it comes."""
    rows = document_rows(path, Row)
    done = {(row.dataset, row.searcher, row.seed) for row in rows}
    for seed in seeds:
        for name, search in make.items():
            for problem in targets:
                if (problem.name, name, seed) not in done:
                    rows.append(search(problem, seed))
                    if path is not None:
                        write(path, rows, {})
        records.forget()
    return rows


def write(path: Path, rows: Sequence[Row], summary: Mapping[str, object]) -> None:
    """Write all rows as JSON, with the machine and the figures that were printed."""
    write_document(path, path.stem, **summary, rows=[asdict(row) for row in rows])


def queries_of(rows: Sequence[Row], searcher: str, dataset: str | None, limit: int) -> list[float]:
    """Queries until the goal by data set and seed, the limit where it was not reached."""
    found = [row for row in rows if row.searcher == searcher and dataset in (None, row.dataset)]
    found.sort(key=lambda row: (row.dataset, row.seed))
    return [float(min(row.queries or limit, limit)) for row in found]


def ratio(own: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Ratio of the mean queries of paired searches, with its 95 % interval by a paired bootstrap over seeds."""
    pairs = torch.tensor([own, other], dtype=torch.float64)
    draws = torch.randint(len(own), (RESAMPLES, len(own)), generator=torch.Generator().manual_seed(0))
    means = pairs[:, draws].mean(2)
    low, high = (means[0] / means[1]).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return fmean(own) / fmean(other), low, high


def difference(own: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Mean difference of paired searches with its 95 % interval, Student's."""
    found = t_interval([one - two for one, two in zip(own, other, strict=True)])
    return found.mean, found.mean - found.half, found.mean + found.half


def summarised(rows: Sequence[Row], datasets: Sequence[str], baseline: str, own: str, limit: int) -> dict[str, object]:
    """Print the table; returns its figures."""
    searchers = list(dict.fromkeys(row.searcher for row in rows))
    seeds = {name: len({row.seed for row in rows if row.searcher == name}) for name in searchers}
    print(f"queries, median / mean, at most {limit}; seeds: {seeds}")
    print(f"{'':16}" + "".join(f"{name:>16}" for name in searchers) + f"   {own} / {baseline}")
    found: dict[str, object] = {}
    for dataset in (*datasets, None):
        numbers = {name: queries_of(rows, name, dataset, limit) for name in searchers}
        cells = "".join(f"{f'{median(n):g} / {fmean(n):.1f}' if n else '–':>16}" for n in numbers.values())
        paired = len(numbers.get(own, ())) == len(numbers.get(baseline, ())) > 1
        pair = ratio(numbers[own], numbers[baseline]) if paired else None
        interval = f"   {pair[0]:.2f} ({pair[1]:.2f} to {pair[2]:.2f})" if pair else ""
        print(f"{dataset or 'all':16}{cells}{interval}")
        found[dataset or "all"] = {
            "median": {name: median(n) for name, n in numbers.items() if n},
            "mean": {name: round(fmean(n), 2) for name, n in numbers.items() if n},
            "ratio": pair,
        }
    differences = {}
    everything = {name: queries_of(rows, name, None, limit) for name in searchers}
    for name, numbers in everything.items():
        if name != own and len(numbers) == len(everything.get(own, ())) > 1:
            differences[name] = mean, low, high = difference(everything[own], numbers)
            print(f"{own} - {name}: {mean:+.1f} queries ({low:+.1f} to {high:+.1f})")
    budgets = list(rows[0].regrets)
    print("mean simple regret in points after " + ", ".join(budgets) + " queries")
    regrets = {
        name: [100 * fmean(row.regrets[number] for row in rows if row.searcher == name) for number in budgets]
        for name in searchers
    }
    for name, values in regrets.items():
        print(f"{name:16}" + "".join(f"{value:10.3f}" for value in values))
    return {
        "limit": limit,
        "summary": found,
        "differences": differences,
        "regrets in points": {n: dict(zip(budgets, v, strict=True)) for n, v in regrets.items()},
    }


def run(options: argparse.Namespace, problems: Sequence[Problem], seeds: Sequence[int], budgets: Sequence[int]) -> None:
    """Search as the command line says, print the table, and write the rows."""
    torch.set_num_threads(1)
    records = Records(problems, random=2, evolutions=3, queries=options.queries, sources=options.sources)
    given = {"limit": options.limit, "budgets": budgets}
    make: Mapping[str, Callable[[Problem, int], Row]] = {
        "MetaSampler": lambda problem, seed: meta_searched(records, problem, seed, **given),
        "GP": lambda problem, seed: plain_searched(problem, seed, **given),
        "sources first": lambda problem, seed: sources_first(records, problem, seed, **given),
        "random": lambda problem, seed: recorded(records, problem, seed, **given)[0],
        "evolution": lambda problem, seed: recorded(records, problem, seed, **given)[1],
        "TPE": lambda problem, seed: tpe_searched(problem, seed, **given),
    }
    targets = [problem for problem in problems if problem.name in options.targets]
    rows = run_all(options.output, seeds, targets, {name: make[name] for name in options.searchers}, records)
    summary = summarised(rows, options.targets, "GP", "MetaSampler", options.limit)
    goals = {problem.name: problem.goal for problem in problems}
    if options.output:
        write(options.output, rows, {"sources": options.sources, "goals": goals, **summary})


def amortised_parser(
    description: str | None, datasets: Sequence[str], *, seeds: int, first_seed: int
) -> argparse.ArgumentParser:
    """The options that the benchmarks share."""
    parser = parser_of(description)
    parser.add_argument("--targets", nargs="+", default=list(datasets), choices=datasets)
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS), choices=SEARCHERS)
    parser.add_argument("--seeds", type=int, default=seeds, help="how many, from the first")
    parser.add_argument("--first-seed", type=int, default=first_seed)
    parser.add_argument("--limit", type=int, default=200, help="most queries of a search")
    parser.add_argument("--queries", type=int, default=200, help="of each source search")
    parser.add_argument(
        "--sources",
        default="separate",
        choices=SOURCES,
        help="the records as one source for each other data set, those of one alone, or those of all as one source",
    )
    return parser
