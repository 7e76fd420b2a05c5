"""``auto`` against what a user would write, for the same minutes of the same machine.

The references are the scripts in ``references``: plain PyTorch or scikit-learn, tuned on nothing. Every run has a
process of its own, one at a time; references use all cores, bf16 where the processor has it, channels last, and the
allocator that ``auto`` sets. Their minutes are those of the training alone, those of ``auto`` of the whole call. Of the
package's records ``auto`` is not given those of the set.

    python benchmarks/auto_references.py run --data FOLDER --minutes 1 --seeds 0 1 2
    python benchmarks/auto_references.py run --data FOLDER --minutes 3 --sets clothing10 Caltech-101
    python benchmarks/auto_references.py table

``run`` writes each run as a line as soon as it has ended, and a second call goes on. ``table`` prints the means over
seeds, the difference to the best reference of each set with its 95 % interval over seeds, in the mean over sets and
seeds, and the mean ranks with the tests of Demšar (2006); and what the temperature of ``auto`` does to its
probabilities. Series need ``--series FOLDER``, see ``mixed_tasks.py``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory, gettempdir

import torch
from auto_records import file_without
from critical_difference import against, ranks_of
from development_sets import SETS, written
from kept_rows import kept_rows, read_rows
from mixed_tasks import ARCHIVES, Folders, archive

import lit_metanas as lm
from lit_metanas.io.text import table_lines
from lit_metanas.records.statistics import percent
from lit_metanas.report.table_text import points

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "auto_references.jsonl"
MODULES: Mapping[str, str] = {
    "images": "image_networks",
    "sounds": "sound_models",
    "texts": "text_models",
    "rows": "row_forests",
    "series": "series_ridge",
}
"""The references of each kind."""
CALIBRATION = tuple(
    f"{name}{how}" for name in ("calibration error", "log-loss") for how in (" without calibration", "")
)
"""The names of measures of a result."""
FOLDS = [f"ESC-10, fold {fold}" for fold in range(1, 5)]
"""Folds that are run if they are asked for."""
ONE_RUN = "import sys, auto_references; auto_references.run_one(*sys.argv[1:])"
Key = tuple[str, str, float, int]
"""Data set, method, minutes and seed of a run."""


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        data: the data set's name.
        kind: of its examples.
        method: ``auto``, or a model of a reference.
        minutes: that it was given.
        seed: of the method.
        test: accuracy on the test part, in %.
        seconds: that its process took.
        memory: the most that its process had, in MB.
        note: what ``auto`` chose.
        calibration: of ``auto``: log-loss and calibration error, with and without the learned temperature.
    """

    data: str
    kind: str
    method: str
    minutes: float
    seed: int
    test: float
    seconds: float
    memory: int
    note: str = ""
    calibration: Mapping[str, float] = field(default_factory=dict)


def kind_of_set(name: str) -> str:
    """The kind of a set, by its name."""
    return "series" if name in ARCHIVES else SETS[name].kind


def methods_of(kind: str) -> list[str]:
    """``auto``, and the references of a kind."""
    return ["auto", *importlib.import_module(f"references.{MODULES[kind]}").MODELS]


def series_parts(task: lm.Task) -> list[tuple[torch.Tensor, list[int]]]:
    """The series of a task without their masks, ``(n, channels, steps)``, to learn from and to test, and labels."""
    assert task.val is not None
    parts = (torch.cat([task.train.inputs, task.val.inputs]), torch.cat([task.train.labels, task.val.labels]))
    return [(inputs[:, :-1], labels.tolist()) for inputs, labels in (parts, (task.test.inputs, task.test.labels))]


def run_one(data: str, series: str, place: str, name: str, method: str, minutes: str, seed: str, output: str) -> None:
    """One run, whose accuracy, note and calibration are left in a file."""
    lm.io.tune_allocator()
    folders, kind = Folders(Path(data), Path(series)), kind_of_set(name)
    task = archive(folders, name, *ARCHIVES[name]) if kind == "series" else None
    paths = () if task is not None else written(name, folders, Path(place))
    note, calibration = "", dict[str, float]()
    if method == "auto":
        found = by_auto(name, task, paths, float(minutes), int(seed))
        note = f"{found.cost.queries} tried; {found.space}{' and a linear model' * (found.linear is not None)}"
        value = found.test_accuracy
        calibration = {name: found.measures[name] for name in CALIBRATION if name in found.measures}
    else:
        reference = importlib.import_module(f"references.{MODULES[kind]}")
        parts = [reference.read(path) for path in paths] if task is None else series_parts(task)
        value = reference.run(*parts, 60 * float(minutes), int(seed), method)
    Path(output).write_text(json.dumps([value, note, calibration]), encoding="utf-8")


def by_auto(name: str, task: lm.Task | None, paths: Sequence[Path], minutes: float, seed: int) -> lm.SearchResult:
    """``auto`` with the records of other sets."""
    source = "" if task is not None else SETS[name].source
    with file_without(source or name) as records:
        given: dict[str, object] = {"minutes": minutes, "seed": seed, "records": [records], "progress": False}
        if task is not None:
            return lm.auto(task, **given)
        return lm.auto(paths[0], test=paths[1], kind=SETS[name].kind, group=SETS[name].group, **given)


def measured(folders: Folders, place: Path, key: Key) -> Row:
    """One run in a process of its own.

    Raises:
        RuntimeError: it failed.
    """
    name, method, minutes, seed = key
    if name in SETS:
        written(name, folders, place)  # so that no run writes the files within its minutes
    with TemporaryDirectory() as temporary:
        output = Path(temporary) / "found.json"
        given = map(str, (folders.data, folders.series, place, name, method, minutes, seed, output))
        paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        began = time.perf_counter()
        words = [sys.executable, "-c", ONE_RUN, *given]
        pid = os.posix_spawn(sys.executable, words, {**environment, "PYTHONPATH": paths})
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - began
        if status:
            raise RuntimeError(f"{method} on {name} ended with exit code {os.waitstatus_to_exitcode(status)}.")
        value, note, calibration = json.loads(output.read_text(encoding="utf-8"))
    row = Row(
        name, kind_of_set(name), method, minutes, seed,
        test=round(100 * value, 2), seconds=round(seconds, 1), memory=round(usage.ru_maxrss / 1024), note=note,
        calibration=calibration,
    )  # fmt: skip
    print(f"{name}, {method}, {minutes:g} min, seed {seed}: {row.test:.1f} %, {seconds:.0f} s", flush=True)
    return row


def result_rows(rows: Sequence[Row], name: str) -> list[lm.records.ResultRow]:
    """Rows as the package's statistics take them."""
    protocol, none = lm.records.Protocol("target", way=0, shot=0, batch_norm=""), lm.Cost()
    return [
        lm.records.ResultRow(name, row.data, "", None, {}, row.seed, protocol, row.test / 100, 0.0, none, none, 0, 0)
        for row in rows
    ]


def difference(mine: Sequence[Row], theirs: Sequence[Row]) -> str:
    """The paired difference in points, with its 95 % interval."""
    found = lm.report.paired_difference(result_rows(mine, "auto"), result_rows(theirs, "reference"))
    if found is None:
        return ""
    return points(found)


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """For each number of minutes and each kind a table in Markdown, then all differences together."""
    for minutes in sorted({row.minutes for row in rows}):
        against_best: tuple[list[Row], list[Row]] = ([], [])
        for kind in MODULES:
            own = [row for row in rows if row.minutes == minutes and row.kind == kind]
            runs: dict[str, dict[str, list[Row]]] = {}
            for row in own:
                runs.setdefault(row.data, {}).setdefault(row.method, []).append(row)
            methods = methods_of(kind)
            complete = {name: found for name, found in runs.items() if all(method in found for method in methods)}
            if not complete:
                continue
            yield f"\n## {kind}, {minutes:g} min\n"
            yield table_of_kind(complete, methods, against_best)
        if against_best[0]:
            found = difference(*against_best)
            yield f"\n`auto` against the best reference of each set, {minutes:g} min: {found} points"


def table_of_kind(
    runs: Mapping[str, Mapping[str, Sequence[Row]]], methods: Sequence[str], against_best: tuple[list[Row], list[Row]]
) -> str:
    """The table of a kind, which adds the runs of ``auto`` and of the best reference of each set."""
    values = {method: [fmean(row.test for row in found[method]) for found in runs.values()] for method in methods}
    body: list[Sequence[str]] = [
        ("data set", *methods, "to the best reference"),
        ("---", *["---:"] * (len(methods) + 1)),
    ]
    for place, (name, found) in enumerate(runs.items()):
        best = max(methods[1:], key=lambda method: values[method][place])
        against_best[0].extend(found["auto"])
        against_best[1].extend(found[best])
        cells = [percent(values[method][place] / 100) for method in methods]
        body.append((name, *cells, difference(found["auto"], found[best])))
    body.append(("mean", *(percent(fmean(values[method]) / 100) for method in methods), ""))
    if len(runs) > 1:
        ranks, chances = ranks_of(values), against(values, "auto")
        body.append(("mean rank", *(f"{ranks.means[method]:.2f}" for method in methods), ""))
        body.append(("Wilcoxon, Holm: p", "", *(f"{chances[method]:.3f}" for method in methods[1:]), ""))
    return table_lines(body)


def calibrations(rows: Sequence[Row]) -> Iterator[str]:
    """A table of what probabilities of ``auto`` are worth before and after the temperature: means over seeds."""
    runs: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if len(row.calibration) == len(CALIBRATION):
            runs.setdefault((row.data, f"{row.minutes:g}"), []).append(row)
    if not runs:
        return
    body = [("data set", "minutes", "seeds", *CALIBRATION), ("---", *["---:"] * (len(CALIBRATION) + 2))]
    for (name, minutes), own in runs.items():
        means = (f"{fmean(row.calibration[measure] for row in own):.3f}" for measure in CALIBRATION)
        body.append((name, minutes, str(len(own)), *means))
    yield "\n## Probabilities of `auto`\n"
    yield table_lines(body)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["run", "table"])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--series", type=Path, help="folder of series; without it there are none")
    parser.add_argument("--sets", nargs="+", choices=[*SETS, *ARCHIVES], help="all but four folds of ESC-10 by default")
    parser.add_argument("--methods", nargs="+", help="auto and models of references; all by default")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--files", type=Path, default=Path(gettempdir()) / "development_sets", help="folder to write in"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.step == "table":
        rows = read_rows(options.results, Row)
        print("\n".join([*tables(rows), *calibrations(rows)]))
        return
    if options.data is None:
        parser.error("say by --data where the data sets are.")
    folders = Folders(options.data, options.series or Path())
    names = options.sets or [name for name in (*SETS, *ARCHIVES) if name not in FOLDS]
    if options.series is None:
        names = [name for name in names if name not in ARCHIVES]
    wanted = [
        (name, method, minutes, seed)
        for minutes, seed, name in product(options.minutes, options.seeds, names)
        for method in methods_of(kind_of_set(name))
        if options.methods is None or method in options.methods
    ]
    kept_rows(
        options.results,
        Row,
        wanted,
        lambda key: measured(folders, options.files, key),
        key=lambda row: (row.data, row.method, row.minutes, row.seed),
    )


if __name__ == "__main__":
    main()
