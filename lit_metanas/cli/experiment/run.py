"""An experiment: phases, one after the other, in one directory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lit_metanas.cli.environment import leave_process_group
from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.parallel_runner import ParallelRunner
from lit_metanas.cli.experiment.plan import Phase, Step, last_checkpoint, mark, plan, state
from lit_metanas.cli.experiment.schedule import Schedule
from lit_metanas.io.files import set_aside
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.text import duration, number_of

LISTED = (".md", ".png", ".svg", ".json", ".jsonl", ".csv", ".pt", ".pt2", ".ckpt")

Execute = Callable[[list[str]], None]


def run(
    phases: list[Phase],
    directory: Path,
    seeds: list[int] | None = None,
    inputs: dict[str, str] | None = None,
    jobs: int = 1,
    *,
    execute: Execute,
) -> None:
    """Go through phases, skipping those that were finished with the same configuration.

    An interrupted ``fit`` goes on from its last checkpoint. A folder that another configuration has left is set aside,
    not deleted.

    Args:
        phases: what to do, in order.
        directory: where everything goes.
        seeds: the phases of one seed come before those of the next; [0] by default.
        inputs: what the user has to give, for instance the folder of a data set, by the names in the phases' args.
        jobs: how many seeds run side by side, each step in a process of its own whose output goes to ``log.txt`` in
            the step's folder; with one job all is done in this process.
        execute: runs one command line, when there is one job.
    """
    if jobs < 1:
        raise UsageError(f"'jobs' is {jobs}: give 1, or how many seeds run side by side.")
    steps = plan(phases, directory, seeds or [0], inputs or {})
    with directory_lock(directory, "run", "directory"):
        if jobs == 1:
            rows = _in_order(steps, directory, execute)
        else:
            minutes = Schedule(steps, jobs).minutes_left(set(), {})
            what = number_of(len(steps), "step")
            print(f"{what} into {directory}, about {duration(60 * minutes)} with {jobs} jobs.", flush=True)
            rows = ParallelRunner(steps, jobs).run()
    _summary(steps, rows)
    if all(row == "skipped" for row in rows):
        print(f"\nEverything in {directory} was finished before: nothing was done.")


def _in_order(steps: list[Step], directory: Path, execute: Execute) -> list[str]:
    """Do the steps in this process, and return for each what it took, or "skipped"."""
    left = sum(step.minutes for step in steps)
    what = number_of(len(steps), "step")
    print(f"{what} into {directory}, about {duration(60 * left)} on two CPU cores.", flush=True)
    rows: list[str] = []
    anew: set[int | None] = set()  # seeds of which a phase ran anew; None for the phases of all seeds
    pace = 1.0
    expected = spent = 0.0
    for number, step in enumerate(steps, start=1):
        left -= step.minutes
        print(f"[{number}/{len(steps)}] {step.title}", end="", flush=True)
        found = state(step, anew)
        if found == "finished":
            print(": finished before, skipped")
            rows.append("skipped")
            continue
        if found == "new":
            anew.add(step.seed)
            aside = set_aside(step.folder)
            if aside is not None:
                print(f"\n      set aside what another configuration left: {aside}", end="")
        checkpoint = last_checkpoint(step)
        print("" if checkpoint is None else f": goes on from {checkpoint}", flush=True)
        seconds = _timed(step, [] if checkpoint is None else [f"--ckpt_path={checkpoint}"], execute)
        spent, expected = spent + seconds, expected + 60 * step.minutes
        pace = spent / expected if expected else 1.0
        rows.append(duration(seconds))
        print(f"      took {duration(seconds)}; about {duration(60 * left * pace)} left", flush=True)
    return rows


def _timed(step: Step, more: list[str], execute: Execute) -> float:
    """Execute a step between its two marks, and return the seconds it took."""
    mark(step, "started")
    start = time.monotonic()
    with _alone([*step.args, *more]) as args:
        execute(args)
    seconds = time.monotonic() - start
    mark(step, "finished")
    return seconds


@contextmanager
def _alone(args: list[str]) -> Iterator[list[str]]:
    """Make the phase look like the process's only command.

    Under DDP, Lightning starts the other processes with this process's command line and environment: they must do
    this phase, not the whole experiment; and the next phase must not find this one's ranks.
    """
    argv, environment = sys.argv, dict(os.environ)
    sys.argv = [argv[0], *args]
    try:
        yield args
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        leave_process_group()


def _summary(steps: list[Step], rows: list[str]) -> None:
    width = max(len(step.title) for step in steps)
    print("\nStep" + " " * (width - 2) + "Time")
    for step, text in zip(steps, rows, strict=True):
        print(f"{step.title:<{width}}  {text}")
    print("\nFiles")
    for step in steps:
        found = sorted(step.folder.rglob("*"), key=lambda file: (len(file.parts), file))
        files = [file for file in found if file.suffix in LISTED and file.name != "phase.json"]
        for file in files[:8]:
            print(f"  {file}")
        if len(files) > 8:
            print(f"  … and {len(files) - 8} more in {step.folder}")
