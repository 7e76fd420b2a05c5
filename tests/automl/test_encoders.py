"""Frozen pretrained encoders in front of a searched network, among the preprocessings of ``auto``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from exported_script import answers
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

import lit_metanas as lm
from lit_metanas.automl import budget_plan
from lit_metanas.automl.limits import LimitedSpace
from lit_metanas.automl.options import AutoOptions, NetworkLimits
from lit_metanas.searchers import FixedArchitecture
from lit_metanas.training.encoders import encoder as encoder_module
from lit_metanas.training.encoders.read_encoder import IMAGENET_DEVIATION, IMAGENET_MEAN

SEARCHED: dict[str, Any] = {"shape": 32, "records": (), "progress": False, "threads": 1}
NAME = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("cache")
        patched.setenv("LIT_METANAS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a classifier of seven classes, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.get_model(NAME, num_classes=7)
    file = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, file)
    return file


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


def plain_features(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Features in front of the classifier, by torchvision alone."""
    kept: list[torch.Tensor] = []
    network.get_submodule("fc").register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0]))
    with torch.no_grad():
        network.eval()(
            (images - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_DEVIATION)[:, None, None]
        )
    return kept[0]


def test_features_are_those_in_front_of_the_classifier_and_computed_once(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = lm.training.read_encoder(weights, side=32)
    known = models.get_model(NAME, num_classes=7)
    known.load_state_dict({k.removeprefix("module."): v for k, v in torch.load(weights)["state_dict"].items()})
    images = (torch.rand(5, 3, 32, 32) * 255).byte()
    wanted = plain_features(known, images / 255)
    torch.testing.assert_close(encoder.features(images), wanted)
    assert encoder.about == f"torchvision's {NAME} for 32x32 pixels, normalised as ImageNet"
    computed = list[int]()
    whole = encoder_module.Encoder._computed

    def counted(self: Any, inputs: torch.Tensor, seconds: float) -> torch.Tensor:
        computed.append(len(inputs))
        return whole(self, inputs, seconds)

    monkeypatch.setattr(encoder_module.Encoder, "_computed", counted)
    again = lm.training.read_encoder(weights, side=32)
    more = torch.cat([images[3:], (torch.rand(1, 3, 32, 32) * 255).byte(), images[:1]])
    assert torch.equal(again.features(more)[[0, 1, 3]], encoder.features(images)[[3, 4, 0]])
    assert computed == [1]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny"])
def test_the_architecture_is_found_by_names_and_shapes(name: str, tmp_path: Path) -> None:
    network = models.get_model(name, num_classes=3)
    kept = {key: own for key, own in network.state_dict().items() if "num_batches" not in key}
    torch.save(kept, tmp_path / "some.pth")
    encoder = lm.training.read_encoder(tmp_path / "some.pth", side=32)
    assert encoder.about.startswith(f"torchvision's {name} for")
    assert encoder.shape == lm.ImageShape(3, 32, 32)


def test_images_that_are_too_small_are_refused_in_one_sentence(tmp_path: Path) -> None:
    torch.save(models.get_model("densenet121").state_dict(), tmp_path / "dense.pth")
    with pytest.raises(ValueError, match=r"^The encoder 'dense.pth' cannot take inputs .*: give the 'shape' that"):
        lm.training.read_encoder(tmp_path / "dense.pth", side=8)


def damaged(folder: Path) -> dict[str, tuple[Any, str]]:
    """Contents of files, each with what is wrong with it."""
    grey = models.get_model(NAME)
    grey.conv1[0] = torch.nn.Conv2d(1, 24, 3, bias=False)
    return {
        "grey.pth": (grey.state_dict(), "weights of no classifier"),
        "other.pth": ({"own": torch.rand(3)}, "weights of no classifier"),
        "plain.pth": ({"x": 3}, "no weights by their names"),
        "whole.pth": (grey, "holds more than weights"),
    }


@pytest.mark.parametrize("name", ["grey.pth", "other.pth", "plain.pth", "whole.pth"])
def test_files_of_something_else_get_a_sentence(name: str, tmp_path: Path) -> None:
    content, reason = damaged(tmp_path)[name]
    torch.save(content, tmp_path / name)
    with pytest.raises(ValueError, match=reason) as raised:
        lm.training.read_encoder(tmp_path / name)
    assert name in str(raised.value)


def test_weights_by_name_are_not_downloaded_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"get https://download.pytorch.org/models/resnet18-\w+.pth and give"):
        lm.training.read_encoder("resnet18")


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
    monkeypatch.setattr(budget_plan, "STEPS_OF_A_TRIAL", 6)
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


def static_folder(folder: Path) -> Path:
    """A folder as model2vec writes it: three words, of which two share a row, and their weights."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "good": 1, "bad": 2}, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors = torch.tensor([[0.0, 0.1, 1.0], [2.0, 1.0, 0.0]]).half()
    named = {"embeddings": vectors, "mapping": torch.tensor([0, 1, 0]), "weights": torch.tensor([0.5, 1.0, -2.0])}
    save_file(named, folder / "model.safetensors")
    return folder


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


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_folder_of_static_vectors_that_is_damaged_gets_a_sentence(name: str, tmp_path: Path) -> None:
    folder = static_folder(tmp_path / "static")
    (folder / name).write_bytes((folder / name).read_bytes()[:50])
    with pytest.raises(ValueError, match="encoder 'static' is damaged, or was downloaded in part"):
        lm.training.read_encoder(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"encoder 'static' lacks '{name}'"):
        lm.training.read_encoder(folder)
    with pytest.raises(ValueError, match=r"is a folder without tokenizer.json and model.safetensors, .*: give such a"):
        lm.training.read_encoder(tmp_path)


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
