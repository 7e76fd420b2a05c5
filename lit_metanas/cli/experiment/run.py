"""An experiment: phases, one after the other, in one directory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.parallel_runner import ParallelRunner, Schedule
from lit_metanas.cli.experiment.plan import Phase, plan
from lit_metanas.cli.experiment.progress import Progress
from lit_metanas.io.files import own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.own_folder import check_files, own_folder
from lit_metanas.io.text import number_of, printable, rough

LISTED = (".md", ".png", ".svg", ".json", ".jsonl", ".pt2", ".pt", ".ckpt", ".csv")
"""Endings of the files that a user may want, the likeliest first."""

OWN_FILES = ("phase.json", "search.json")
"""What steps leave for themselves."""

LOGS = "logs"
"""The folder of a step's loggers."""

MOST_FILES = 10
"""Lines of files at the end."""

Execute = Callable[[list[str]], None]


def run(
    phases: list[Phase],
    directory: Path,
    seeds: list[int] | None = None,
    protocols: list[str] | None = None,
    methods: dict[str, dict[str, str | None]] | None = None,
    inputs: dict[str, str] | None = None,
    args: dict[str, list[str]] | None = None,
    needs: dict[str, str] | None = None,
    jobs: int = 1,
    pace: float = 1.0,
    *,
    execute: Execute,
) -> None:
    """Go through phases, skipping those that were finished with the same configuration.

    Each prints the one command that does the same. An interrupted ``fit`` goes on from its last checkpoint. A folder
    that another configuration has left is set aside, not deleted.

    Args:
        phases: what to do, in order.
        directory: where everything goes.
        seeds: the phases of one seed come before those of the next; [0] by default.
        protocols: for phases of each protocol.
        methods: for phases of each method, and which words stand for what in a method's phases.
        inputs: what the user has to give, for instance the folder of a data set, by the names in the phases' args.
        args: further arguments of all phases of a verb.
        needs: inputs that must be files or folders, and what each is.
        jobs: how many seeds run side by side, each step in a process of its own whose output goes to ``log.txt`` in
            the step's folder; with one job all is done in this process.
        pace: how long the phases take, in times of their ``minutes``; for an experiment over another one with more or
            fewer steps.
        execute: runs one command line, when there is one job.
    """
    if jobs < 1:
        raise UsageError(f"'jobs' is {jobs}: give 1, or how many seeds run side by side.")
    if not 0 <= pace < 1e9:
        raise UsageError(f"'pace' is {pace}: give a number from 0, or 1 where the phases take their minutes.")
    own_path(directory, "directory")
    seeds = [0] if seeds is None else seeds
    steps = plan(phases, directory, seeds, protocols=protocols, methods=methods, inputs=inputs, args=args, needs=needs)
    steps = [replace(step, minutes=pace * step.minutes) for step in steps]
    progress = Progress(steps)
    with directory_lock(directory, "run", "directory"):
        for step in steps:
            check_files(own_folder(directory, *step.folder.relative_to(directory).parts), ("phase.json", "log.txt"))
        print(_extent(progress, directory, jobs), flush=True)
        if jobs == 1:
            _in_order(progress, execute)
        else:
            ParallelRunner(progress, jobs).run()
    _summary(progress, directory)
    if all(text == "skipped" for text in progress.done.values()):
        print(f"\nEverything in {directory} was already finished: nothing was done.")


def _extent(progress: Progress, directory: Path, jobs: int) -> str:
    """How many steps there are, how many of them were finished before, and about how long the others take."""
    steps, finished = progress.steps, progress.finished()
    before = f", {len(finished)} finished before" if finished else ""
    if len(finished) == len(steps):
        return f"{number_of(len(steps), 'step')} into {directory}{before}."
    minutes = Schedule(steps, jobs).minutes_left(finished, {})
    where = "on two CPU cores" if jobs == 1 else f"with {jobs} jobs"
    return f"{number_of(len(steps), 'step')} into {directory}{before}, about {rough(60 * minutes)} {where}."


def _in_order(progress: Progress, execute: Execute) -> None:
    """Do the steps in this process."""
    for number in range(len(progress.steps)):
        args = progress.begin(number)
        if args is None:
            continue
        start = time.monotonic()
        with _alone(args):
            execute(args)
        seconds = time.monotonic() - start
        progress.end(number, seconds)
        finished = progress.finished()
        left = sum(step.minutes for other, step in enumerate(progress.steps) if other not in finished)
        progress.took(number, seconds, 60 * left * progress.pace)


@contextmanager
def _alone(args: list[str]) -> Iterator[None]:
    """Make the phase look like the process's only command.

    Under DDP, Lightning starts the other processes with this process's command line and environment: they must do
    this phase, not the whole experiment; and the next phase must not find this one's ranks.
    """
    argv, environment = sys.argv, dict(os.environ)
    sys.argv = [argv[0], *args]
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        leave_process_group()


def leave_process_group() -> None:
    """End the process group of a finished job: threads of it that outlive the interpreter abort the process."""
    if "torch" not in sys.modules:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _summary(progress: Progress, directory: Path) -> None:
    """What each step took, the last one's files, which are a report's if there is one, networks, and other results."""
    width = max(len(step.label) for step in progress.steps)
    print("\nStep" + " " * (width - 2) + "Time")
    for number, step in enumerate(progress.steps):
        print(f"{printable(step.label):<{width}}  {progress.done[number]}")
    last, *earlier = [step.folder for step in reversed(progress.steps)]
    networks = {folder: sorted(file.parent for file in folder.rglob("model.json")) for folder in (last, *earlier)}
    files = [*networks[last], *_files(last, networks[last])]
    files += [network for folder in earlier for network in networks[folder]]
    files += [file for folder in earlier for file in _files(folder, networks[folder])]
    print("\nFiles")
    for file in files[: MOST_FILES if len(files) == MOST_FILES else MOST_FILES - 1]:
        print(f"  {printable(str(file))}")
    if len(files) > MOST_FILES:
        print(f"  … and {len(files) - MOST_FILES + 1} more in {directory}")


def _files(folder: Path, networks: list[Path]) -> list[Path]:
    """What a step has left for its user beside exported networks, the highest in its folder first."""
    files = [file for file in folder.rglob("*") if file.suffix in LISTED and file.name not in OWN_FILES]
    others = [file for file in files if file.parent not in networks and LOGS not in file.relative_to(folder).parts]
    return sorted(others, key=lambda file: (len(file.parts), LISTED.index(file.suffix), file))
