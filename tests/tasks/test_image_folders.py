"""Folders of images: as a source, and as one target task."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_metanas.io.class_folders import class_folders, file_within
from lit_metanas.kinds import FolderTask, ImageFolder
from lit_metanas.kinds.images.image_files import read_image


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Six classes of five images in mixed sizes, modes and formats."""
    generator = np.random.default_rng(0)
    root = tmp_path / "animals"
    for label, name in enumerate(("ant", "bee", "cat", "dog", "eel", "fox")):
        (root / name).mkdir(parents=True)
        for i in range(5):
            pixels = np.full((20 + i, 31, 3), 40 * label, np.uint8) + generator.integers(0, 9, 3).astype(np.uint8)
            image = Image.fromarray(pixels)
            if i == 1:
                image = image.convert("L")
            if i == 2:
                image = image.convert("RGBA")
            image.save(root / name / f"{i}.png")
    return root


@pytest.mark.parametrize("channels", [1, 3])
def test_any_image_gets_the_shape(photographs, channels):
    source = ImageFolder(str(photographs), shape=(channels, 16, 12), train=["cat", "ant"])
    images = source.inputs("train", 0, [0, 1, 2, 4])
    assert (images.shape, images.dtype) == ((4, channels, 16, 12), torch.uint8)
    assert (images.float().mean((1, 2, 3)) - 80).abs().max() < 10  # the fixture's colour of the third class
    assert (source.name, source.classes("train")) == ("animals", ("cat", "ant"))
    assert (source.instances("train", 0), source.instances("train", 0, held_out=True)) == (5, 0)


def test_photographs_are_turned_upright(photographs):
    pixels = torch.zeros(20, 40, 3, dtype=torch.uint8)
    pixels[:10] = 255
    picture = Image.fromarray(pixels.numpy())
    exif = picture.getexif()
    exif[0x0112] = 3  # taken upside down
    picture.save(photographs / "ant" / "0.png", exif=exif)
    image = ImageFolder(str(photographs), shape=(1, 20, 40), train=["ant"]).inputs("train", 0, [0])[0, 0]
    assert image[[0, -1], 0].tolist() == [0, 255]


@pytest.mark.parametrize(("suffix", "channels"), [(".png", 1), (".tif", 3), (".pgm", 1)])
def test_sixteen_bits_a_pixel_are_scaled(tmp_path, suffix, channels):
    grey = torch.arange(0, 256, 17).view(4, 4)
    Image.fromarray((257 * grey).numpy().astype("uint16")).save(tmp_path / f"deep{suffix}")
    image = read_image(tmp_path / f"deep{suffix}", (channels, 4, 4))
    assert torch.equal(image.long(), grey.expand(channels, 4, 4))


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 3), ("LA", 1), ("P", 3)])
def test_what_is_transparent_lies_over_white(tmp_path, mode, channels):
    opaque = np.zeros((4, 4), dtype=np.uint8)
    opaque[:2] = 255  # the upper half
    if mode == "P":
        image, more = Image.fromarray(opaque // 255), {"transparency": 0}
        image.putpalette([0, 0, 0, 0, 0, 0])
    else:
        image, more = Image.fromarray(np.stack([np.zeros_like(opaque), opaque], axis=-1)).convert(mode), {}
    image.save(tmp_path / "x.png", **more)
    read = read_image(tmp_path / "x.png", (channels, 4, 4))
    assert torch.equal(read, torch.from_numpy(255 - opaque).expand(channels, 4, 4))


@pytest.mark.parametrize("kind", [ImageFolder, FolderTask])
def test_errors_of_folders_name_the_culprit(photographs, tmp_path, kind):
    with pytest.raises(FileNotFoundError, match=r"^There is no folder .*nowhere"):
        kind(str(tmp_path / "nowhere"))
    single = photographs / "ant" / "0.png"
    with pytest.raises(ValueError, match=r"ant/0.png' is a single file: give the folder that has one sub-folder of i"):
        kind(str(single))
    (tmp_path / "one" / "only").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"one' has 1 class folder: give"):
        kind(str(tmp_path / "one"))
    (photographs / "gnu").mkdir()
    (photographs / "gnu" / "notes.txt").write_text("no image")
    with pytest.warns(UserWarning, match=r"animals' has a sub-folder without images, left out: 'gnu'\."):
        kind(str(photographs))
    (tmp_path / "one" / "other").mkdir()
    with pytest.raises(ValueError, match=r"only' has no images"):
        kind(str(tmp_path / "one"))


def test_files_in_the_wrong_place_are_told(tmp_path):
    for name in ("ant/1.png", "ant/far/2.png", "bee/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.warns(
        UserWarning, match=r"in sub-folders of its classes' folders, which are left out \(1\): move them"
    ):
        assert class_folders(tmp_path, [".png"], "images")["ant"] == [tmp_path / "ant" / "1.png"]
    (tmp_path / "ant" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"ant' has no images \(\.png\): add .*; or set group='folder' if each of its"):
        class_folders(tmp_path, [".png"], "images")
    (tmp_path / "\udcff").mkdir()
    with pytest.raises(ValueError, match="is not UTF-8: rename it"):
        class_folders(tmp_path, [".png"], "images")
    for name, told in (
        ("../x.png", "by their path within"),
        ("x.txt", "which is not an image"),
        ("x.png", "lacks: add"),
    ):
        with pytest.raises(ValueError, match=rf"^Line 2 names '{name}'.* {told}"):
            file_within(tmp_path, name, "Line 2", [".png"], "images")


def test_a_shape_that_is_left_open_is_the_searchs(photographs: Path):
    tasks = FolderTask(str(photographs))
    assert tasks.shape == (3, 32, 32)
    tasks.bring_to((1, 4, 5))
    assert tasks.shape == (1, 4, 5)
    asked = FolderTask(str(photographs), shape=(3, 8, 8))
    asked.bring_to((1, 4, 5))
    assert asked.shape == (3, 8, 8)


def stored(file, **arrays):
    """Three classes of four small images, channels last, each class of one colour."""
    labels = np.repeat([2, 0, 1], 4)
    pixels = np.broadcast_to((80 * labels).astype(np.uint8)[:, None, None, None], (12, 6, 8, 3))
    np.savez(file, **{"images": pixels, "labels": labels, "class_names": np.array(["ant", "bee", "cat"]), **arrays})
    return str(file)


def test_an_npz_file_is_a_source(tmp_path):
    file = stored(tmp_path / "photos.npz")
    resized = ImageFolder(file, shape=(1, 5, 4), train=["cat"]).inputs("train", 0, [2])
    assert resized.shape == (1, 1, 5, 4)
    assert (resized.int() - 160).abs().max() <= 1  # rounded
    source = ImageFolder(file, shape=(3, 6, 8), train=["cat"], test=["ant", "bee"])
    assert (source.name, source.classes("test")) == ("photos", ("ant", "bee"))
    assert (source.instances("test", 1), source.instances("test", 1, held_out=True)) == (4, 0)
    assert source.inputs("train", 0, [0, 3]).unique().tolist() == [160]
    assert source.inputs("test", 1, [1]).shape == (1, 3, 6, 8)
    assert source.inputs("test", 1, [1]).unique().tolist() == [80]
