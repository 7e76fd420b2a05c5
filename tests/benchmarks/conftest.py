"""What the tests of several benchmarks share."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import lit_metanas as lm

FOLDER = Path(lm.__file__).parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def spots(load):
    """A problem of two classes of images, the second a little darker above."""

    def draw(folders):
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(40) % 2
        images = torch.rand(40, 1, 8, 8, generator=generator)
        images[labels == 1, :, :4] *= 0.7
        return replace(lm.task_from_arrays(images, labels), id="spots/all")

    return load("mixed_tasks").Problem("spots", "all", "images", draw)


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
