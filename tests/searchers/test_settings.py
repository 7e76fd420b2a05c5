"""Objects described by plain values: equal ones equally, changed ones differently, and the same in every process."""

import json

import optuna
import pytest
import torch
from jsonargparse import ArgumentParser

from lit_metanas.estimators import TrainingEstimator
from lit_metanas.io.checkpoints import tensor_digest
from lit_metanas.relaxations import Softmax
from lit_metanas.searchers import (
    BorrowedArchitecture,
    DARTSSearcher,
    FixedArchitecture,
    MetaSampler,
    QuerySearcher,
    Searcher,
)
from lit_metanas.searchers.searcher import settings_of
from lit_metanas.spaces import LayeredSpace, OneHotEncoding
from lit_metanas.surrogates import MetaSurrogate, TransferSurrogate
from lit_metanas.surrogates.gaussian_process import GroupedKernel
from lit_metanas.surrogates.surrogate_checkpoint import write_surrogate
from lit_metanas.training import Recipe
from lit_metanas.training.weight_sharing.darts_training import DARTSRates


def from_yaml(**arguments):
    parser = ArgumentParser()
    parser.add_argument("--searcher", type=Searcher)
    searcher = {"class_path": "lit_metanas.searchers.query.query_searcher.QuerySearcher", "init_args": arguments}
    return parser.instantiate(parser.parse_object({"searcher": searcher})).searcher


def sampler(**arguments):
    return {"class_path": "optuna.samplers.TPESampler", "init_args": arguments}


def estimator(**arguments):
    return {
        "class_path": "lit_metanas.estimators.training_estimator.TrainingEstimator",
        "init_args": {"recipe": arguments},
    }


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
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, mean in (("a.ckpt", 0.0), ("b.ckpt", 1.0)):
        write_surrogate(name, LAYERED, surrogate(mean))


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda: FixedArchitecture({"a": "1"}), lambda: FixedArchitecture({"a": "2"})),
        (lambda: BorrowedArchitecture("x.json"), lambda: BorrowedArchitecture("y.json")),
        (lambda: BorrowedArchitecture("x.json"), lambda: BorrowedArchitecture("x.json", "darts")),
        (lambda: DARTSSearcher(epochs=2), lambda: DARTSSearcher(epochs=3)),
        (DARTSSearcher, lambda: DARTSSearcher(rates=DARTSRates(logits=0.1))),
        (lambda: from_yaml(sampler=sampler(n_startup_trials=5)), lambda: from_yaml(sampler=sampler())),
        (lambda: from_yaml(estimator=estimator(epochs=5)), lambda: from_yaml(estimator=estimator(epochs=6))),
        (from_yaml, lambda: from_yaml(fidelity=0.5)),
        (lambda: {"t": torch.tensor([1.0, 2.0])}, lambda: {"t": torch.tensor([1.0, 3.0])}),
        (lambda: torch.zeros(2, 3), lambda: torch.zeros(3, 2)),
        (lambda: torch.zeros(4), lambda: torch.zeros(4, dtype=torch.int32)),
        (lambda: Softmax, lambda: Searcher),
        *(
            (lambda: meta_sampler(), lambda changed=changed: meta_sampler(**changed))
            for changed in ({"checkpoint": "b.ckpt"}, {"first": 6}, {"refit": 2}, {"context": 9}, {"encoding": None})
        ),
        (lambda: in_memory(0.0), lambda: in_memory(1.0)),
        (lambda: LayeredSpace(), lambda: LayeredSpace(kernels=[3])),
        (lambda: LayeredSpace(), lambda: LayeredSpace(fixed={"depth": ["4"]}, depths=[3, 4])),
    ],
)
@pytest.mark.usefixtures("checkpoints")
def test_equal_objects_are_described_equally_and_others_are_not(make, other):
    text, again, changed = (json.dumps(settings_of(value), sort_keys=True) for value in (make(), make(), other()))
    assert text == again != changed
    assert "0x" not in text  # an address would differ in each process


def test_a_file_is_told_by_its_content(tmp_path):
    path = tmp_path / "start.ckpt"
    path.write_bytes(b"one")
    before = settings_of(BorrowedArchitecture(str(path)))
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(b"one")
    assert settings_of(BorrowedArchitecture(moved)) == before
    path.write_bytes(b"two")
    assert settings_of(BorrowedArchitecture(str(path))) != before


def test_texts_that_are_no_paths_are_kept():
    for text in ("", "x" * 5000, "a\0b", "sqlite:///studies.db"):
        assert settings_of(text) == text


def test_a_class_with_its_recipe_is_described_readably():
    described = settings_of(from_yaml(estimator=estimator(epochs=5)))
    assert described["class"] == "lit_metanas.searchers.query.query_searcher.QuerySearcher"
    recipe = settings_of(Recipe(epochs=5))
    assert described["estimator"] == {
        "class": "lit_metanas.estimators.training_estimator.TrainingEstimator",
        "recipe": recipe,
    }
    assert settings_of(TrainingEstimator) == "lit_metanas.estimators.training_estimator.TrainingEstimator"
    assert settings_of(QuerySearcher())["estimator"] is None
    assert settings_of(optuna.samplers.TPESampler(n_startup_trials=5))["n_startup_trials"] == 5


def test_digests_take_any_tensor_and_layout():
    images = torch.rand(2, 3, 4, 4)
    assert tensor_digest(images) == tensor_digest(images.to(memory_format=torch.channels_last))
    assert tensor_digest(torch.tensor(True)) != tensor_digest(torch.tensor(False))
    assert tensor_digest(torch.empty(0, 3)) != tensor_digest(torch.empty(3, 0))
    assert tensor_digest(images, images[0]) != tensor_digest(images[0], images)
