"""Objects described by plain values: equal ones equally, changed ones differently, and the same in every process."""

import json
import math
import os
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
import optuna
import pytest
import torch
from jsonargparse import ArgumentParser

from lit_metanas.estimators import TrainingEstimator
from lit_metanas.io.settings import settings_of, tensor_digest
from lit_metanas.kinds import ArraySource
from lit_metanas.relaxations import Softmax
from lit_metanas.searchers import (
    DARTSSearcher,
    FixedArchitecture,
    MetaSampler,
    MetaSearchedArchitecture,
    QuerySearcher,
    Searcher,
)
from lit_metanas.spaces import DARTSCell, LayeredSpace, OneHotEncoding
from lit_metanas.surrogates import MetaSurrogate, TransferSurrogate
from lit_metanas.surrogates.gaussian_process import GroupedKernel
from lit_metanas.surrogates.meta_surrogate import SURROGATE_KEY, surrogate_entry
from lit_metanas.training import Recipe
from lit_metanas.training.weight_sharing.darts_training import DARTSRates

captured = {"capture_output": True, "text": True, "check": True}


class Renaming(Searcher):
    """Stores its argument under another name."""

    def __init__(self, rate):
        self.learning_rate = rate

    def search(self, task, space, budget, seed):
        raise NotImplementedError


class Heir(Renaming):
    """Keeps nothing of one of its arguments."""

    def __init__(self, rate, *, more=()):
        super().__init__(rate)


@dataclass
class Listed(Searcher):
    """A data class, whose constructor is made after the class."""

    number: int

    def search(self, task, space, budget, seed):
        raise NotImplementedError


def source(y=("a", "b"), turned=False, seed=0):
    images = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8)
    return ArraySource(images[::-1] if turned else images, list(y) * 10, train=["a"], seed=seed)


def brief(epochs):
    return lambda task, space, seed: TrainingEstimator(task, space, seed, Recipe(epochs=epochs))


def from_yaml(**arguments):
    parser = ArgumentParser()
    parser.add_argument("--searcher", type=Searcher)
    searcher = {"class_path": "lit_metanas.searchers.query.query_searcher.QuerySearcher", "init_args": arguments}
    return parser.instantiate(parser.parse_object({"searcher": searcher})).searcher


def sampler(**arguments):
    return {"class_path": "optuna.samplers.TPESampler", "init_args": arguments}


def estimator(**arguments):
    kind = "lit_metanas.estimators.training_estimator.TrainingEstimator"
    return {"class_path": kind, "init_args": {"recipe": arguments}}


LAYERED = OneHotEncoding(LayeredSpace())


def meta_sampler(**changed):
    return MetaSampler(space=LAYERED.space, **{"encoding": LAYERED, "checkpoint": "a.ckpt", **changed})


def surrogate(mean):
    """Without sources, so that but one number tells it from others."""
    kernel = GroupedKernel(LAYERED.groups, torch.ones(len(LAYERED.groups)))
    return TransferSurrogate(kernel, (), torch.full((len(LAYERED.groups) + 2,), mean))


def in_memory(mean):
    found = MetaSurrogate(encoding=LAYERED)
    torch.nn.init.constant_(found.mean, mean)
    return meta_sampler(surrogate=found, encoding=None, checkpoint=None)


@pytest.fixture
def checkpoints(here):
    for name, mean in (("a.ckpt", 0.0), ("b.ckpt", 1.0)):
        torch.save({SURROGATE_KEY: surrogate_entry(LAYERED, surrogate(mean))}, name)


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda: FixedArchitecture({"a": "1"}), lambda: FixedArchitecture({"a": "2"})),
        (DARTSSearcher, lambda: DARTSSearcher(rates=DARTSRates(logits=0.1))),
        (lambda: from_yaml(sampler=sampler(n_startup_trials=5)), lambda: from_yaml(sampler=sampler())),
        (lambda: from_yaml(estimator=estimator(epochs=5)), lambda: from_yaml(estimator=estimator(epochs=6))),
        (lambda: {"t": torch.tensor([1.0, 2.0])}, lambda: {"t": torch.tensor([1.0, 3.0])}),
        (lambda: Softmax, lambda: Searcher),
        *(
            (lambda: meta_sampler(), lambda changed=changed: meta_sampler(**changed))
            for changed in ({"checkpoint": "b.ckpt"}, {"first": 6}, {"encoding": None})
        ),
        (lambda: in_memory(0.0), lambda: in_memory(1.0)),
        (lambda: LayeredSpace(), lambda: LayeredSpace(fixed={"depth": ["4"]}, depths=[3, 4])),
        (lambda: DARTSCell().restricted({"normal.edge0-2": "none"}), DARTSCell),
        (lambda: Renaming(1.0), lambda: Renaming(2.0)),
        (lambda: Renaming(1.0), lambda: Heir(1.0)),
        (lambda: Heir(1.0, more=[1]), lambda: Heir(1.0, more=[2])),
        (lambda: Listed(1), lambda: Listed(2)),
        (lambda: source(), lambda: source(turned=True)),
        (lambda: FixedArchitecture({"a": "1"}), lambda: {"a": "1"}),
        (lambda: QuerySearcher(estimator=brief(5)), lambda: QuerySearcher(estimator=brief(6))),
        (lambda: QuerySearcher(estimator=lambda *_: 5), lambda: QuerySearcher(estimator=lambda *_: 6)),
        (lambda: partial(brief, 5), lambda: partial(brief, 6)),
        (lambda: Renaming(1.0).search, lambda: Renaming(2.0).search),
        (lambda: {1: "a"}, lambda: {"1": "a"}),
        (lambda: optuna.samplers.TPESampler(n_ei_candidates=5), optuna.samplers.TPESampler),
        (lambda: list(range(5000)), lambda: list(range(1, 5001))),
        (lambda: math, lambda: json),
        (lambda: np.float32(1), lambda: np.float32(2)),
        (lambda: [found := [1], found.append(found)], lambda: [found := [2], found.append(found)]),
    ],
)
@pytest.mark.usefixtures("checkpoints")
def test_equal_objects_are_described_equally_and_others_are_not(make, other):
    text, again, changed = (json.dumps(settings_of(value), sort_keys=True) for value in (make(), make(), other()))
    assert text == again != changed
    assert "0x" not in text  # an address would differ in each process


def test_a_file_is_told_by_its_content(tmp_path):
    path, moved = tmp_path / "start.ckpt", tmp_path / "moved" / "start.ckpt"
    path.write_bytes(b"one")
    searcher = MetaSearchedArchitecture(str(path))
    before = settings_of(searcher)
    moved.parent.mkdir()
    moved.write_bytes(b"one")
    assert settings_of(MetaSearchedArchitecture(moved)) == before
    path.write_bytes(b"two")  # after the searcher was made, which reads it only when it searches
    assert settings_of(searcher) != before


def test_a_text_that_happens_to_name_a_file_is_no_other_such_text(here):
    for name in ("a", "b"):
        (here / name).touch()
    assert settings_of(FixedArchitecture({"kernel": "a"})) != settings_of(FixedArchitecture({"kernel": "b"}))


def test_what_is_used_and_changed_later_is_told_as_it_was_given():
    labels, sampler = {"a": "1"}, optuna.samplers.TPESampler(seed=1)
    made = [FixedArchitecture(labels), QuerySearcher(sampler=sampler)]
    before = [settings_of(each) for each in made]
    labels["a"] = "2"
    sampler.reseed_rng()
    optuna.create_study(sampler=sampler).optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert [settings_of(each) for each in made] == before


def test_every_process_describes_alike():
    code = """
import optuna
from lit_metanas.io.settings import keeps_arguments, settings_of

@keeps_arguments()
class Kept:
    def __init__(self, sampler, estimator):
        pass

print(settings_of(Kept(optuna.samplers.TPESampler(seed=1), estimator=lambda x: x in {'a', 'b', 'c'})))
print(settings_of({'a', 'b', 'c'}))
"""
    told = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, **captured).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1] != ""


def test_one_that_cannot_be_read_is_told_so_and_never_the_same():
    with pytest.warns(UserWarning, match=r"An object of _thread\.lock cannot be distinguished from others"):
        assert settings_of(Renaming(threading.Lock())) != settings_of(Renaming(threading.Lock()))


@pytest.mark.parametrize(
    "name", [name for name in optuna.samplers.__all__ if name.endswith("Sampler") and "Base" not in name]
)
def test_all_samplers_of_optuna_can_be_described(name):
    more = {"GridSampler": ({"x": [1, 2]},), "PartialFixedSampler": ({"x": 1}, optuna.samplers.RandomSampler(seed=1))}
    options = {} if name in ("GridSampler", "PartialFixedSampler", "BruteForceSampler") else {"seed": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        one, other = (getattr(optuna.samplers, name)(*more.get(name, ()), **options) for _ in range(2))
    assert "unknown" not in json.dumps(settings_of(one))
    assert settings_of(one) == settings_of(other)


def test_digests_take_any_tensor_and_layout():
    images = torch.rand(2, 3, 4, 4)
    assert tensor_digest(images) == tensor_digest(images.to(memory_format=torch.channels_last))
    assert tensor_digest(torch.tensor(True)) != tensor_digest(torch.tensor(False))
    assert tensor_digest(torch.empty(0, 3)) != tensor_digest(torch.empty(3, 0))
    assert tensor_digest(images, images[0]) != tensor_digest(images[0], images)
