"""Searches whose networks all begin with meta-trained weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cipher_tasks import IMAGES, Stripes, quiet_trainer, stripe_data, stripe_model
from torch import Tensor

import lit_metanas as lm
from lit_metanas.automl import auto_steps, time_plan
from lit_metanas.automl.given_data import read_given
from lit_metanas.automl.limits import LimitedSpace
from lit_metanas.estimators import training_estimator

TASK = Stripes(1, first=70)[0]
FLOPS = (1.5e6, 1e6)
ONCE: dict[str, Any] = {"flops": FLOPS, "space": IMAGES, "records": (), "progress": False}


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are trained for three epochs, so that a small budget pays for several."""
    monkeypatch.setattr(time_plan, "STEPS_OF_A_TRIAL", 3)


def meta_train(path: Path, **options: Any) -> tuple[lm.TaskReptile, Path]:
    """A model of stripes, and its checkpoint."""
    model, trainer = stripe_model(**options), quiet_trainer(limit_val_batches=0)
    trainer.fit(model, stripe_data())
    trainer.save_checkpoint(path)
    return model, path


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[lm.TaskReptile, Path]:
    """Of the small space."""
    return meta_train(tmp_path_factory.mktemp("learned") / "stripes.ckpt")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the space that images have if none is said."""
    return meta_train(tmp_path_factory.mktemp("usual") / "usual.ckpt", space=lm.default_space((1, 8, 8)))[1]


def begun_with(monkeypatch: pytest.MonkeyPatch, module: Any) -> list[tuple[lm.Child, Mapping[str, Tensor]]]:
    """The networks that a module trains, each with its weights before that."""
    plain, begun = module.fit_child, list[tuple[lm.Child, Mapping[str, Tensor]]]()

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        begun.append((child, {name: value.clone() for name, value in child.network.state_dict().items()}))
        return plain(child, train, **more)

    monkeypatch.setattr(module, "fit_child", fit)
    return begun


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether weights are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_all_networks_begin_with_the_start(
    learned: tuple[lm.TaskReptile, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = learned
    searched, trained = begun_with(monkeypatch, training_estimator), begun_with(monkeypatch, auto_steps)
    result = lm.auto(TASK, start=path, **ONCE)
    assert len(searched) == len(result.record.trials) > 1
    first, weights = searched[0]
    assert same(weights, IMAGES.child(first.architecture, TASK.shape, TASK.way, model.weights()).state_dict())
    assert result.meta_cost == model.cost()
    ((chosen, weights),) = trained
    recipe = {**result.record.trials[0].recipe, "epochs": first.recipe.epochs}
    if len({child.architecture for child, _ in searched}) == 1:
        plain = lm.TrainingEstimator(TASK, IMAGES, 0, lm.Recipe().replace(recipe), start=str(path))
        found = plain(chosen.architecture, fidelity=1.0).weights
        assert same(weights, IMAGES.child(chosen.architecture, TASK.shape, TASK.way, found).state_dict())
    again, fresh = lm.auto(TASK, start=path, **ONCE), lm.auto(TASK, **ONCE)
    assert same(again.network.state_dict(), result.network.state_dict())
    assert fresh.record.trials != result.record.trials
