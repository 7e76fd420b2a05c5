"""Every file that is read, damaged in every way: one sentence that names it, and nothing of it is executed."""

import bz2
import io
import pickle
import random
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from file_kinds import KINDS, Hostile, Kind, good
from PIL import Image

FLIPS = 25


def hostile_checkpoint(path: Path) -> None:
    frame = {"pytorch-lightning_version": "2.6.0", "state_dict": {}, "lit_metanas": {"schema": 1, "own": Hostile()}}
    torch.save(frame, path)


def hostile_arrays(path: Path) -> None:
    stream = io.BytesIO()
    names = ("images_u4", "char_index", "images", "params", "val_acc_12")
    np.savez(stream, **{name: np.array([Hostile()], dtype=object) for name in names})
    path.write_bytes(stream.getvalue())


def foreign_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")


def foreign_data_base(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table letters (name text)")
    connection.close()


def foreign_picture(path: Path) -> None:
    Image.new("L", (3, 3)).save(path, format="png")


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("kept")


DAMAGE: dict[str, Callable[[Path, bytes], object]] = {
    "empty": lambda path, content: path.write_bytes(b""),
    "half": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "nine tenths": lambda path, content: path.write_bytes(content[: len(content) * 9 // 10]),
    "its first bytes": lambda path, content: path.write_bytes(content[:3]),
    "its end": lambda path, content: path.write_bytes(content[len(content) // 2 :]),
    "zeros in it": lambda path, content: path.write_bytes(
        content[: len(content) // 3] + bytes(len(content) // 3) + content[2 * (len(content) // 3) :]
    ),
    "text": lambda path, content: path.write_text("no such thing\n"),
    "noise": lambda path, content: path.write_bytes(random.Random(0).randbytes(999)),
    "JSON": lambda path, content: path.write_text('{"schema": 1, "rows": []}'),
    "deep JSON": lambda path, content: path.write_text("[" * 100_000),
    "null": lambda path, content: path.write_text("null"),
    "a zip": lambda path, content: foreign_zip(path),
    "a picture": lambda path, content: foreign_picture(path),
    "a data base": lambda path, content: foreign_data_base(path),
    "plain tensors": lambda path, content: torch.save({"other": torch.zeros(3), 5: "five"}, path),
    "a folder": lambda path, content: folder(path),
    "hostile pickle": lambda path, content: path.write_bytes(pickle.dumps(Hostile())),
    "hostile pickle of protocol 0": lambda path, content: path.write_bytes(pickle.dumps(Hostile(), protocol=0)),
    "hostile pickle, packed": lambda path, content: path.write_bytes(bz2.compress(pickle.dumps(Hostile()))),
    "hostile tensors": lambda path, content: hostile_checkpoint(path),
    "hostile arrays": lambda path, content: hostile_arrays(path),
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def refusal(kind: Kind, path: Path) -> str:
    """The sentence that a file is refused with."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        kind.read(path)
    return str(caught.value)


def assert_sentence(text: str, path: Path) -> None:
    assert path.name in text, text
    assert "\n" not in text
    assert len(text.replace(str(path), "")) < 300, text
    assert ": " in text, "no fix"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_gets_one_sentence_and_stays_as_it_is(name: str, damage: str, here: Path) -> None:
    if (name, damage) in (("image", "a picture"), ("study", "empty")):
        pytest.skip("this is a good file of this kind")
    path = here / "files" / KINDS[name].name
    path.parent.mkdir()
    DAMAGE[damage](path, good(name))
    before = None if path.is_dir() else path.read_bytes()
    assert_sentence(refusal(KINDS[name], path), path)
    assert not Path("executed").exists()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert (path / "inside").is_file() if before is None else path.read_bytes() == before


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_gets_one_sentence_or_changes_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / KINDS[name].name
    path.write_bytes(good(name))
    whole = KINDS[name].read(path)
    draw = random.Random(name)
    for _ in range(FLIPS):
        content = bytearray(good(name))
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        try:
            found = KINDS[name].read(path)
        except (ValueError, FileNotFoundError) as error:
            assert_sentence(str(error), path)
        else:
            assert same(found, whole) or not KINDS[name].summed
