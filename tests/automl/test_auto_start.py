"""Searches whose networks all begin with meta-trained weights."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import interrupt, same_tensors, same_weights
from cipher_tasks import IMAGES, Stripes, quiet_trainer, stripe_data, stripe_model
from torch import Tensor

import lit_metanas as lm
from lit_metanas.automl import last_training
from lit_metanas.estimators import training_estimator
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.stored_preprocessing import InputMeaning
from lit_metanas.training.meta_weights import TaskStart, Vocabularies

TASK = Stripes(1, first=70)[0]
ONE_TRIAL, TRIALS = (2e4, 4e4), (4e5, 1e5)
ONCE: dict[str, Any] = {"flops": TRIALS, "space": IMAGES, "records": (), "progress": False}


pytestmark = pytest.mark.usefixtures("short_trials")


def meta_train(path: Path, **options: Any) -> tuple[lm.training.TaskReptile, Path]:
    """A model of stripes, and its checkpoint."""
    model, trainer = stripe_model(**options), quiet_trainer(limit_val_batches=0)
    trainer.fit(model, stripe_data())
    trainer.save_checkpoint(path)
    return model, path


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[lm.training.TaskReptile, Path]:
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


def child_of(architecture: lm.Architecture, weights: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
    """What a new network has of some weights."""
    found: Mapping[str, Tensor] = IMAGES.child(architecture, TASK.shape, TASK.way, weights).state_dict()
    return found


def test_all_networks_begin_with_the_start(
    learned: tuple[lm.training.TaskReptile, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = learned
    searched, trained = begun_with(monkeypatch, training_estimator), begun_with(monkeypatch, last_training)
    result = lm.auto(TASK, start=path, **{**ONCE, "flops": ONE_TRIAL})
    ((first, weights),) = searched
    assert same_tensors(weights, child_of(first.architecture, model.weights()))
    ((chosen, weights),) = trained
    plain = lm.estimators.TrainingEstimator(TASK, IMAGES, 0, first.recipe, start=str(path))
    assert same_tensors(weights, child_of(chosen.architecture, plain(first.architecture, fidelity=1.0).weights))
    assert result.architecture == first.architecture == chosen.architecture
    assert result.meta_cost == model.cost()


def test_an_interrupted_search_goes_on_and_another_start_is_another_search(
    learned: tuple[lm.training.TaskReptile, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(start: Path | None = learned[1]) -> lm.SearchResult:
        return lm.auto(TASK, start=start, output=tmp_path / "cut", **ONCE)

    whole = lm.auto(TASK, start=learned[1], **ONCE)
    with monkeypatch.context() as patched:
        interrupt(patched, training_estimator, at=2)
        assert call().stopped
    left = begun_with(monkeypatch, training_estimator)
    goes_on = call()
    assert len(left) == len(whole.record.trials) - 1
    assert same_weights(goes_on.network, whole.network)
    assert goes_on.meta_cost == whole.meta_cost
    finished = call()
    assert (finished.meta_cost, len(left)) == (whole.meta_cost, len(whole.record.trials) - 1)
    kept = (tmp_path / "cut" / "auto.json").read_text()
    for start in (None, meta_train(tmp_path / "stripes.ckpt", seed=4)[1]):
        with pytest.raises(ValueError, match=r"holds the result of other data or settings \(start\)"):
            call(start)
    assert (tmp_path / "cut" / "auto.json").read_text() == kept


def test_images_are_brought_to_the_shape_of_the_start(
    usual: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    X, y = generator.random((40, 3, 12, 10)).astype(np.float32) / 2, ["bright", "dark"] * 20
    X[::2] += 0.5
    result = lm.auto((X, y), start=usual, flops=1e9)
    assert (result.shape, result.view) == ((1, 8, 8), "")
    assert result.linear_model
    assert result.test_accuracy == 1
    assert sorted(result.predict(X[:1])[0]) == ["bright", "dark"]
    assert f"auto: all networks begin with '{usual}', on images of shape (1, 8, 8)." in capsys.readouterr().err


def test_data_are_read_as_those_of_a_start(usual: Path, images: Path, texts: Path) -> None:
    start = TaskStart.read(usual)
    assert read_given(images, start=start.made_before).shape == (1, 8, 8)
    rows = (np.random.default_rng(0).random((20, 3)), [0, 1] * 10)
    for data in (texts, rows, TASK):
        assert read_given(data, start=start.made_before).shape == read_given(data).shape
    with pytest.raises(ValueError, match=r"Images of shape .* do not fit a network for \(1, 8, 8\)"):
        read_given((np.zeros((8, 2, 8, 8)), [0, 1] * 4), start=start.made_before)
    words = lm.kinds.Words(steps=5, least=1).fitted(["how do I"])
    start = replace(start, vocabularies=Vocabularies(InputMeaning.of(words)))
    assert read_given(texts, start=start.made_before).preprocessing == words
    told = [f"how do {number}" for number in range(20)]
    assert read_given((told, [0, 1] * 10), start=start.made_before).preprocessing == words
    start = replace(start, vocabularies=Vocabularies(InputMeaning.of(lm.kinds.LogMel())))
    with pytest.raises(ValueError, match=r"texts.csv' holds texts, and the checkpoint was meta-trained on sounds"):
        read_given(texts, start=start.made_before)


def test_a_start_of_something_else_is_refused_before_anything_is_written(
    learned: tuple[lm.training.TaskReptile, Path], usual: Path, texts: Path, tmp_path: Path
) -> None:
    def refused(data: Any, start: Path, message: str, **more: Any) -> None:
        output = tmp_path / "out"
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            lm.auto(data, start=start, flops=1e9, output=output, progress=False, **more)
        assert not output.exists() or [file.name for file in output.iterdir()] == [".auto.lock"]

    (damaged := tmp_path / "bad.ckpt").write_bytes(usual.read_bytes()[:9999])
    refused(TASK, damaged, "bad.ckpt' is damaged or was not written by TaskReptile: give one that `fit`")
    torch.save(torch.nn.Conv2d(1, 2, 3).state_dict(), foreign := tmp_path / "conv.pth")
    refused(TASK, foreign, "conv.pth' is damaged or was not written by TaskReptile: give one that `fit`")
    refused(TASK, tmp_path / "none.ckpt", "There is no start '.*none.ckpt': give the folder of an exported model, or")
    assert not (tmp_path / "out").exists()
    refused(texts, usual, "is of the search space GridSpace, the model of SequenceSpace: give one of that space")
    refused(
        TASK, learned[1], "is of another search space: for 'depth' the model has 2, 3, the checkpoint only 2",
        space=lm.LayeredSpace(depths=(2, 3), shared=True),
    )  # fmt: skip
    other = lm.task_from_arrays(torch.rand(20, 9, 9), torch.arange(20) % 2)
    refused(other, usual, r"is for images of shape \(1, 8, 8\), the model for images of shape \(1, 9, 9\)")
