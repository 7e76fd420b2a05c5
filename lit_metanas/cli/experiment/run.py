"""An experiment: phases in one directory, one after the other, or side by side if none needs the other."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import get_terminal_size

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import Phase, Progress, most_at_once, plan
from lit_metanas.io.cores import own_cores, shared_by
from lit_metanas.io.files import check_files, open_own, own_folder, own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.text import number_of, without_passwords

Execute = Callable[[list[str]], None]

COMMAND = [sys.executable, "-u", "-m", "lit_metanas"]  # unbuffered: an error is the log's last line
GRACE = 30.0  # seconds that interrupted steps have to leave what they have in order


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
        raise UsageError(f"'jobs' is {jobs}: give 1, or how many steps run side by side.")
    own_path(directory, "directory")
    if seeds is None:
        seeds = [0]
    steps = plan(phases, directory, seeds, protocols=protocols, methods=methods, inputs=inputs, args=args)
    if jobs is None:
        jobs = min(own_cores(), most_at_once(steps))
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
    print(f"\nThe files are in {directory}.")
    if progress.skipped == len(steps):
        print(f"Everything in {directory} was already finished: nothing was done.")


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


class ParallelRunner:
    """Does all steps, as many at once as there are jobs; what a step prints goes to the end of its ``log.txt``."""

    # A step begins once those that it needs have ended and a job is free; those that wait longest come first. Steps of
    # all seeds are alone, and what they print is shown, too. When a step fails, or SIGINT, SIGTERM or SIGHUP comes, the
    # others are interrupted, as by Ctrl-C; a second signal kills them.

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._free = asyncio.Semaphore(progress.jobs)
        self._sharing = min(progress.jobs, most_at_once(progress.steps))
        self._interrupted = False

    def run(self) -> None:
        """Do the steps; raises ChildProcessError, or UsageError if a step's configuration is wrong."""
        try:
            asyncio.run(self._all())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    async def _all(self) -> None:
        ended = [asyncio.Event() for _ in self.progress.steps]
        with _at_signals(partial(self._stop, asyncio.current_task())):
            async with asyncio.TaskGroup() as tasks:
                for number in range(len(ended)):
                    tasks.create_task(self._in_turn(number, ended))

    async def _in_turn(self, number: int, ended: Sequence[asyncio.Event]) -> None:
        """Do a step when those that it needs have ended and a job is free."""
        for other in self.progress.steps[number].after:
            await ended[other].wait()
        async with self._free:
            if (args := self.progress.begin(number)) is not None:
                await self._step(number, args)
        ended[number].set()

    async def _step(self, number: int, args: list[str]) -> None:
        step = self.progress.steps[number]
        log, alone = step.folder / "log.txt", step.seed is None
        environment = shared_by(1 if alone else self._sharing) | {"COLUMNS": str(get_terminal_size().columns)}
        process, offset = _start(log, args, environment)
        begun = time.monotonic()
        try:
            await _end_of(process)
        except asyncio.CancelledError:
            self._interrupted = True
            _send(process, signal.SIGINT)
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(_end_of(process), GRACE)
            raise
        finally:
            code = process.poll()
            if code == 0:  # also where it was done by the time of an interruption
                self.progress.end(number, time.monotonic() - begun)
            else:
                _send(process, signal.SIGKILL)  # and what it may have started
                process.wait()
        if code:
            self._report_failure(number, log, offset, code)
        if alone:
            print(_written(log, offset), flush=True)

    def _stop(self, main: asyncio.Task[None] | None) -> None:
        """End the main task, whose end interrupts the steps; where they were interrupted before, have them killed."""
        for task in asyncio.all_tasks():
            if task is main or self._interrupted:
                task.cancel()

    def _report_failure(self, number: int, log: Path, offset: int, code: int) -> None:
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        self.progress.say(number, f" failed ({how}). The last lines of {log}:")
        for line in _written(log, max(offset, log.stat().st_size - 8192)).splitlines()[-10:]:
            print(f"      {line}", flush=True)
        sentence = f"The step '{self.progress.steps[number].label}' failed ({how}): see {log}."
        if code == 2:
            raise UsageError(sentence)
        raise ChildProcessError(sentence)


def _start(log: Path, args: list[str], environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command line in a changed environment; returns its process, and where in the log its output begins."""
    # The process leads a group of its own: signals come from here alone, and reach what it starts.
    with open(open_own(log, os.O_WRONLY | os.O_APPEND), "ab") as file:
        file.write(f"$ lit-metanas {without_passwords(shlex.join(args))}\n".encode())
        file.flush()
        process = subprocess.Popen(  # noqa: S603 (this program, no shell)
            [*COMMAND, *args],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment},
        )
        return process, file.tell()


def _written(log: Path, offset: int) -> str:
    with open(log, "rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


async def _end_of(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        await asyncio.sleep(0.05)


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # already gone
        os.killpg(process.pid, number)


@contextmanager
def _at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have the loop call something whenever a signal asks to stop."""
    loop = asyncio.get_running_loop()
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        wanted.append(signal.SIGHUP)
    before = {each: signal.signal(each, lambda *_: loop.call_soon_threadsafe(stop)) for each in wanted}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)
