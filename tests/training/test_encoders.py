"""Frozen encoders of images and of words: what is read of files, and files that are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_files import NAME, classifier_file, static_folder
from torchvision import models

import lit_metanas as lm
from lit_metanas.training.encoders import encoder as encoder_module
from lit_metanas.training.encoders.read_encoder import IMAGENET_DEVIATION, IMAGENET_MEAN


def plain_features(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Features in front of the classifier, by torchvision alone."""
    kept: list[torch.Tensor] = []
    network.get_submodule("fc").register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0]))
    mean, deviation = (torch.tensor(own)[:, None, None] for own in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    with torch.no_grad():
        network.eval()((images - mean) / deviation)
    return kept[0]


def test_features_are_those_in_front_of_the_classifier_and_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIT_METANAS_CACHE", str(tmp_path / "cache"))
    weights = classifier_file(tmp_path)
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


def test_files_of_something_else_get_a_sentence(tmp_path: Path) -> None:
    grey = models.get_model(NAME)
    grey.conv1[0] = torch.nn.Conv2d(1, 24, 3, bias=False)
    for name, content, reason in (
        ("grey.pth", grey.state_dict(), "weights of no classifier"),
        ("other.pth", {"own": torch.rand(3)}, "weights of no classifier"),
        ("plain.pth", {"x": 3}, "no weights by their names"),
        ("other.pt2", {"x": 3}, "is no program of torch.export and cannot be read: write it by torch.export.save"),
        ("whole.pth", grey, "holds more than weights"),
    ):
        torch.save(content, tmp_path / name)
        with pytest.raises(ValueError, match=reason) as raised:
            lm.training.read_encoder(tmp_path / name)
        assert name in str(raised.value)


def test_weights_by_name_are_not_downloaded_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"get https://download.pytorch.org/models/resnet18-\w+.pth and give"):
        lm.training.read_encoder("resnet18")
    with pytest.raises(FileNotFoundError, match="There is no encoder 'resnet1': did you mean"):
        lm.training.read_encoder("resnet1")
    write = lambda url, file, *more, **options: torch.save(models.get_model(NAME).state_dict(), file)  # noqa: E731
    monkeypatch.setattr(torch.hub, "download_url_to_file", write)
    made = [lm.training.read_encoder(NAME, side=32, license="BSD", download=each) for each in (True, False)]
    assert [one.license for one in made] == ["BSD", "BSD"]
    with pytest.raises(FileNotFoundError, match="no encoder in the package 'openwakeword' here: pip install"):
        lm.training.read_encoder("openwakeword")


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
