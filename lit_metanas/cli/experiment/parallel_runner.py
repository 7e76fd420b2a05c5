"""Steps of different seeds at the same time, each in a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import Step
from lit_metanas.cli.experiment.progress import Progress
from lit_metanas.io.own_folder import open_own
from lit_metanas.io.text import without_passwords

COMMAND = [sys.executable, "-u", "-m", "lit_metanas"]  # unbuffered: an error is the log's last line
GRACE = 30.0
"""Seconds that interrupted steps have to leave what they have in order."""


class Schedule:
    """Steps of different seeds side by side; within a seed in order; steps of all seeds alone.

    Args:
        steps: all steps, in the order in which one process would do them.
        jobs: how many run at once.
    """

    def __init__(self, steps: list[Step], jobs: int) -> None:
        self.steps = steps
        self.jobs = jobs
        self._after: list[set[int]] = []  # for each step, those that it directly waits for
        last: dict[int | None, int] = {}  # the last step of each seed since the last of all seeds, and that one
        for number, step in enumerate(steps):
            if step.seed is None:
                self._after.append(set(last.values()))
                last = {None: number}
            else:
                before = last.get(step.seed, last.get(None))
                self._after.append(set() if before is None else {before})
                last[step.seed] = number

    def next(self, done: Set[int], running: Set[int]) -> int | None:
        """The step to start: of those that wait for nothing, one of the seed with most left to do."""
        waiting = [number for number in range(len(self.steps)) if number not in done and number not in running]
        free = [number for number in waiting if self._after[number] <= done]
        left: dict[int | None, float] = {}
        for number in waiting:
            seed = self.steps[number].seed
            left[seed] = left.get(seed, 0.0) + self.steps[number].minutes
        return max(free, key=lambda number: left[self.steps[number].seed], default=None)

    def minutes_left(self, done: Set[int], running: dict[int, float]) -> float:
        """Wall-clock minutes until all is done, if each step takes its minutes.

        Args:
            done: steps that are done.
            running: the minutes that the others which have begun have run.
        """
        finished, now = set(done), 0.0
        ends = {number: max(self.steps[number].minutes - spent, 0.0) for number, spent in running.items()}
        while True:
            while len(ends) < self.jobs and (number := self.next(finished, ends.keys())) is not None:
                ends[number] = now + self.steps[number].minutes
            if not ends:
                return now
            first = min(ends, key=lambda number: ends[number])
            now = ends.pop(first)
            finished.add(first)


class ParallelRunner:
    """Does all steps, as many at once as there are jobs.

    What a step prints goes to the end of ``log.txt`` in its folder. When one fails, or SIGINT, SIGTERM or SIGHUP
    comes, the others are interrupted, as by Ctrl-C; a second signal kills them.

    Args:
        progress: of all steps.
        jobs: how many run at once.
    """

    def __init__(self, progress: Progress, jobs: int) -> None:
        self.progress = progress
        self.schedule = Schedule(progress.steps, jobs)
        self._running: dict[int, _Process] = {}

    def run(self) -> None:
        """Do the steps.

        Raises:
            ChildProcessError: a step failed.
            UsageError: the command line or a configuration of a step is wrong.
            KeyboardInterrupt: a signal came.
        """
        with _catch_signals() as signals:
            try:
                while len(self.progress.done) < len(self.progress.steps):
                    self._start()
                    time.sleep(0.1 if self._running else 0)
                    if signals:
                        raise KeyboardInterrupt
                    self._collect()
            finally:
                self._stop(signals)

    def _start(self) -> None:
        """Start what may start."""
        while len(self._running) < self.schedule.jobs:
            number = self.schedule.next(self.progress.done.keys(), self._running.keys())
            if number is None:
                return
            args = self.progress.begin(number)
            if args is not None:
                self._running[number] = _Process(self.progress.steps[number], args)

    def _collect(self) -> None:
        """Note which processes have ended."""
        for number, process in list(self._running.items()):
            code = process.code()
            if code is None:
                continue
            del self._running[number]
            if code != 0:
                process.kill()  # what it may have started
                self._report_failure(number, process, code)
            seconds = process.seconds()
            self.progress.end(number, seconds)
            self.progress.took(number, seconds, self._seconds_left())

    def _report_failure(self, number: int, process: _Process, code: int) -> None:
        """Say which step failed and how."""
        how = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
        self.progress.say(number, f" failed ({how}). The last lines of {process.log}:")
        for line in process.last_lines():
            print(f"      {line}", flush=True)
        sentence = f"The step '{process.step.label}' failed ({how}): see {process.log}."
        raise UsageError(sentence) if code == 2 else ChildProcessError(sentence)

    def _stop(self, signals: list[int]) -> None:
        """Interrupt what is running, and wait for its end; kill it after a while or at another signal."""
        processes, came = self._running, len(signals)
        for process in processes.values():
            process.interrupt()
        deadline = time.monotonic() + GRACE
        while any(process.code() is None for process in processes.values()):
            if time.monotonic() > deadline or len(signals) > came:
                break
            time.sleep(0.05)
        codes = {number: process.code() for number, process in processes.items()}
        for number, process in processes.items():
            if codes[number] != 0:
                process.kill()
        for number, process in processes.items():
            if codes[number] == 0:  # it was done by then
                self.progress.end(number, process.seconds())

    def _seconds_left(self) -> float:
        """Wall-clock seconds, at the pace of what is done."""
        minute = 60 * self.progress.pace
        running = {number: process.seconds() / minute if minute else 0.0 for number, process in self._running.items()}
        return minute * self.schedule.minutes_left(self.progress.finished(), running)


class _Process:
    """A step's process, which leads a group of its own: signals come from here alone, and reach what it starts."""

    def __init__(self, step: Step, args: list[str]) -> None:
        self.step = step
        self.log = step.folder / "log.txt"
        with open(open_own(self.log, os.O_WRONLY | os.O_APPEND), "ab") as log:
            log.write(f"$ lit-metanas {without_passwords(shlex.join(args))}\n".encode())
            log.flush()
            self._offset = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 (this program, no shell)
                [*COMMAND, *args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._start = time.monotonic()

    def code(self) -> int | None:
        """The exit code; minus the signal that killed it; None while it runs."""
        return self._process.poll()

    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._start

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self._send(signal.SIGINT)

    def kill(self) -> None:
        """Kill it with all that it has started."""
        self._send(signal.SIGKILL)
        self._process.wait()

    def last_lines(self, count: int = 10) -> list[str]:
        """The last lines of what it has printed."""
        return _tail(self.log, self._offset).splitlines()[-count:]

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # already gone
            os.killpg(self._process.pid, number)


def _tail(path: Path, start: int, size: int = 8192) -> str:
    """The file's end, from ``start`` or later."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(start, end - size))
        return file.read().decode(errors="replace")


@contextmanager
def _catch_signals() -> Iterator[list[int]]:
    """Signals that ask to stop go into a list, so that none comes between a process's start and its being noted."""
    received: list[int] = []
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        wanted.append(signal.SIGHUP)
    before = {each: signal.signal(each, lambda number, _: received.append(number)) for each in wanted}
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)
