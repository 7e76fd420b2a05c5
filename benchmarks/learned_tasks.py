"""Learning from searches of earlier tasks where to look on a new one, end to end, on trained networks.

A pool of networks is trained on 12 source and 4 target tasks (``learned_pool.py``); searches from random
initialisation on the sources make the records; ``lit-metanas fit`` trains the meta-surrogate on them; and each target
is searched, by what the pool's trainings gave, with and without it. Everything is kept as it finishes, so that an
interrupted run goes on; without ``replays.json`` the targets are searched anew:

    python benchmarks/learned_tasks.py
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from glyph_problems import REPEATED, SOURCES, TARGETS, Problem
from learned_pool import RECIPE, RESULTS, SPACE, Pool, PoolTable, agreement
from optuna.samplers import BaseSampler, TPESampler
from pool_sampler import PoolSampler
from pool_space import PoolSpace
from regret_figure import draw
from regrets import Regrets, arrivals, regrets, rows_of, show

from lit_metanas.cli.command_line import main as lit_metanas
from lit_metanas.estimators import TabularEstimator
from lit_metanas.io.files import replacing, write_whole
from lit_metanas.io.text import hardware
from lit_metanas.records import Budget, SearchRecord, read_record_lines, write_record_lines
from lit_metanas.searchers import MetaSampler, QuerySearcher, RegularisedEvolution
from lit_metanas.spaces import Architecture, OneHotEncoding
from lit_metanas.tasks import DataStatistics
from lit_metanas.training import Recipe

CONFIGS = Path(__file__).parent.parent / "configs"
META, GP, TPE, RANDOM, EVOLUTION, MEAN = "meta-learned", "Gaussian process", "TPE", "random", "evolution", "source mean"
EMBEDDED = "meta-learned, embedding"
"""Its first proposals come from sources whose images have statistics like the target's."""
SEARCHERS = (META, EMBEDDED, RANDOM, TPE, GP, EVOLUTION, MEAN)
SHOWN = (3, 5, 10, 20)
"""Trained children after which the regret is printed."""


@dataclass(frozen=True)
class Plan:
    """How much is searched; by default what is reported.

    Attributes:
        sources: tasks that records are made of.
        targets: tasks that are held out.
        source_seeds: searches of each source by random search, and as many by evolution, for each seed of the targets:
            so the spread over seeds has that of the records in it.
        source_queries: architectures in each.
        seeds: searches of each target by each searcher.
        queries: architectures in each.
    """

    sources: tuple[Problem, ...] = SOURCES
    targets: tuple[Problem, ...] = TARGETS
    source_seeds: int = 3
    source_queries: int = 16
    seeds: int = 20
    queries: int = 30


def sampler_of(name: str, pool: Pool, checkpoint: Path | None = None) -> BaseSampler:
    """The sampler of this name, held to the pool; its seed comes with the search."""
    members = PoolSpace(pool.architectures, SPACE)
    if name == RANDOM:
        return PoolSampler(members)
    if name == TPE:
        return PoolSampler(members, TPESampler())
    if name == EVOLUTION:
        return PoolSampler(members, RegularisedEvolution(population=8, sample=3, space=SPACE))
    source = str(checkpoint) if name in (META, EMBEDDED) else None
    return PoolSampler(members, MetaSampler(space=members, encoding=OneHotEncoding(members), checkpoint=source))


Embeddings = Mapping[str, tuple[float, ...]]
"""What tasks are like, by their ids."""


def embeddings_of(problems: Sequence[Problem], path: Path) -> Embeddings:
    """Statistics of the training images of each task, kept in a file."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = {p.id: kept[p.id] if p.id in kept else DataStatistics()(p.draw()) for p in problems}
    if found.keys() - kept.keys():
        write_whole(path, json.dumps({**kept, **found}, indent=1) + "\n")
    return {name: tuple(values) for name, values in found.items()}


def search(
    name: str,
    pool: Pool,
    problem: Problem,
    *,
    queries: int,
    seed: int,
    embedding: tuple[float, ...] = (),
    checkpoint: Path | None = None,
) -> SearchRecord:
    """Search one task by validation scores alone."""
    searcher = QuerySearcher(sampler=sampler_of(name, pool, checkpoint), study=name)
    estimator = TabularEstimator(PoolTable(pool, problem), "val")
    budget = Budget(queries=queries)
    return searcher.run(estimator, SPACE, budget, seed, problem=problem.id, embedding=embedding).record


def make_records(pool: Pool, plan: Plan, embeddings: Embeddings, path: Path, seed: int) -> list[SearchRecord]:
    """Search the sources from random initialisation, unless the file holds these searches."""
    seeds = range(seed * plan.source_seeds, (seed + 1) * plan.source_seeds)
    wanted = list(product((RANDOM, EVOLUTION), plan.sources, seeds))
    queries = min(plan.source_queries, len(pool.architectures))
    kept = read_record_lines(path, SPACE) if path.exists() else []
    by_search = {(record.method, record.task_id, record.seed): record for record in kept}
    records = [
        known
        if (known := by_search.get((name, problem.id, own))) and len(known.trials) == queries
        else search(name, pool, problem, queries=queries, seed=own, embedding=embeddings[problem.id])
        for name, problem, own in wanted
    ]
    if records != kept:
        write_record_lines(path, records)
    return records


@dataclass(frozen=True)
class Lesson:
    """What was learned for one seed.

    Attributes:
        records: of the searches of the sources.
        checkpoint: of the meta-surrogate that was trained on them.
        digest: of the records.
    """

    records: list[SearchRecord]
    checkpoint: Path
    digest: str


def learn(pool: Pool, plan: Plan, embeddings: Embeddings, work: Path, seed: int) -> Lesson:
    """Make records and train the meta-surrogate on them, unless that was done."""
    lines = work / f"records-{seed}.jsonl"
    records = make_records(pool, plan, embeddings, lines, seed)
    told = [[r.method, r.task_id, r.embedding, [(str(t.architecture), t.value) for t in r.trials]] for r in records]
    digest = sha256(json.dumps(told).encode()).hexdigest()[:16]
    folder = work / f"surrogate-{seed}-{digest}"
    found = list(folder.rglob("last.ckpt"))
    return Lesson(records, found[0] if found else fit(lines, folder), digest)


def fit(records: Path, folder: Path) -> Path:
    """Train the meta-surrogate as a user does."""
    config = CONFIGS / "amortised" / "layered_surrogate.yaml"
    paths = f"--data.init_args.paths=[{json.dumps(str(records))}]"
    quiet = "--trainer.enable_progress_bar=false"
    lit_metanas(["fit", "-c", str(config), paths, quiet, f"--trainer.default_root_dir={folder}"])
    (checkpoint,) = folder.rglob("last.ckpt")
    return checkpoint


def source_mean(records: Sequence[SearchRecord], pool: Sequence[Architecture]) -> list[int]:
    """Members by the mean over tasks of their normal score among what was tried there; those never tried count 0."""
    scores: dict[str, dict[Architecture, float]] = {}
    for record in records:
        scores.setdefault(record.task_id, {}).update({t.architecture: t.value for t in record.trials if t.scored})
    totals = np.zeros(len(pool))
    for found in scores.values():
        values = np.array(list(found.values()))
        for place, member in enumerate(pool):
            if member in found:
                below = (values < found[member]).mean() + (values == found[member]).mean() / 2
                totals[place] += NormalDist().inv_cdf(float(below)) / len(scores)
    return np.argsort(-totals, kind="stable").tolist()


class Replays:
    """The members that each search tried, in order, in a file that grows.

    Args:
        path: the file.
        digests: of what was learned for each seed; searches with something else are done anew.
    """

    def __init__(self, path: Path, digests: Sequence[str]) -> None:
        self.path, self.digests = path, list(digests)
        self.orders: dict[str, list[int]] = {}
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            pairs = zip(document["learned"], digests, strict=False)
            same = {str(seed) for seed, (then, now) in enumerate(pairs) if then == now}
            self.orders = {key: order for key, order in document["orders"].items() if key.split(", ")[-1] in same}

    def fill(self, pool: Pool, plan: Plan, embeddings: Embeddings, lessons: Sequence[Lesson]) -> None:
        """Search what the file does not hold yet."""
        for problem, name in product(plan.targets, SEARCHERS):
            for seed in range(plan.seeds):
                key = _key(problem, name, seed)
                if len(self.orders.get(key, ())) < min(plan.queries, len(pool.architectures)):
                    embedding = embeddings[problem.id] if name == EMBEDDED else ()
                    self.orders[key] = _order(pool, plan, problem, name, seed, embedding, lessons[seed])
            self.write()
            print(f"{problem.id}: {name}", flush=True)

    def write(self) -> None:
        """Write the file atomically, one search a line."""
        rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(order)}" for key, order in self.orders.items())
        with replacing(self.path) as temporary:
            text = f'{{"schema": 1, "learned": {json.dumps(self.digests)}, "orders": {{\n{rows}\n}}}}\n'
            temporary.write_text(text, encoding="utf-8")


def _order(
    pool: Pool, plan: Plan, problem: Problem, name: str, seed: int, embedding: tuple[float, ...], lesson: Lesson
) -> list[int]:
    """The members that one search tries, by their places in the pool."""
    queries = min(plan.queries, len(pool.architectures))
    if name == MEAN:
        return source_mean(lesson.records, pool.architectures)[:queries]
    record = search(name, pool, problem, queries=queries, seed=seed, embedding=embedding, checkpoint=lesson.checkpoint)
    places = {architecture: place for place, architecture in enumerate(pool.architectures)}
    return [places[trial.architecture] for trial in record.trials if not trial.duplicate]


def _key(problem: Problem, name: str, seed: int) -> str:
    return f"{problem.id}, {name}, {seed}"


def outcome(replays: Replays, pool: Pool, plan: Plan, name: str) -> Regrets:
    """What one searcher's searches came to."""
    queries = min(plan.queries, len(pool.architectures))
    orders = [
        [replays.orders[_key(problem, name, seed)][:queries] for seed in range(plan.seeds)] for problem in plan.targets
    ]
    val, test = (np.stack([pool.scores(problem, signal) for problem in plan.targets]) for signal in ("val", "test"))
    return regrets(np.array(orders), val, test)


def run(pool: Pool, plan: Plan, embeddings: Embeddings, work: Path, results: Path) -> dict[str, Regrets]:
    """From a filled pool to the regrets."""
    work.mkdir(parents=True, exist_ok=True)
    lessons = [learn(pool, plan, embeddings, work, seed) for seed in range(plan.seeds)]
    print(f"{len(lessons)} times {len(lessons[0].records)} searches of {len(plan.sources)} sources", flush=True)
    replays = Replays(results / "replays.json", [lesson.digest for lesson in lessons])
    replays.fill(pool, plan, embeddings, lessons)
    return {name: outcome(replays, pool, plan, name) for name in SEARCHERS}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the pool, the searches and the figures"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("runs/learned_tasks"), help="folder of records and checkpoint"
    )
    parser.add_argument("--members", type=int, default=64, help="architectures in the pool")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs, help="of each training")
    parser.add_argument("--sources", type=int, default=len(SOURCES), help="source tasks")
    parser.add_argument("--targets", type=int, default=len(TARGETS), help="target tasks")
    parser.add_argument("--seeds", type=int, default=Plan.seeds, help="searches of each target by each searcher")
    parser.add_argument("--queries", type=int, default=Plan.queries, help="trained children of each search")
    parser.add_argument("--processes", type=int, default=2, help="trainings at a time")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    plan = Plan(
        sources=SOURCES[: options.sources],
        targets=TARGETS[: options.targets],
        seeds=options.seeds,
        queries=options.queries,
    )
    recipe = Recipe(epochs=options.epochs, batch_size=RECIPE.batch_size)
    pool = Pool(options.results / "pool.json", options.members, recipe)
    problems = [*plan.sources, *plan.targets]
    repeated = [problem for problem in REPEATED if problem in problems]
    pool.fill([*((p, 0) for p in problems), *((p, 1) for p in repeated)], options.processes)
    correlations = agreement(pool, problems, repeated)
    embeddings = embeddings_of(problems, options.results / "embeddings.json")
    found = run(pool, plan, embeddings, options.work, options.results)
    shown = [count for count in SHOWN if count <= next(iter(found.values())).val.shape[-1]]
    rows, medians = rows_of(found, shown), arrivals(found)
    show(rows, medians)
    document = {
        "benchmark": "learned tasks",
        "hardware": hardware(),
        "rank correlations": correlations,
        "medians to the best": medians,
        "rows": [asdict(row) for row in rows],
    }
    write_whole(options.results / "regrets.json", json.dumps(document, indent=1) + "\n")
    draw(found, options.results / "regrets.png")


if __name__ == "__main__":
    main()
