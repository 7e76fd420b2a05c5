"""`lit-metanas auto`, killed at random moments and continued by the same command, against an undisturbed run.

Run: ``python benchmarks/auto_killed.py --output benchmarks/results/auto_killed.json``, on Linux. The data are made-up
rows of numbers of three classes, or what ``--data`` names, anything that the command reads. SIGKILL and SIGTERM come in
turn, at moments that are drawn from a seed, in seconds of the process's processor time, which other work on the machine
does not change. Each process is forked from one that has imported the package, as that takes seconds. Candidates are
trained for three epochs, of which ``auto`` would make a hundred steps, so that a small budget pays for several. After
each signal every file of the output is read. Once a search has ended, architecture, recipe, weights, test score and
predictions are compared with those of the undisturbed run, and the next search begins in a new folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lit_metanas.automl import (
    budget_plan,
    calls,  # noqa: F401, so that calls are imported before the forks
)
from lit_metanas.cli.command_line import main
from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware
from lit_metanas.records.result_files import read_results

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
LABELS = ("low", "middle", "high")
WAIT = 0.01


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        signalled: whether the signal came before its end.
        code: the exit code; of a signal its negative number.
        seconds: processor time.
    """

    signalled: bool
    code: int
    seconds: float


def write_rows(file: Path, seed: int) -> None:
    """A table of four numbers with one of three labels, which overlap."""
    draw = random.Random(seed)
    centres = {label: [draw.gauss(0, 1) for _ in range(4)] for label in LABELS}
    rows = [
        ",".join([*(f"{draw.gauss(centre, 0.7):.4f}" for centre in centres[label]), label]) for label in 30 * LABELS
    ]
    file.write_text("\n".join(["a,b,c,d,label", *rows]))


def processor_seconds(pid: int) -> float:
    """What a process has used of processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(words: list[str], log: Path, sign: signal.Signals | None = None, moment: float = 0.0) -> Ended:
    """Run the command in a process, to which a signal comes once it has used so many seconds of a processor."""
    pid = os.fork()
    if pid == 0:
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        code = 1
        try:
            code = main(words)
            sys.stdout.flush()
        finally:
            os._exit(code)
    signalled = False
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return Ended(signalled, os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime)
        if sign is not None and not signalled and processor_seconds(pid) >= moment:
            os.kill(pid, sign)
            signalled = True
        time.sleep(WAIT)


def damaged(folder: Path) -> list[str]:
    """The files that cannot be read; those that were being written have a hidden name, and do not count."""
    found = []
    for file in (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        try:
            if file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
            elif file.suffix == ".jsonl":
                _ = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            elif file.suffix in (".pt", ".pt2"):
                with zipfile.ZipFile(file) as archive:
                    if archive.testzip() is not None:
                        found.append(str(file))
            elif not file.stat().st_size:
                found.append(str(file))
        except (ValueError, zipfile.BadZipFile):
            found.append(str(file))
    return found


def outcome(folder: Path) -> dict[str, Any]:
    """What a finished search has found, without what depends on the clock."""
    (row,) = read_results(folder / "results.json")
    assert row.architecture is not None
    weights = torch.load(folder / "weights.pt", weights_only=True)
    return {
        "architecture": row.architecture.to_json(),
        "recipe": dict(row.recipe),
        "test score": row.value,
        "weights": {name: tensor.flatten().tolist() for name, tensor in weights.items()},
        "predictions": json.loads((folder / "predictions.json").read_text(encoding="utf-8")),
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()),
    }


def killed_and_continued(place: Path, data: Path | None, *, kills: int, seed: int, flops: str) -> dict[str, Any]:
    """The figures of the benchmark.

    Args:
        place: an empty folder.
        data: what the command reads; None makes up rows.
        kills: signals in all.
        seed: of the moments, and of data that are made up.
        flops: of search and training, as the command takes them.
    """
    if data is None:
        data = place / "rows.csv"
        write_rows(data, seed)
    log, draw = place / "log.txt", random.Random(seed)
    command = ["auto", str(data), "--flops", flops, "--output"]
    whole = run([*command, str(place / "whole")], log)
    assert whole.code == 0, log.read_text()
    expected, runs, unequal, broken = outcome(place / "whole"), list[dict[str, Any]](), list[str](), list[str]()
    (row,), finished = read_results(place / "whole" / "results.json"), 0
    print(f"{row.cost.queries} architectures, {whole.seconds:.1f} s", file=sys.stderr, flush=True)
    while sum(one["signalled"] for one in runs) < kills or runs[-1]["signalled"]:
        folder, number = place / f"killed_{finished}", sum(one["signalled"] for one in runs)
        sign = SIGNALS[number % len(SIGNALS)] if number < kills else None
        moment = draw.uniform(0, whole.seconds)
        ended = run([*command, str(folder)], log, sign, moment)
        runs.append({"signal": sign and sign.name, "moment": round(moment, 2), **vars(ended)})
        print(runs[-1], file=sys.stderr, flush=True)
        broken += damaged(folder)
        if ended.code == 0:
            found = outcome(folder)
            unequal += [f"{folder.name}: {name}" for name, value in expected.items() if found[name] != value]
            finished += 1
        elif not ended.signalled:
            raise RuntimeError(log.read_text())
    return {
        "data": data.name,
        "seed": seed,
        "flops": flops,
        "architectures tried": row.cost.queries,
        "undisturbed seconds": round(whole.seconds, 2),
        "kills": sum(one["signalled"] for one in runs),
        "searches finished": finished,
        "unequal": unequal,
        "damaged": broken,
        "runs": runs,
        "hardware": hardware(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="a folder or file, instead of rows that are made up")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flops", default="[1.8e6,4e5]")
    options = parser.parse_args()
    budget_plan.SHARES = replace(budget_plan.SHARES, trial_steps=3)
    settings = {"kills": options.kills, "seed": options.seed, "flops": options.flops}
    with tempfile.TemporaryDirectory() as temporary:
        figures = killed_and_continued(Path(temporary), options.data, **settings)
    write_whole(options.output, json.dumps(figures, indent=1))
    wrong = [*figures["unequal"], *figures["damaged"]]
    print(f"{figures['kills']} kills, {figures['searches finished']} searches finished: {wrong or 'all equal'}")
