"""Trainings side by side, each in a worker process of its own."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.connection import Connection, wait
from numbers import Integral
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, Self, TypeVar

import torch

from lit_metanas.io.cores import end_with_parent, own_cores
from lit_metanas.io.text import short_value
from lit_metanas.training.trainers import MOST_PROCESSES

AUTO_WORKERS = "auto"  # the number of workers that is decided here: the cores, if the trainings are worth the processes

WORTH_PROCESSES = 2e10
"""Training FLOPs from which on processes pay, about a second of a core. Each takes 0.05 s to start and to answer."""

STOPS = (signal.SIGINT, signal.SIGTERM)  # signals that end the main process, or its search

_T = TypeVar("_T")

StepEnded = Callable[[], None]
Work = Callable[[StepEnded], _T]
"""Work of a worker; it may report to the main process that a step of it has ended, such as an epoch."""


class Submitted(Generic[_T]):
    """Work that was submitted, and its result once it is waited for."""

    def __init__(self, work: Work[_T], step_ended: StepEnded) -> None:
        self.seconds = 0.0  # that the work has taken, without the time before its start
        self._work, self._step_ended = work, step_ended
        self._then: list[Callable[[_T], None]] = []

    def then(self, use: Callable[[_T], None]) -> Self:
        """Have ``use`` called with the result, in the main process, when it is waited for."""
        self._then.append(use)
        return self

    def result(self) -> _T:
        """Wait for the result; raises what the work raised. Without workers the work is done here and now."""
        found = self._wait()
        for use in self._then:
            use(found)
        return found

    def give_up(self) -> None:
        """End the work without a result, if it was begun."""

    def _wait(self) -> _T:
        begin = perf_counter()
        try:
            return self._work(self._step_ended)
        finally:
            self.seconds = perf_counter() - begin


class _Process(Submitted[_T]):
    """Work in a process of its own; it ends with the work, so that its memory is free again."""

    def __init__(self, work: Work[_T], step_ended: StepEnded, pool: _Pool) -> None:
        super().__init__(work, step_ended)
        self._pool = pool
        self.answer: tuple[Any, BaseException | None] | None = None  # once the work is done, or its process has died
        self._begun = 0.0
        self._process: Any = None
        self.pipe: Connection | None = None

    def start(self) -> None:
        context: Any = multiprocessing.get_context(_method())
        self._begun = perf_counter()
        self.pipe, theirs = context.Pipe(duplex=False)
        given = theirs, self._work, torch.get_default_dtype()
        self._process = context.Process(target=_answer, args=given, daemon=True)
        with warnings.catch_warnings(), _signals_wait():
            # Python 3.12 and later warn of threads. None of ours, nor of torch's, holds a lock that a worker needs.
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            self._process.start()
        theirs.close()  # so that the pipe ends with the process

    def read(self) -> None:
        """Read a message: the result, what the work raised, or that a step is done."""
        assert self.pipe is not None
        try:
            message = pickle.loads(self.pipe.recv_bytes())  # noqa: S301 (of our own process)
        except (EOFError, OSError):
            self._process.join()
            self.seconds, code = perf_counter() - self._begun, self._process.exitcode
            how = f"exit code {code}" if code >= 0 else f"killed by signal {-code}, as for want of memory"
            self.answer = None, RuntimeError(f"its process died ({how})")
        else:
            if message is None:
                self._step_ended()
                return
            found, error, self.seconds, warned = message
            self.answer = found, error
            for each in warned:
                warnings.warn_explicit(*each)
        self.give_up()

    def give_up(self) -> None:
        """End the process once it has answered, or before."""
        if self.answer is None:
            self.answer = None, RuntimeError("it was given up")
            self.seconds = perf_counter() - self._begun if self._begun else 0.0
        if self._process is not None and self.pipe is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self.pipe.close()
            self._process = self.pipe = None

    def _wait(self) -> _T:
        self._pool.wait_for(self)
        assert self.answer is not None
        (found, error), self.answer = self.answer, (None, None)  # so that nothing holds the weights twice
        if error is not None:
            raise error
        return found


class _Pool:
    """Processes, at most ``number`` at a time; work that waits is begun in the order in which it was submitted."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._waiting: deque[_Process[Any]] = deque()
        self._running: list[_Process[Any]] = []

    def submit(self, work: Work[_T], step_ended: StepEnded) -> Submitted[_T]:
        """Start work, or have it wait for a process that ends."""
        one = _Process(work, step_ended, self)
        self._waiting.append(one)
        self._start()
        return one

    def wait_for(self, one: _Process[Any]) -> None:
        """Go on until some work is done; if that is interrupted, all work is given up."""
        try:
            while one.answer is None:
                self._start()
                ready = wait([each.pipe for each in self._running if each.pipe is not None])
                for each in [each for each in self._running if each.pipe in ready]:
                    each.read()
            self._start()
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        for each in (*self._running, *self._waiting):
            each.give_up()

    def _start(self) -> None:
        self._running = [each for each in self._running if each.answer is None]
        while self._waiting and len(self._running) < self.number:
            one = self._waiting.popleft()
            if one.answer is None:  # else it was given up
                self._running.append(one)
                one.start()


_pool: ContextVar[_Pool | None] = ContextVar("_pool", default=None)


@contextmanager
def worker_processes(number: int) -> Iterator[None]:
    """Do work that is submitted within the block in so many processes; with 1 in this one, when it is waited for."""
    # On Linux a worker is forked for each piece of work. It then has the data, the space and all that the work refers
    # to without a copy, needs no import, and runs code of a script or notebook that nothing could import. That takes
    # 10 ms, with a gigabyte of data 30 ms. Its one thread uses neither torch's pool of threads nor autograd's, which do
    # not survive a fork. With an accelerator autograd has threads, so there, and where systems' libraries cannot be
    # forked, processes are spawned: they import torch anew, and all that they need is sent to them.
    pool = _Pool(number) if number > 1 else None
    token = _pool.set(pool)
    try:
        yield
    finally:
        _pool.reset(token)
        if pool is not None:
            pool.give_up()


def submit(work: Work[_T], step_ended: StepEnded = lambda: None) -> Submitted[_T]:
    """Submit work to the processes of the innermost ``worker_processes``, if there are any."""
    pool = _pool.get()
    if pool is None:
        return Submitted(work, step_ended)
    return pool.submit(work, step_ended)


def workers_now() -> int:
    """The number of processes that submitted work has."""
    pool = _pool.get()
    return 1 if pool is None else pool.number


def check_workers(owner: str, workers: object) -> None:
    """Refuse a number of workers that is out of its range; ``owner`` begins the message."""
    whole = isinstance(workers, Integral) and not isinstance(workers, bool)
    if workers != AUTO_WORKERS and not (whole and 1 <= workers <= MOST_PROCESSES):  # type: ignore[operator]
        raise ValueError(
            f"{owner}: workers is {short_value(workers)}; give 1 to {MOST_PROCESSES}, or '{AUTO_WORKERS}'."
        )


def number_of_workers(workers: int | str, *, flops: float, device: torch.device) -> int:
    """How many processes to use for work of so many FLOPs, on a device."""
    # A daemon may have no children. Several threads of torch do not survive a fork, and leave no core free.
    if device.type != "cpu" or multiprocessing.current_process().daemon or torch.get_num_threads() > 1:
        return 1
    if workers != AUTO_WORKERS:
        return int(workers)
    if flops < WORTH_PROCESSES or not _starts_quietly():
        return 1
    return own_cores()


def _method() -> str:
    """How processes are started: see ``worker_processes``."""
    if sys.platform == "linux" and not torch.accelerator.is_available():
        return "fork"
    return "spawn"


def _starts_quietly() -> bool:
    """Whether a new process does not run the caller's script again, as one that is spawned would."""
    main = sys.modules["__main__"]
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    ours = file is None or Path(file).stem == "lit-metanas" or (spec is not None and spec.name.endswith("__main__"))
    return _method() == "fork" or ours


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM wait until a process is started: what they raise in a fork would be lost."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(pipe: Connection, work: Work[Any], dtype: torch.dtype) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C comes to all, and the main process ends the others
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    end_with_parent()
    _pool.set(None)
    torch.set_num_threads(1)
    torch.set_default_dtype(dtype)
    found, error, begin = None, None, perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        try:
            found = work(lambda: pipe.send_bytes(pickle.dumps(None)))
        except BaseException as caught:
            error = _sendable(caught)
    seconds = perf_counter() - begin
    reissued = [(each.message, each.category, each.filename, each.lineno) for each in warned]
    pipe.send_bytes(pickle.dumps((found, error, seconds, reissued)))


def _sendable(error: BaseException) -> BaseException:
    """An error with its traceback in words; another one of the same words if it cannot be sent."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (just made)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
