"""``auto`` against its rivals on twelve real data sets, within 1, 3 and 10 minutes.

Test parts are fixed and read once a run, in the end. Of the package's records those of a data set are left out where
``auto`` works on it. ``auto_rivals.py`` has the methods.

Networks are given training FLOPs instead of minutes, the same for all methods, so that runs repeat on any machine:
those of so many minutes, at the pace at which ``auto`` trains the networks that it begins with.
``results/auto_comparison/flops.json`` keeps them, as one machine was measured.

    pip install flaml lightgbm xgboost-cpu fastai mlxtend autogluon.tabular
    python benchmarks/auto_comparison.py flops --data FOLDER
    python benchmarks/auto_comparison.py run --data FOLDER --minutes 1 3 --seeds 0 1
    python benchmarks/auto_comparison.py table

``run`` writes each result as a line as soon as there is one, and a second call goes on. ``table`` writes the table and
draws the diagram of critical differences (Demšar 2006). What does not install is left out, and named.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import nan
from pathlib import Path
from statistics import fmean

from auto_rivals import METHODS, NO_BUDGET, Given, setup_of
from comparison_data import DATA_SETS
from critical_difference import LEVEL, against, draw, ranks_of, wins_and_losses
from figure import one_thread
from kept_rows import kept_rows, read_rows
from mixed_tasks import Folders

from lit_metanas.estimators.pace import measure_pace
from lit_metanas.io.text import table_lines
from lit_metanas.kinds.given_data import read_given
from lit_metanas.records.statistics import percent, t_interval

RESULTS = Path(__file__).parent / "results" / "auto_comparison"
FILE, FLOPS, TABLE = "runs.jsonl", "flops.json", "table.md"
MINUTES = (1.0, 3.0, 10.0)
MEASURED_SECONDS = 4.0
Key = tuple[str, str, float, int]
"""Data set, method, minutes and seed of a run."""


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        data: the data set's name.
        method: one of ``METHODS``.
        minutes: of the budget; 0 where there is none.
        seed: of the method.
        test: accuracy on the test part, in %.
        flops: training FLOPs that were spent, of networks.
        cpu: seconds of CPU time.
        wall: seconds.
        note: what was chosen.
    """

    data: str
    method: str
    minutes: float
    seed: int
    test: float
    flops: float
    cpu: float
    wall: float
    note: str


def write_flops(folders: Folders, path: Path, names: Sequence[str]) -> None:
    """How many training FLOPs are done in ``MINUTES`` on this machine, as ``auto`` measures it for each data set."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in names:
        one = DATA_SETS[name]
        task = read_given(**one.read(folders).given)
        setup = setup_of(task, one.source)
        found = measure_pace(task, setup.job.variants.space, setup.timed, setup.recipe, seconds=MEASURED_SECONDS)
        pace = found.flops * found.waiting  # as if no other work were done on the machine
        known[name] = {f"{minutes:g}": float(f"{60 * minutes * pace:.3g}") for minutes in MINUTES}
        print(f"{name}: {pace:.3g} FLOPs a second", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def run(
    folders: Folders,
    results: Path,
    *,
    names: Sequence[str],
    methods: Sequence[str],
    minutes: Sequence[float],
    seeds: Sequence[int],
) -> None:
    """All runs that the file lacks, the shortest first."""
    flops = json.loads((results / FLOPS).read_text(encoding="utf-8"))
    data = cache(lambda name: DATA_SETS[name].read(folders))

    def measured(key: Key) -> Row | None:
        name, method, budget, seed = key
        one, whole = DATA_SETS[name], flops[name]
        amount = whole.get(f"{budget:g}", budget * whole["1"])
        begin, worked = time.perf_counter(), time.process_time()
        try:
            found = METHODS[method](Given(name, one.kind, one.source, data(name), budget, amount, seed))
        except ImportError as error:
            print(f"{name}, {method}: left out, as {error}", flush=True)
            return None
        times = [round(now - then, 1) for now, then in ((time.process_time(), worked), (time.perf_counter(), begin))]
        row = Row(*key, round(found.test, 2), found.flops, *times, found.note)
        print(f"{name}, {method}, {budget:g} min, seed {seed}: {row.test:.1f} %, {row.cpu:.0f} CPU s", flush=True)
        return row

    wanted = [
        (name, method, 0.0, 0) if method == NO_BUDGET else (name, method, budget, seed)
        for budget, seed, name, method in product(minutes, seeds, names, methods)
    ]
    kept_rows(results / FILE, Row, wanted, measured, key=lambda row: (row.data, row.method, row.minutes, row.seed))


def of_seeds(rows: Sequence[Row], minutes: float) -> dict[str, dict[str, dict[int, float]]]:
    """Accuracies by data set, method and seed; methods without a budget are there for all minutes."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        if row.minutes in (0, minutes):
            found.setdefault(row.data, {}).setdefault(row.method, {})[row.seed] = row.test
    return found


def scores(
    found: Mapping[str, Mapping[str, Mapping[int, float]]], methods: Sequence[str]
) -> tuple[list[str], dict[str, list[float]]]:
    """The data sets on which all of the methods were run, and each method's accuracies on them, means over seeds.

    Args:
        found: see ``of_seeds``.
        methods: the methods.
    """
    names = [name for name in DATA_SETS if all(method in found.get(name, {}) for method in methods)]
    return names, {method: [fmean(found[name][method].values()) for name in names] for method in methods}


def mean_over(runs: Sequence[Mapping[int, float]]) -> str:
    """The mean of data sets, and its 95 % interval over the seeds that all of them were run with, if several."""
    shared = set.intersection(*map(set, runs))
    mean = fmean(fmean(own.values()) for own in runs)
    half = t_interval([fmean(own[seed] for own in runs) for seed in shared]).half if shared else nan
    return percent(mean / 100, half / 100)


def tables(rows: Sequence[Row], results: Path, methods: Sequence[str]) -> Iterator[str]:
    """For each budget a table in Markdown, what the tests say, and the diagram, which is drawn into the same folder."""
    for minutes in sorted({row.minutes for row in rows if row.minutes}):
        own = [method for method in methods if any(r.method == method and r.minutes in (0, minutes) for r in rows)]
        runs = of_seeds(rows, minutes)
        names, values = scores(runs, own)
        if len(names) < 2 or len(own) < 2:
            continue
        ranks = ranks_of(values)
        seeds = sorted({row.seed for row in rows if row.minutes == minutes and row.method in own})
        yield f"## {minutes:g} min, {len(names)} data sets, means of seeds {', '.join(map(str, seeds))}\n"
        body: list[Sequence[str]] = [("data set", *own), ("---",) + ("---:",) * len(own)]
        for place, name in enumerate(names):
            best = percent(max(values[method][place] for method in own) / 100)
            cells = (mean_over([runs[name][method]]) for method in own)
            body.append((name, *(f"**{one}**" if one.split()[0] == best else one for one in cells)))
        body.append(("mean", *(mean_over([runs[name][method] for name in names]) for method in own)))
        body.append(("mean rank", *(f"{ranks.means[method]:.2f}" for method in own)))
        if own[0] == "auto":
            counts = ("–".join(map(str, wins_and_losses(values["auto"], values[other]))) for other in own[1:])
            body.append(("auto wins, ties and losses", "", *counts))
            chances = against(values, "auto")
            body.append(("Wilcoxon, Holm: p", "", *(f"{chances[other]:.3f}" for other in own[1:])))
        yield table_lines(body)
        yield (
            f"\nFriedman {ranks.statistic:.1f}, p = {ranks.chance:.2g}; Iman and Davenport "
            f"{ranks.less_conservative[0]:.1f}, p = {ranks.less_conservative[1]:.2g}; Nemenyi's critical difference at "
            f"{LEVEL:g}: {ranks.critical:.2f} ranks.\n"
        )
        draw(ranks, results / f"ranks_{minutes:g}.png", f"{minutes:g} min, {len(names)} data sets: mean ranks")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["flops", "run", "table"])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", choices=[*DATA_SETS], default=[*DATA_SETS])
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--minutes", type=float, nargs="+", default=[*MINUTES])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of flops, runs and table")
    options = parser.parse_args(arguments)
    if options.step == "table":
        text = "\n".join(tables(read_rows(options.results / FILE, Row), options.results, options.methods))
        (options.results / TABLE).write_text(text + "\n", encoding="utf-8")
        print(text)
        return
    if options.data is None:
        parser.error("say by --data where the data sets are.")
    one_thread()
    folders = Folders(options.data, Path())
    if options.step == "flops":
        write_flops(folders, options.results / FLOPS, options.sets)
    else:
        run(
            folders,
            options.results,
            names=options.sets,
            methods=options.methods,
            minutes=options.minutes,
            seeds=options.seeds,
        )


if __name__ == "__main__":
    main()
