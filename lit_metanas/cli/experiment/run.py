"""An experiment: phases, one after the other, in one directory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.parallel_runner import ParallelRunner
from lit_metanas.cli.experiment.plan import Phase, Progress, plan
from lit_metanas.io.cores import own_cores
from lit_metanas.io.files import own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.own_folder import check_files, own_folder
from lit_metanas.io.text import number_of, printable

Execute = Callable[[list[str]], None]


def run(
    phases: list[Phase],
    directory: Path,
    seeds: list[int] | None = None,
    protocols: list[str] | None = None,
    methods: dict[str, dict[str, str | None]] | None = None,
    inputs: dict[str, str] | None = None,
    args: dict[str, list[str]] | None = None,
    jobs: int | None = None,
    *,
    execute: Execute,
) -> None:
    """Go through phases; ``execute`` runs one command."""
    # Each phase prints the one command that does the same. What was finished with the same configuration is skipped; an
    # interrupted ``fit`` goes on from its last checkpoint; a folder of another configuration is set aside.
    if jobs is not None and jobs < 1:
        raise UsageError(f"'jobs' is {jobs}: give 1, or how many seeds run side by side.")
    own_path(directory, "directory")
    if seeds is None:
        seeds = [0]
    steps = plan(phases, directory, seeds, protocols=protocols, methods=methods, inputs=inputs, args=args)
    if jobs is None:
        jobs = max(1, min(own_cores(), len({step.seed for step in steps} - {None})))
    progress = Progress(steps, jobs)
    with directory_lock(directory, "run", "directory"):
        for step in steps:
            check_files(own_folder(directory, *step.folder.relative_to(directory).parts), ("phase.json", "log.txt"))
        extent = f"{number_of(len(steps), 'step')} into {directory}"
        if jobs > 1:
            extent += f", with {jobs} jobs"
        print(f"{extent}.", flush=True)
        if jobs == 1:
            _in_order(progress, execute)
        else:
            ParallelRunner(progress).run()
    _summary(progress, directory)
    if all(text == "skipped" for text in progress.done.values()):
        print(f"\nEverything in {directory} was already finished: nothing was done.")


def _in_order(progress: Progress, execute: Execute) -> None:
    """Do the steps in this process."""
    for number in range(len(progress.steps)):
        if (args := progress.begin(number)) is not None:
            start = time.monotonic()
            with _alone(args):
                execute(args)
            progress.end(number, time.monotonic() - start)


@contextmanager
def _alone(args: list[str]) -> Iterator[None]:
    """Make the phase look like the process's only command."""
    # Under DDP, Lightning starts the other processes with this process's command line and environment: they must do
    # this phase, not the whole experiment; and the next phase must not find this one's ranks.
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
    width = max(len(step.label) for step in progress.steps)
    print(f"\n{'Step':<{width}}  Time")
    for number, step in enumerate(progress.steps):
        print(f"{printable(step.label):<{width}}  {progress.done[number]}")
    print(f"\nThe files are in {directory}.")
