"""Steps of different seeds at the same time, each in a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import Step
from lit_metanas.cli.experiment.progress import Progress
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
        self._running: dict[int, _Process] = {}

    def run(self) -> None:
        """Do the steps; raises ChildProcessError, or UsageError if a step's configuration is wrong."""
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
        while len(self._running) < self.progress.jobs:
            number = next_step(self.progress.steps, self.progress.done.keys(), self._running.keys())
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
            self.progress.took(number, seconds, {other: one.seconds() for other, one in self._running.items()})

    def _report_failure(self, number: int, process: _Process, code: int) -> None:
        """Say which step failed and how."""
        how = f"exit code {code}"
        if code < 0:
            how = f"killed by signal {-code}"
        self.progress.say(number, f" failed ({how}). The last lines of {process.log}:")
        for line in process.last_lines():
            print(f"      {line}", flush=True)
        sentence = f"The step '{process.step.label}' failed ({how}): see {process.log}."
        if code == 2:
            raise UsageError(sentence)
        raise ChildProcessError(sentence)

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
        done = {number for number, process in processes.items() if process.code() == 0}
        for number in processes.keys() - done:
            processes[number].kill()
        for number in done:
            self.progress.end(number, processes[number].seconds())


def next_step(steps: list[Step], done: Set[int], running: Set[int]) -> int | None:
    """The step to start: of those that wait for nothing, one of the seed with most left to do."""
    free: list[int] = []
    left: dict[int | None, float] = defaultdict(float)
    before = set[int | None]()  # the seeds of earlier steps that are not done
    for number, step in enumerate(steps):
        if number in done:
            continue
        if number not in running:
            left[step.seed] += step.minutes
            if before.isdisjoint({None, step.seed}) and not (step.seed is None and before):
                free.append(number)
        before.add(step.seed)
    return max(free, key=lambda number: left[steps[number].seed], default=None)


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

    def last_lines(self, count: int = 10, size: int = 8192) -> list[str]:
        """The last lines of what it has printed."""
        with open(self.log, "rb") as file:
            file.seek(max(self._offset, file.seek(0, os.SEEK_END) - size))
            return file.read().decode(errors="replace").splitlines()[-count:]

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # already gone
            os.killpg(self._process.pid, number)


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
