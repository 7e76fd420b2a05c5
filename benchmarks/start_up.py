"""How long the command line takes to show its help.

Run: ``python benchmarks/start_up.py --output start_up.json``. Wall time of whole processes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from figure import Figure, show, write

from lit_metanas.cli.verbs import VERBS
from lit_metanas.io.text import hardware

TARGET = 1.0
COMMANDS = (("--help",), *((verb, "--help") for verb in VERBS))


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall time of one command."""
    command = [sys.executable, "-m", "lit_metanas", *arguments]
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds of all commands (default 5)")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    print(f"Start of the command line; {hardware()}")
    rounds = [{arguments: seconds(arguments) for arguments in COMMANDS} for _ in range(options.repeats)]
    figures = []
    for arguments in COMMANDS:
        times = [each[arguments] for each in rounds]
        name = " ".join(("lit-metanas", *arguments))
        figures.append(Figure(name, median(times), "s", TARGET, "at most", (min(times), max(times))))
    show(figures)
    if options.output:
        write(options.output, title="start_up", figures=figures)


if __name__ == "__main__":
    main()
