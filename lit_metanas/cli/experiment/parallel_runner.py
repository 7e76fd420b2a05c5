"""Steps of different seeds at the same time, each in a process of its own."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import groupby
from pathlib import Path

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import Progress
from lit_metanas.io.cores import shared_by
from lit_metanas.io.own_folder import open_own
from lit_metanas.io.text import without_passwords

COMMAND = [sys.executable, "-u", "-m", "lit_metanas"]  # unbuffered: an error is the log's last line
GRACE = 30.0
"""Seconds that interrupted steps have to leave what they have in order."""


class ParallelRunner:
    """Does all steps, as many at once as there are jobs; what a step prints goes to the end of its ``log.txt``."""

    # Steps of different seeds run side by side, within a seed in order, and steps of all seeds alone. When a step
    # fails, or SIGINT, SIGTERM or SIGHUP comes, the others are interrupted, as by Ctrl-C; a second signal kills them.

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._free = asyncio.Semaphore(progress.jobs)
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
        steps = self.progress.steps
        with _at_signals(partial(self._stop, asyncio.current_task())):
            for _, group in groupby(range(len(steps)), key=lambda number: steps[number].seed is None):
                chains: dict[int | None, list[int]] = {}
                for number in group:
                    chains.setdefault(steps[number].seed, []).append(number)
                async with asyncio.TaskGroup() as tasks:
                    for chain in chains.values():
                        tasks.create_task(self._chain(chain))

    async def _chain(self, numbers: list[int]) -> None:
        """Do steps one after the other, each when a job is free; those that wait longest come first."""
        for number in numbers:
            async with self._free:
                if (args := self.progress.begin(number)) is not None:
                    await self._step(number, args)

    async def _step(self, number: int, args: list[str]) -> None:
        step = self.progress.steps[number]
        log, sharing = step.folder / "log.txt", 1
        if step.seed is not None:
            sharing = min(self.progress.jobs, len({each.seed for each in self.progress.steps} - {None}))
        process, offset = _start(log, args, shared_by(sharing))
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

    def _stop(self, main: asyncio.Task[None] | None) -> None:
        """End the main task, whose end interrupts the steps; where they were interrupted before, have them killed."""
        for task in asyncio.all_tasks():
            if task is main or self._interrupted:
                task.cancel()

    def _report_failure(self, number: int, log: Path, offset: int, code: int) -> None:
        how = f"exit code {code}"
        if code < 0:
            how = f"killed by signal {-code}"
        self.progress.say(number, f" failed ({how}). The last lines of {log}:")
        with open(log, "rb") as file:
            file.seek(max(offset, file.seek(0, os.SEEK_END) - 8192))
            for line in file.read().decode(errors="replace").splitlines()[-10:]:
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
