"""What a run keeps in its folder for itself, edited: the run goes on, or does again what it cannot read."""

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fuzz_tools import CASES, Case, cases, edited, edited_bytes, emptied, ending, like
from hypothesis import given
from PIL import Image

from lit_metanas.cli.run_output import read_saved
from lit_metanas.io.yaml_files import read_yaml
from lit_metanas.kinds import FolderTask
from lit_metanas.kinds.images.image_files import read_image
from lit_metanas.kinds.source_bases import read_kept

CONFIG = {
    "seed_everything": 0,
    "trainer": {"max_epochs": 3, "threads": 1, "callbacks": [{"class_path": "ArchitectureFile"}], "logger": True},
    "model": {"class_path": "MetaSearch", "init_args": {"flops": 1e9, "start": None, "name": "\N{SNOWMAN} x: y"}},
}


def configuration(random: Case) -> bytes:
    """A configuration that is another one, or none."""
    document, _ = edited(random, CONFIG)
    text = yaml.dump(document, allow_unicode=True).encode("utf-8", "backslashreplace")
    if random.random() < 0.4:
        text = edited_bytes(random, text)
    if random.random() < 0.3:
        lines = text.split(b"\n")
        thrown = [b"&a [*a]", b"x: &x [1]\ny: [*x, *x]", b"!!python/object/apply:os.mkdir [executed]"]
        thrown += [b"<<: *z", b"\t- a", b"? [a]\n: b", b"d: 2020-99-99", b"%YAML 9"]
        lines.insert(random.randint(0, len(lines)), random.choice(thrown))
        text = b"\n".join(lines)
    return text


@cases(60, 8000)
@given(random=CASES)
def test_a_saved_configuration(random: Case, canary: Path) -> None:
    path = canary / "work" / "config.fit.yaml"
    path.write_bytes(configuration(random))
    how, _ = ending(lambda: sorted(map(str, read_saved(path))), canary)
    assert how == "success", "a damaged one counts as another"

    def read() -> None:
        with contextlib.suppress(ValueError, RecursionError, yaml.YAMLError):  # each caller has words of its own
            read_yaml(path)

    how, _ = ending(read, canary)
    assert how == "success"


@cases(30, 3000)
@given(random=CASES)
def test_cached_images(random: Case, canary: Path) -> None:
    path, shape = canary / "work" / "glyphs.npz", (3, 2, 8, 8)
    array = np.zeros(shape, np.uint8) if random.random() < 0.5 else np.array(like(random, torch.zeros(shape)).tolist())
    np.savez_compressed(path, examples=array)
    if random.random() < 0.7:
        path.write_bytes(edited_bytes(random, path.read_bytes()))
    how, found = ending(lambda: read_kept(path, shape, torch.uint8), canary)
    assert how == "success", "a damaged cache counts as absent"
    assert found is None or found.shape == shape


FORMATS = {"png": {}, "gif": {}, "bmp": {}, "jpg": {}, "tiff": {"compression": "tiff_lzw"}, "webp": {}, "ppm": {}}


def picture(name: str, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    stream = io.BytesIO()
    image = Image.fromarray(pixels).convert(mode)
    image.save(stream, {"jpg": "jpeg"}.get(name, name), **FORMATS[name])
    return stream.getvalue()


@pytest.mark.parametrize("name", FORMATS)
@cases(15, 2500)
@given(random=CASES)
def test_pictures(name: str, random: Case, canary: Path) -> None:
    path = canary / "work" / f"picture.{name}"
    content = picture(name, random.choice(["RGB", "L"]))
    path.write_bytes(edited_bytes(random, content))
    shape = random.choice([(1, 28, 28), (3, 9, 17)])
    how, found = ending(lambda: read_image(path, shape), canary, names=path.name)
    assert how == "sentence" or found.shape == shape


@cases(25, 1200)
@given(random=CASES)
def test_a_folder_of_pictures(random: Case, canary: Path) -> None:
    photos = emptied(canary) / "photos"
    for name in ("cat", "dog"):
        (photos / name).mkdir(parents=True)
        for number in range(3):
            (photos / name / f"{number}.png").write_bytes(picture("png"))
    target = photos / random.choice(["cat", "dog"]) / "1.png"
    kind = random.choice(["bytes", "pipe", "link", "folder", "name", "empty", "absent"])
    if kind == "bytes":
        target.write_bytes(edited_bytes(random, target.read_bytes()))
    else:
        target.unlink()
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "link":
        target.symlink_to(random.choice(["/dev/zero", target.name, canary / "thesis" / "chapter.tex", "/", "absent"]))
    elif kind == "folder":
        target.mkdir()
    elif kind == "name":
        (photos / os.fsdecode(random.choice([b"\xff", b"a\nb", b"\x1b]0;x\x07", b".x", b"a\xcc\x81"]))).mkdir()
    elif kind == "empty":
        target.write_bytes(b"")

    def read() -> tuple[int, ...]:
        task = FolderTask(photos, shape=(1, 8, 8))[0]
        return tuple(task.train.inputs.shape)

    ending(read, canary)
