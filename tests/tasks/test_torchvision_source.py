"""Torchvision's data sets as a source: classes, splits, shapes, and what cannot be read."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision.transforms import v2

import lit_metanas as lm
from lit_metanas.kinds.images.torchvision_source import resizing

FAKE = [{"size": 30, "num_classes": 5, "image_size": (3, 20, 24)}]


def squares(root: Path, **arguments) -> lm.kinds.TorchvisionSource:
    return lm.kinds.TorchvisionSource("squares.Squares", str(root), **arguments)


def test_both_parts_of_a_data_set_are_joined(tmp_path):
    source = squares(tmp_path, shape=(1, 4, 6), train=["none", "thirty"], val=["ten"], test=["twenty"])
    assert source.classes("train") == ("none", "thirty")
    assert [source.instances("train", label) for label in (0, 1)] == [4, 4]
    assert source.inputs("train", 1, range(4)).flatten(1).tolist() == [[30] * 24] * 2 + [[31] * 24] * 2
    assert source.inputs("test", 0, [2, 0])[:, 0, 0, 0].tolist() == [21, 20]
    one = squares(tmp_path, shape=(1, 4, 6), parts=[{"train": False}], test=["twenty"])
    assert one.inputs("test", 0, [0, 1]).unique().tolist() == [21]


def test_parts_with_other_classes_go_by_name(tmp_path: Path) -> None:
    for part, names in (("first", ["ant", "bee"]), ("second", ["bee", "cat"])):
        for value, name in enumerate(names):
            (folder := tmp_path / part / name).mkdir(parents=True)
            Image.new("L", (4, 4), 100 * (part == "second") + value).save(folder / "x.png")
    parts = [{"root": str(tmp_path / part)} for part in ("first", "second")]
    source = lm.kinds.TorchvisionSource("ImageFolder", shape=(3, 4, 4), parts=parts, test=["ant", "bee", "cat"])
    assert source.classes("test") == ("ant", "bee", "cat")
    assert [source.inputs("test", label, [0])[0, 0, 0, 0].item() for label in range(3)] == [0, 1, 101]
    assert source.inputs("test", 1, [1])[0, 0, 0, 0] == 100


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_images_are_resized_as_torchvision_does(channels, mode):
    source = lm.kinds.TorchvisionSource("FakeData", shape=(channels, 8, 10), parts=FAKE, test=["0", "1"])
    data = datasets.FakeData(**FAKE[0])
    chosen = [image for image, label in (data[i] for i in range(30)) if label == 1]
    expected = [v2.functional.resize(v2.functional.pil_to_tensor(image.convert(mode)), [8, 10]) for image in chosen]
    found = source.inputs("test", 1, range(len(chosen)))
    assert found.dtype == torch.uint8
    assert type(found) is torch.Tensor
    # Pillow and torch round a weighted sum of the colours differently.
    assert (found.int() - torch.stack(expected).int()).abs().max() <= (1 if channels == 1 else 0)


@pytest.mark.parametrize(("mode", "channels"), [("LA", 1), ("RGBA", 3), ("P", 3)])
def test_what_is_transparent_lies_over_white(mode, channels):
    image = Image.new("LA", (8, 8), (0, 0)).convert("RGBA").convert(mode)
    if mode == "P":
        image.info["transparency"] = image.getpixel((0, 0))
    assert resizing((channels, 8, 8))(image).tolist() == torch.full((channels, 8, 8), 255).tolist()


def test_a_transform_of_the_user_takes_the_place_of_resizing():
    crop = v2.Compose([v2.ToImage(), v2.CenterCrop(6), v2.ToDtype(torch.float32, scale=True)])
    source = lm.kinds.TorchvisionSource("FakeData", shape=(3, 6, 6), parts=FAKE, transform=crop, test=["0", "1"])
    image = next(image for image, label in datasets.FakeData(**FAKE[0]) if label == 0)
    assert torch.equal(source.inputs("test", 0, [0])[0], torch.from_numpy(np.array(image))[7:13, 9:15].permute(2, 0, 1))
    other = lm.kinds.TorchvisionSource("FakeData", shape=(3, 8, 8), parts=FAKE, transform=crop)
    with pytest.raises(ValueError, match=r"transform of fakedata gives images of shape \(3, 6, 6\), not \(3, 8, 8\)"):
        other.classes("train")


def test_what_is_missing_is_downloaded_where_asked_for(tmp_path):
    with pytest.raises(
        ValueError, match=r"Squares cannot be read from '.*none' \(Dataset not found\): give the folder"
    ):
        squares(tmp_path / "none").classes("train")
    source = squares(tmp_path / "some", parts=[{}], download=True)
    assert not (tmp_path / "some").exists()
    source.prepare()
    assert len(source.classes("train")) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dataset": "CIFAR1000"}, "There is no data set 'CIFAR1000': did you mean 'CIFAR100'?"),
        ({"dataset": "no.such.Data"}, "The data set 'no.such.Data' cannot be imported"),
        ({"dataset": "json.dumps"}, "There is no data set 'json.dumps'"),
        (
            {"dataset": "FakeData", "parts": [{"siz": 3}]},
            "FakeData cannot be read from 'data' (FakeData.__init__() got an unexp",
        ),
        ({"dataset": "FakeData", "shape": (2, 8, 8)}, "TorchvisionSource: shape = (2, 8, 8) must be"),
        ({"dataset": "SVHN", "parts": [{"split": "trian"}]}, "SVHN cannot be read from 'data' (Unknown value 'trian'"),
        ({"dataset": "CIFAR10", "root": "none"}, "CIFAR10 cannot be read from 'none' (Dataset not found or corrupted"),
        ({"dataset": "FakeData", "parts": []}, "TorchvisionSource: parts is empty"),
    ],
)
def test_mistakes_get_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        lm.kinds.TorchvisionSource(**arguments).classes("train")
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)
    assert ("download: true" in str(caught.value)) == ("not found" in str(caught.value))


def test_arguments_that_a_data_set_hands_on_count(tmp_path):
    """QMNIST takes ``train``, ``transform`` and ``download`` for MNIST, which it extends."""
    folder = tmp_path / "QMNIST" / "raw"
    folder.mkdir(parents=True)
    labels = struct.pack(">3i", 0xC02, 4, 8) + np.tile(np.arange(4, dtype=">i4")[:, None], 8).tobytes()
    for part in ("train", "test"):
        (folder / f"qmnist-{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">4i", 0x803, 4, 28, 28) + bytes(4 * 28 * 28)
        )
        (folder / f"qmnist-{part}-labels-idx2-int").write_bytes(labels)
    source = lm.kinds.TorchvisionSource("QMNIST", str(tmp_path), shape=(3, 16, 16), test=["1 - one", "2 - two"])
    assert source.instances("test", 0) == 2
    assert source.inputs("test", 0, [0, 1]).shape == (2, 3, 16, 16)
