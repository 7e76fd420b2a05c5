"""One of several processes on one study."""

import time
from multiprocessing import get_context

import torch
import unflushed  # noqa: F401
from query_toys import DIGITS, Digits, Sums, search

from lit_metanas.records import Budget
from lit_metanas.spaces import Choice

# A server imports once what takes seconds, and forks for each process.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["lit_metanas.estimators", "lit_metanas.searchers", "optuna", "sqlalchemy"])


class Slow(Sums):
    """Says what it trains.

    Args:
        pipe: to the test.
        seconds: that a training takes.
        hang_at: the call that never ends.
        waits: whether the first training waits for a word.
    """

    def __init__(self, pipe, *, seconds, hang_at, waits):
        super().__init__()
        self.pipe, self.seconds, self.hang_at, self.waits = pipe, seconds, hang_at, waits

    def __call__(self, architecture, *, fidelity, start=None):
        self.pipe.send({"began": architecture.to_json()})
        if not self.calls and self.waits:
            self.pipe.recv()
        time.sleep(1000 if len(self.calls) == self.hang_at else self.seconds)
        return super().__call__(architecture, fidelity=fidelity, start=start)


def work(pipe, storage, worker, queries, seconds, hang_at, labels):
    """Search, with so many labels for each digit: with few, processes often draw the same.

    It says when it is ready, and waits for a word. No process counts as dead because the machine is slow. At the end it
    says what has which score, what was spent, and the best value.
    """
    torch.set_num_threads(1)
    space = type("Digits", (Digits,), {"choices": tuple(Choice(name, DIGITS[:labels]) for name in "xyz")})()
    pipe.send("ready")
    pipe.recv()
    budget = Budget(queries=queries)
    found = search(
        Slow(pipe, seconds=seconds, hang_at=hang_at, waits=labels == len(DIGITS)),
        space=space,
        budget=budget,
        storage=storage,
        worker=worker,
        heartbeat=3600,
        patience=100 if labels > 1 else 3,
    )
    scored = {str(trial.architecture): trial.value for trial in found.record.trials if trial.scored}
    pipe.send({"scored": scored, "spent": budget.spent.queries, "best": found.record.best.value})


class Worker:
    """Such a process, and what it says."""

    def __init__(self, storage, worker, queries, *, seconds=0.05, hang_at=-1, labels=8):
        self.pipe, others = CONTEXT.Pipe()
        given = (others, storage, worker, queries, seconds, hang_at, labels)
        self.process = CONTEXT.Process(target=work, args=given, daemon=True)
        self.process.start()
        others.close()
        assert self.pipe.recv() == "ready"

    def go(self):
        """The word that it waits for."""
        self.pipe.send("go")

    def began(self):
        """What it trains next."""
        return self.pipe.recv()["began"]

    def kill(self):
        """End it at once."""
        self.process.kill()
        self.process.join()

    def end(self):
        """What it began since, and what it came to."""
        said = []
        while not said or "began" in said[-1]:
            assert self.pipe.poll(900)
            said.append(self.pipe.recv())
        self.process.join(60)
        assert self.process.exitcode == 0
        return [each["began"] for each in said[:-1]], said[-1]
