"""A space of digits, and an estimator that adds them up."""

import math

import optuna
import pytest
import torch

from lit_metanas.estimators import Estimator, Score
from lit_metanas.records import Budget, Cost
from lit_metanas.searchers import QuerySearcher
from lit_metanas.spaces import Choice, ChoiceSpace

DIGITS = tuple("01234567")


class Digits(ChoiceSpace):
    """Three digits."""

    choices = tuple(Choice(name, DIGITS) for name in "xyz")


SPACE = Digits()


def value(architecture):
    """Rises with every digit, x most."""
    x, y, z = (int(architecture[name]) for name in "xyz")
    return 0.1 * x + 0.02 * y + 0.001 * z


def parameters(architecture):
    """Rises with x and y, against z not at all."""
    return 10 + 5 * int(architecture["x"]) + 3 * int(architecture["y"])


class Sums(Estimator):
    """Costs 100 FLOPs in full; a share of the training gives that share of the value.

    Args:
        broken: which architectures fail, with what error.
        weights: whether it gives weights: what was trained so far, to which more is added.
        stop_at: the call at which the process is interrupted.
    """

    def __init__(self, broken=None, weights=False, stop_at=None, bonus=0.0):
        self.broken = broken or (lambda architecture: None)
        self.weights = weights
        self.stop_at = stop_at
        self.bonus = bonus
        self.calls = []

    @property
    def settings(self):
        return {"bonus": self.bonus}

    @property
    def measures(self):
        return {"parameters": parameters, "odd": lambda architecture: float(int(architecture["z"]) % 2)}

    def cost(self, architecture, fidelity):
        return Cost(queries=1, flops=round(100 * fidelity))

    def __call__(self, architecture, *, fidelity, start=None):
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        before = float(start["trained"]) if start else 0.0
        self.calls.append((architecture, fidelity, before))
        if (error := self.broken(architecture)) is not None:
            raise error
        trained = before + fidelity
        result = (value(architecture) + self.bonus) * math.sqrt(trained)
        weights = {"trained": torch.tensor(trained, dtype=torch.float64)} if self.weights else None
        return Score(result, self.cost(architecture, fidelity), weights)


def price(architecture):
    return 10 + 150 * int(architecture["x"]) + 7 * int(architecture["z"])


class Priced(Sums):
    """Costs more the larger x and z are."""

    def cost(self, architecture, fidelity):
        return Cost(queries=1, flops=price(architecture))


def search(estimator=None, *, budget=None, seed=0, space=SPACE, **options):
    searcher = QuerySearcher(**options)
    return searcher.run(estimator or Sums(), space, budget or Budget(queries=20), seed, problem="digits")


def resume(stop_at, *, make=Sums, storage=None, searched=search, **options):
    """A whole search, an equal one that was interrupted at a call and went on, and how many calls it had left."""
    storage = storage or optuna.storages.InMemoryStorage()
    whole = searched(make(), **options)
    with pytest.raises(KeyboardInterrupt):
        searched(make(stop_at=stop_at), storage=storage, **options)
    rest = make()
    found = searched(rest, storage=storage, **options)
    assert told(found.record) == told(whole.record)
    return whole, found, len(rest.calls)


def told(record):
    """What is equal in two equal searches."""
    return [
        (t.architecture, t.value, t.cost.queries, t.cost.flops, t.duplicate, t.fidelity, t.pruned, t.failure,
         t.measures, t.recipe)
        for t in record.trials
    ]  # fmt: skip
