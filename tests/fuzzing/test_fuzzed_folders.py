"""What a run keeps in its folder for itself, edited: the run goes on, or does again what it cannot read."""

import contextlib
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from file_kinds import RECORD, a_result
from fuzz_tools import CASES, Case, cases, edited, edited_bytes, emptied, ending, like
from hypothesis import given
from PIL import Image

from lit_metanas.cli.experiment.plan import Step
from lit_metanas.cli.experiment.progress import mark, state
from lit_metanas.cli.run_directory import ID, name_run, read_saved
from lit_metanas.comparisons.finished_pairs import ComparisonRow, FinishedPairs
from lit_metanas.io.locks import _in_use
from lit_metanas.io.yaml_files import read_yaml
from lit_metanas.kinds import FolderTask
from lit_metanas.kinds.images.glyphs import _read
from lit_metanas.kinds.images.image_files import read_image
from lit_metanas.records import ArchitectureRow
from lit_metanas.training.export.prediction_table import _holds_predictions

CONFIG = {
    "seed_everything": 0,
    "trainer": {"max_epochs": 3, "threads": 1, "callbacks": [{"class_path": "ArchitectureFile"}], "logger": True},
    "model": {"class_path": "MetaSearch", "init_args": {"flops": 1e9, "start": None, "name": "\N{SNOWMAN} x: y"}},
}


def disturbed(random: Case, file: Path) -> None:
    """Edit a file of JSON by what is in it, or any file by its bytes."""
    content = file.read_bytes()
    if file.suffix == ".json" and random.random() < 0.7:
        document, _ = edited(random, json.loads(content))
        content = json.dumps(document).encode()
    else:
        content = edited_bytes(random, content)
    file.write_bytes(content)


@cases(30, 3000)
@given(random=CASES)
def test_marks_of_an_experiment(random: Case, canary: Path) -> None:
    step = Step("a", canary / "work" / "a", ["fit", "-c", "a.yaml"], 0, 1.0, "5" * 64)
    mark(step, "finished")
    disturbed(random, step.folder / "phase.json")
    how, _ = ending(lambda: state(step, set()), canary)
    assert how == "success", "a damaged mark counts as absent"


@cases(20, 3000)
@given(random=CASES)
def test_a_finished_pair(random: Case, canary: Path) -> None:
    work = emptied(canary)
    pair = ComparisonRow(a_result(), ArchitectureRow("t", "darts", "S", a_result().architecture or {}, 0.5), RECORD)
    FinishedPairs(work, {"seed": 0}).write(pair, {"epochs": 3})
    files = sorted(path for path in work.rglob("*.json"))
    assert len(files) == 5
    disturbed(random, random.choice(files))

    ending(lambda: FinishedPairs(work, {"seed": 0}).read("t", "darts", {"epochs": 3}), canary)


def configuration(random: Case) -> bytes:
    """A configuration that is another one, or none."""
    document, _ = edited(random, CONFIG)
    text = yaml.dump(document, allow_unicode=True).encode("utf-8", "backslashreplace")
    if random.random() < 0.4:
        text = edited_bytes(random, text)
    if random.random() < 0.3:
        lines = text.split(b"\n")
        thrown = [
            b"&a [*a]",
            b"x: &x [1]\ny: [*x, *x]",
            b"!!python/object/apply:os.mkdir [executed]",
            b"<<: *z",
            b"\t- a",
        ]
        lines.insert(
            random.randint(0, len(lines)), random.choice([*thrown, b"? [a]\n: b", b"d: 2020-99-99", b"%YAML 9"])
        )
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


@cases(40, 2000)
@given(random=CASES)
def test_what_a_lock_says_of_its_holder(random: Case, canary: Path) -> None:
    file = canary / "work" / ".run.lock"
    owner, _ = edited(random, {"pid": 3, "host": "here", "since": "2020-01-01 00:00"})
    content = json.dumps(owner).encode()
    file.write_bytes(content if random.random() < 0.7 else edited_bytes(random, content))

    def refuse() -> None:
        raise ValueError(_in_use(file, "run", "directory"))

    ending(refuse, canary, names="is in use by another run (")


@cases(40, 2000)
@given(random=CASES)
def test_what_may_be_replaced_by_predictions(random: Case, canary: Path) -> None:
    path = canary / "work" / "predictions.csv"
    path.write_bytes(edited_bytes(random, b"file,class,probability,p(a),p(b)\na.png,a,0.5,0.5,0.5\n"))
    how, _ = ending(lambda: _holds_predictions(path), canary)
    assert how == "success"


@cases(30, 3000)
@given(random=CASES)
def test_cached_images(random: Case, canary: Path) -> None:
    path, shape = canary / "work" / "glyphs.npz", (3, 2, 8, 8)
    array = np.zeros(shape, np.uint8) if random.random() < 0.5 else np.array(like(random, torch.zeros(shape)).tolist())
    np.savez_compressed(path, images=array)
    if random.random() < 0.7:
        path.write_bytes(edited_bytes(random, path.read_bytes()))
    how, found = ending(lambda: _read(path, shape), canary)
    assert how == "success", "a damaged cache counts as absent"
    assert found is None or found.shape == shape


FORMATS = {"png": {}, "gif": {}, "bmp": {}, "jpg": {}, "tiff": {"compression": "tiff_lzw"}, "webp": {}, "ppm": {}}


def picture(name: str, mode: str = "RGB") -> bytes:
    """A picture of noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    stream = io.BytesIO()
    image = Image.fromarray(pixels).convert(mode)
    image.save(stream, {"jpg": "jpeg"}.get(name, name), **FORMATS[name])
    return stream.getvalue()


def chunks(random: Case, content: bytes) -> bytes:
    """A PNG with other sizes, or further chunks, each with a good checksum."""
    parts, place = [], 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        parts.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    kind = random.choice(["size", "text", "profile", "drop", "order", "pixels"])
    if kind == "size":
        sizes = [random.choice([0, 1, 30, 2**16, 2**31 - 1, 2**32 - 1]) for _ in range(2)]
        kinds = [random.choice([0, 1, 2, 3, 4, 6, 8, 16, 255]) for _ in range(5)]
        parts[0] = (b"IHDR", struct.pack(">II5B", *sizes, *kinds))
    elif kind in ("text", "profile"):
        packed = zlib.compress(bytes(random.choice([10, 10**6, 3 * 10**7])))
        tags = [b"zTXt", b"iTXt", b"tEXt", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"PLTE", b"tRNS"]
        head = random.choice([b"a\0\0", b"a\0\1\0\0\0", b"", bytes(100)])
        parts.insert(random.randint(1, len(parts)), (random.choice(tags), head + packed))
    elif kind == "drop":
        del parts[random.randint(0, len(parts) - 1)]
    elif kind == "order":
        parts.insert(random.randint(0, len(parts)), random.choice(parts))
    else:
        parts = [(b"IDAT", zlib.compress(bytes(10**7))) if name == b"IDAT" else (name, data) for name, data in parts]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return content[:8] + body


@pytest.mark.parametrize("name", FORMATS)
@cases(15, 2500)
@given(random=CASES)
def test_pictures(name: str, random: Case, canary: Path) -> None:
    path = canary / "work" / f"picture.{name}"
    content = picture(name, random.choice(["RGB", "L"]))
    change: Callable[[Case, bytes], bytes] = chunks if name == "png" and random.random() < 0.6 else edited_bytes
    path.write_bytes(change(random, content))
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


@cases(30, 1500)
@given(random=CASES)
def test_the_name_of_a_run(random: Case, canary: Path) -> None:
    from lightning.pytorch.loggers import WandbLogger

    path = canary / "work" / "wandb.fit.id"
    path.write_bytes(edited_bytes(random, b"a1b2c3d4e5\n") if random.random() < 0.7 else random.randbytes(70))

    def named() -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv(ID, raising=False)
            name_run(WandbLogger.__new__(WandbLogger), canary / "work", "fit", goes_on=True)
            return os.environ.pop(ID)

    how, found = ending(named, canary)
    assert how == "success"
    assert found.isprintable()
    assert 0 < len(found) <= 64
