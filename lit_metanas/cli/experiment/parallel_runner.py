"""Steps of different seeds at the same time, each in a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import Step, last_checkpoint, mark, state
from lit_metanas.cli.experiment.schedule import Schedule
from lit_metanas.io.files import open_own, set_aside
from lit_metanas.io.text import duration

COMMAND = [sys.executable, "-u", "-m", "lit_metanas"]  # unbuffered: an error is the log's last line
GRACE = 30.0
"""Seconds that interrupted steps have to leave what they have in order."""


class ParallelRunner:
    """Does all steps, as many at once as there are jobs.

    What a step prints goes to the end of ``log.txt`` in its folder. When one fails, or SIGINT, SIGTERM or SIGHUP
    comes, the others are interrupted, as by Ctrl-C; a second signal kills them.

    Args:
        steps: all steps, in order.
        jobs: how many run at once.
    """

    def __init__(self, steps: list[Step], jobs: int) -> None:
        self.steps = steps
        self.schedule = Schedule(steps, jobs)
        self._done: dict[int, str] = {}
        self._running: dict[int, _Process] = {}
        self._anew: set[int | None] = set()
        self._spent = self._expected = 0.0

    def run(self) -> list[str]:
        """Do the steps.

        Returns:
            For each step what it took, or "skipped".

        Raises:
            ChildProcessError: a step failed.
            UsageError: the command line or a configuration of a step is wrong.
            KeyboardInterrupt: a signal came.
        """
        with _caught() as signals:
            try:
                while len(self._done) < len(self.steps):
                    self._start()
                    time.sleep(0.1 if self._running else 0)
                    if signals:
                        raise KeyboardInterrupt
                    self._collect()
            finally:
                self._stop(signals)
        return [self._done[number] for number in range(len(self.steps))]

    def _start(self) -> None:
        """Start what may start."""
        while len(self._running) < self.schedule.jobs:
            number = self.schedule.next(self._done.keys(), self._running.keys())
            if number is None:
                return
            step = self.steps[number]
            found = state(step, self._anew)
            if found == "finished":
                self._done[number] = "skipped"
                self._say(number, ": finished before, skipped")
                continue
            aside = None
            if found == "new":
                self._anew.add(step.seed)
                aside = set_aside(step.folder)
            checkpoint = last_checkpoint(step)
            mark(step, "started")
            self._running[number] = _Process(step, [] if checkpoint is None else [f"--ckpt_path={checkpoint}"])
            self._say(number, " …" if checkpoint is None else f": goes on from {checkpoint} …")
            if aside is not None:
                print(f"      set aside what another configuration left: {aside}", flush=True)

    def _collect(self) -> None:
        """Note which processes have ended."""
        for number, process in list(self._running.items()):
            code = process.code()
            if code is None:
                continue
            del self._running[number]
            if code != 0:
                process.kill()  # what it may have started
                self._failed(number, process, code)
            seconds = self._finished(number, process)
            self._spent += seconds
            self._expected += 60 * process.step.minutes
            self._say(number, f" took {duration(seconds)}; about {duration(self._seconds_left())} left")

    def _finished(self, number: int, process: _Process) -> float:
        mark(process.step, "finished")
        seconds = process.seconds()
        self._done[number] = duration(seconds)
        return seconds

    def _failed(self, number: int, process: _Process, code: int) -> None:
        """Say which step failed and how."""
        how = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
        self._say(number, f" failed ({how}). The last lines of {process.log}:")
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
                self._finished(number, process)

    def _seconds_left(self) -> float:
        """Wall-clock seconds, at the pace of what is done."""
        pace = self._spent / self._expected if self._expected else 1.0
        unit = 60 * pace  # seconds that a minute of the plan takes
        running = {number: process.seconds() / unit if unit else 0.0 for number, process in self._running.items()}
        return unit * self.schedule.minutes_left(self._done.keys(), running)

    def _say(self, number: int, text: str) -> None:
        print(f"[{number + 1}/{len(self.steps)}] {self.steps[number].label}{text}", flush=True)


class _Process:
    """A step's process, which leads a group of its own: signals come from here alone, and reach what it starts."""

    def __init__(self, step: Step, more: list[str]) -> None:
        args = [*step.args, *more]
        self.step = step
        self.log = step.folder / "log.txt"
        with open(open_own(self.log, os.O_WRONLY | os.O_APPEND), "ab") as log:
            log.write(f"$ lit-metanas {shlex.join(args)}\n".encode())
            log.flush()
            self._offset = log.tell()
            self._process = subprocess.Popen(
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
def _caught() -> Iterator[list[int]]:
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
