"""What the tests of several benchmarks share."""

import importlib
from pathlib import Path

import pytest

import lit_metanas as lm

FOLDER = Path(lm.__file__).parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def fixed_trainings(load, monkeypatch):
    """What each fixed network may cost, what it costs, and what an epoch of it costs."""
    found, train_fixed = [], load("equal_flops").train_fixed

    def kept(task, space, labels, recipe, flops, seed):
        result = train_fixed(task, space, labels, recipe, flops, seed)
        spent = result.cost.flops + result.training_cost.flops
        found.append((flops, spent, result.training_cost.flops / result.recipe.epochs))
        return result

    for name in ("equal_flops", "real_pairs", "questions"):
        monkeypatch.setattr(load(name), "train_fixed", kept)
    return found
