"""Frozen pretrained encoders in front of a searched network, among the preprocessings of ``auto``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_files import classifier_file, static_folder
from exported_script import answers
from PIL import Image
from torchvision import models

import lit_metanas as lm
from lit_metanas.automl import budget_plan
from lit_metanas.automl.options import AutoOptions
from lit_metanas.estimators.limits import LimitedSpace, NetworkLimits
from lit_metanas.searchers import FixedArchitecture

SEARCHED: dict[str, Any] = {"shape": 32, "records": (), "progress": False, "threads": 1}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("cache")
        patched.setenv("LIT_METANAS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a classifier."""
    return classifier_file(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two classes that differ in their stripes, 40x40 pixels."""
    generator, root = np.random.default_rng(0), tmp_path_factory.mktemp("data") / "photos"
    stripes = 40 * (np.indices((40, 40)) // 5 % 2)
    for name, pattern in zip(("across", "down"), stripes, strict=True):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels = 80 + generator.integers(0, 60, (40, 40, 3)) + pattern[..., None]
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


def test_a_search_exports_the_encoder_with_the_network(weights: Path, photos: Path, tmp_path: Path) -> None:
    encoder = lm.training.read_encoder(weights, side=32)
    most = 40 * encoder.cost.flops + 3e7
    asked: dict[str, Any] = {"encoders": [str(weights)], "output": tmp_path / "out", **SEARCHED}
    found = lm.auto(photos, flops=most, **asked)
    assert found.space == "MLPSpace"
    assert (found.view, found.shape) == ("mine.pth", lm.ImageShape(3, 32, 32))
    assert found.encoding_cost.images == 40
    spent = found.encoding_cost.flops + found.cost.flops + found.training_cost.flops
    assert spent <= most
    assert found.parameters > encoder.cost.parameters
    loaded, images = lm.load(tmp_path / "out"), torch.rand(5, 3, 32, 32)
    with torch.no_grad():
        own = torch.tensor([[row[name] for name in found.classes] for row in found.predict(images)])
        torch.testing.assert_close(loaded.predict(images), own, rtol=0, atol=1e-5)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Frozen encoder in front: mine.pth" in card
    assert "its licence is unknown: see its source" in card
    again = lm.auto(photos, flops=most, **asked)
    assert again.predict(images) == found.predict(images)
    assert again.test_score == found.test_score
    repeated = lm.auto(photos, encoders=[str(weights)], flops=found.budget, **SEARCHED)
    assert (repeated.architecture, repeated.test_score) == (found.architecture, found.test_score)


def test_an_encoder_is_chosen_among_others_and_none(
    weights: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_plan, "SHARES", replace(budget_plan.SHARES, trial_steps=6))
    other = tmp_path / "other.pth"
    torch.save(models.get_model("mobilenet_v3_small", num_classes=2).state_dict(), other)
    found = lm.auto(photos, encoders=["none", str(weights), str(other)], flops=4e10, **SEARCHED)
    tried = {trial.recipe["preprocessing"] for trial in found.record.trials}
    assert {"colour 32x32", "mine.pth", "other.pth"} <= tried
    for trial in found.record.trials:
        behind = trial.recipe["preprocessing"] in ("mine.pth", "other.pth")
        assert trial.architecture["family"] == {True: "heads", False: "own"}[behind]
        assert trial.scored
    assert found.encoding_cost.images == 80
    assert found.encoder == "" or found.view in ("mine.pth", "other.pth")


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_size": "500kB"}, r"encoder 'mine.pth' alone is larger than max_size: [\d,]+ of 500,000"),
        ({"max_parameters": 1000}, "alone is larger than max_parameters"),
        ({"flops": 1e6}, "FLOPs do not pay for the features"),
    ],
)
def test_an_encoder_above_a_limit_gets_a_sentence(
    weights: Path, photos: Path, limit: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        lm.auto(photos, encoders=[str(weights)], **{"flops": 1e9, **SEARCHED, **limit})


def test_encoders_of_other_data_and_with_other_options_get_a_sentence(weights: Path) -> None:
    rows = np.random.default_rng(0).random((40, 3)), ["a", "b"] * 20
    with pytest.raises(ValueError, match=r"encoder 'mine.pth' is for images, and the data are rows"):
        lm.auto(rows, encoders=str(weights), flops=1e9, progress=False)
    with pytest.raises(TypeError, match="Flatten"):
        lm.auto(rows, encoders=[torch.nn.Flatten()], flops=1e9, progress=False)
    with pytest.raises(ValueError, match="leave 'encoders' out"):
        AutoOptions("photos", encoders="resnet18", start="model")
    for given in ({"pareto": "flops"}, {"space": lm.GridSpace()}):
        with pytest.raises(ValueError, match="is for one kind of input: leave 'none' out of 'encoders', or it"):
            AutoOptions("photos", encoders=["resnet18", "none"], **given)


def test_an_exported_program_is_an_encoder(tmp_path: Path) -> None:
    pool = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), *pool)
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network, (torch.rand(2, 3, 16, 16),), dynamic_shapes=dynamic)
    file = tmp_path / "small.pt2"
    torch.export.save(program.run_decompositions(), file)
    encoder = lm.training.read_encoder(file)
    assert (encoder.shape, encoder.numbers) == (lm.ImageShape(3, 16, 16), 4)
    generator = np.random.default_rng(0)
    X, y = generator.random((40, 16, 16, 3)).astype(np.float32), np.arange(40) % 2
    X[y == 1, :, :, 0] *= 0.5
    found = lm.auto((X, y), encoders=[encoder], flops=2e7, output=tmp_path / "out", progress=False, records=())
    images, (own, _) = torch.rand(3, 3, 16, 16), found.objective.program_of(found.network)
    with torch.no_grad():
        torch.testing.assert_close(lm.load(tmp_path / "out").network(images), own.eval()(images))
    with pytest.raises(ValueError, match="leave 'shape' out"):
        lm.training.read_encoder(file, side=32)


def test_static_vectors_are_averaged_and_exported_with_their_tokenizer(tmp_path: Path) -> None:
    encoder = lm.training.read_encoder(static_folder(tmp_path / "static"))
    own = np.array([[0.0, 0.05, 0.5], [2.0, 1.0, 0.0], [0.0, -0.2, -2.0]])
    texts = ["good good bad", "a good film"]
    sums = np.stack([2 * own[1] + own[2], own[0] + own[1] + own[0]])
    wanted = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    assert encoder.preprocessing is not None
    features = encoder.features(encoder.preprocessing.encode(texts)).numpy()
    np.testing.assert_allclose(features, wanted, atol=1e-3)
    said = [f"a {word} film number {number}" for number in range(20) for word in ("good", "bad")]
    out = tmp_path / "out"
    found = lm.auto((said, ["yes", "no"] * 20), encoders=[encoder], flops=1e6, output=out, progress=False, records=())
    assert found.test_score == 1
    rows = found.predict(texts)
    with torch.no_grad():
        loaded = lm.load(out).predict(texts)
    torch.testing.assert_close(loaded, torch.tensor([[row[name] for name in found.classes] for row in rows]))
    (tmp_path / "new.txt").write_text("\n".join(texts))
    for answer, row in zip(answers(out / "predict.py", tmp_path / "new.txt"), rows, strict=True):
        assert answer == pytest.approx(row, abs=1e-5)


@pytest.mark.slow
def test_limits_are_for_the_encoder_and_the_network_together(weights: Path, tmp_path: Path) -> None:
    encoder = lm.training.read_encoder(weights, side=32)
    task = lm.training.encode(lm.task_from_arrays(torch.rand(20, 3, 32, 32), torch.arange(20) % 2), encoder)
    space = lm.MLPSpace(shared=True)
    limited, one = LimitedSpace(space, NetworkLimits(), task), space.sample(torch.Generator().manual_seed(0))
    own = space.cost(one, task.shape, 2)
    assert limited.measures["parameters"](one) == encoder.cost.parameters + own.parameters
    assert limited.measures["flops"](one) == encoder.cost.flops + own.flops
    found = lm.search(task, space, method=FixedArchitecture(one), recipe=lm.Recipe(epochs=1), progress=False)
    assert (found.parameters, found.flops) == (limited.measures["parameters"](one), limited.measures["flops"](one))
    found.export(tmp_path)
    assert (tmp_path / "model.pt2").stat().st_size == limited.measures["size"](one)
