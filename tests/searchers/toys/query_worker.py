"""One of several processes on one study."""

import time
import traceback
from contextlib import suppress
from multiprocessing import get_context
from types import SimpleNamespace

import torch
import unflushed  # noqa: F401
from query_toys import DIGITS, Digits, Sums, search

from lit_metanas.records import Budget
from lit_metanas.searchers.query import study
from lit_metanas.spaces import Choice

# A server imports once what takes seconds, and forks for each process.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["lit_metanas.estimators", "lit_metanas.searchers", "optuna", "sqlalchemy"])
LIMIT = 600
"""Seconds until one who waits for a word gives up."""


def next_word(pipe):
    """What the other end says next."""
    if not pipe.poll(LIMIT):
        raise TimeoutError(f"Nothing was said for {LIMIT} s.")
    return pipe.recv()


class Slow(Sums):
    """Says what it trains.

    Args:
        pipe: to the test.
        seconds: that a training takes.
        hang_at: the call that never ends.
        held: whether the first training waits for a word.
    """

    def __init__(self, pipe, *, seconds, hang_at, held):
        super().__init__()
        self.pipe, self.seconds, self.hang_at, self.held = pipe, seconds, hang_at, held

    def __call__(self, architecture, *, fidelity, start=None):
        self.pipe.send({"began": architecture.to_json()})
        if not self.calls and self.held:
            next_word(self.pipe)
        time.sleep(1000 if len(self.calls) == self.hang_at else self.seconds)
        return super().__call__(architecture, fidelity=fidelity, start=start)


def tell_of_the_first_pause(pipe):
    """Say when this process first waits for another one."""
    words = [{"waits": True}]

    def sleep(seconds):
        if words:
            pipe.send(words.pop())
        time.sleep(seconds)

    study.time = SimpleNamespace(sleep=sleep, monotonic=time.monotonic)


def work(pipe, *given):
    """Search, and say why if that fails."""
    try:
        search_on_command(pipe, *given)
    except BaseException:
        pipe.send({"died": traceback.format_exc()})
        raise


def search_on_command(pipe, storage, worker, queries, seconds, hang_at, labels, held, tells):
    """Search, with so many labels for each digit: with few, processes often draw the same.

    It says when it is ready, and waits for a word. No process counts as dead because the machine is slow. At the end it
    says what has which score, what was spent, and the best value.
    """
    torch.set_num_threads(1)
    if tells:
        tell_of_the_first_pause(pipe)
    space = type("Digits", (Digits,), {"choices": tuple(Choice(name, DIGITS[:labels]) for name in "xyz")})()
    pipe.send({"ready": True})
    next_word(pipe)
    budget = Budget(queries=queries)
    slow, patience = Slow(pipe, seconds=seconds, hang_at=hang_at, held=held), 100 if labels > 1 else 3
    options = {"storage": storage, "worker": worker, "heartbeat": 3600, "patience": patience}
    found = search(slow, space=space, budget=budget, **options)
    scored = {str(trial.architecture): trial.value for trial in found.record.trials if trial.scored}
    pipe.send({"result": {"scored": scored, "spent": budget.spent.queries, "best": found.record.best.value}})


class Worker:
    """Such a process, and what it says; a test ends with the traceback of one that dies."""

    def __init__(self, storage, worker, queries, *, seconds=0.05, hang_at=-1, labels=8, held=True, tells=False):
        self.pipe, others = CONTEXT.Pipe()
        given = (others, storage, worker, queries, seconds, hang_at, labels, held, tells)
        self.process = CONTEXT.Process(target=work, args=given, daemon=True)
        self.process.start()
        others.close()
        self.says("ready")

    def go(self):
        """The word that it waits for."""
        with suppress(BrokenPipeError):  # of one that died, what is asked next tells why
            self.pipe.send("go")

    def said(self):
        """What it says next."""
        try:
            said = next_word(self.pipe)
        except (EOFError, ConnectionResetError):
            self.process.join(60)
            raise AssertionError(f"It ended with {self.process.exitcode}, and without a word.") from None
        assert "died" not in said, said["died"]
        return said

    def says(self, what):
        said = self.said()
        assert what in said, said
        return said[what]

    def began(self):
        """What it trains next."""
        return self.says("began")

    def kill(self):
        """End it at once."""
        self.process.kill()
        self.process.join()

    def end(self):
        """What it began since, and what it came to."""
        began = []
        while "began" in (said := self.said()):
            began.append(said["began"])
        self.process.join(60)
        assert self.process.exitcode == 0
        return began, said["result"]
