"""How long ``auto`` takes, against the minutes that it was given.

The time is that of the whole call: the search, the last training, the test, the export and the report. Each call has a
process of its own, of which Linux reports the most memory that it had.

    python benchmarks/auto_minutes.py --data FOLDER --sets CLINC150 "small digits" --minutes 1 3 10
    python benchmarks/auto_minutes.py          # the table alone

Each run is written as a line once there is one, and a second call goes on. Other programs on the same machine make the
times longer than they are on a quiet one: ``busy`` is how many cores were at work on average, for this and all others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from comparison_data import DATA_SETS
from kept_rows import kept_rows
from mixed_tasks import Folders

import lit_metanas as lm
from lit_metanas.io.text import table_lines

RESULTS = Path(__file__).parent / "results" / "auto_minutes.jsonl"
MEASURED = ["small digits", "CLINC150", "breast cancer"]
ONE_RUN = "import sys, auto_minutes; auto_minutes.search(*sys.argv[1:])"


def seconds_of_cores() -> float:
    """Seconds for which cores of this machine have worked, all together, since it was started."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def search(data: str, name: str, minutes: str, folder: str) -> None:
    """Search within minutes, and leave what was found, and how long it took, in a folder."""
    given = DATA_SETS[name].read(Folders(Path(data), Path())).given
    begin, worked = time.perf_counter(), seconds_of_cores()
    lm.auto(**given, minutes=float(minutes), output=f"{folder}/found", progress=False)
    times = time.perf_counter() - begin, seconds_of_cores() - worked
    Path(folder, "times.json").write_text(json.dumps(times))


@dataclass(frozen=True)
class Row:
    """One call.

    Attributes:
        data: the data set's name.
        minutes: that it was given.
        seconds: that it took.
        busy: cores of the machine that were at work on average.
        memory: the most that its process had, in MB.
        networks: in the ensemble.
        linear: whether a linear model is averaged with them.
        test: accuracy, in %.
    """

    data: str
    minutes: float
    seconds: float
    busy: float
    memory: int
    networks: int
    linear: bool
    test: float


def measure(data: Path, name: str, minutes: float) -> Row:
    """The seconds of one call, and the most memory that its process had, in MB.

    Raises:
        RuntimeError: it failed.
    """
    with TemporaryDirectory() as temporary:
        words = [sys.executable, "-c", ONE_RUN, str(data), name, f"{minutes:g}", temporary]
        paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        pid = os.posix_spawn(sys.executable, words, {**os.environ, "PYTHONPATH": paths})
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise RuntimeError(f"auto on {name} ended with exit code {os.waitstatus_to_exitcode(status)}.")
        (row,) = lm.records.read_results(Path(temporary) / "found" / "results.json")
        seconds, worked = json.loads(Path(temporary, "times.json").read_text())
    return Row(
        data=name,
        minutes=minutes,
        seconds=round(seconds, 1),
        busy=round(worked / seconds, 2),
        memory=round(usage.ru_maxrss / 1024),
        networks=row.ensemble,
        linear=row.linear is not None,
        test=round(100 * row.value, 2),
    )


def table(rows: Sequence[Row]) -> str:
    """What each run took, as Markdown."""
    heading = ["data", "minutes", "seconds", "of what was given", "cores at work", "memory, MB", "networks"]
    body = [
        [
            row.data,
            f"{row.minutes:g}",
            f"{row.seconds:.0f}",
            f"{row.seconds / (60 * row.minutes):.0%}",
            f"{row.busy:.1f}",
            f"{row.memory}",
            f"{row.networks}" + " and linear" * row.linear,
        ]
        for row in rows
    ]
    return table_lines([heading, ["---"] + ["---:"] * (len(heading) - 1), *body])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets; without it the table alone is shown")
    parser.add_argument("--sets", nargs="+", choices=list(DATA_SETS), default=MEASURED)
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 3.0, 10.0])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    wanted = product(options.sets, options.minutes) if options.data is not None else ()
    rows = kept_rows(
        options.output,
        Row,
        wanted,
        lambda one: measure(options.data, *one),
        key=lambda row: (row.data, row.minutes),
    )
    print(table(rows))


if __name__ == "__main__":
    main()
