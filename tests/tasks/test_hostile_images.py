"""Image files and names of folders as an attacker would give them."""

import csv
import json
import math
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_metanas.cli.command_line import main
from lit_metanas.kinds.images.image_files import MOST_IMAGE_PIXELS, read_image
from lit_metanas.spaces import LayeredSpace
from lit_metanas.training import export_child


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(min(width + 1, 1000) * min(height, 1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def large_text(path: Path) -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(64 << 20))
    path.write_bytes(png(8, 8, chunk(b"zTXt", text)))


def postscript(path: Path) -> None:
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(executed) (w) file closefile\n%%EOF\n")


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a large file": sparse,
    "a large text": large_text,
    "many pixels": lambda path: path.write_bytes(png(60_000, 60_000)),
    "no pixels": lambda path: path.write_bytes(png(0, 8)),
    "PostScript": postscript,
}


def test_an_absent_image_is_not_said_to_be_damaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no image .*x.png: correct its path\.$"):
        read_image(tmp_path / "x.png", (1, 8, 8))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_gets_one_sentence(name: str, tmp_path: Path) -> None:
    HOSTILE[name](tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"x.png is not a readable image: replace or remove it\.$"):
        read_image(tmp_path / "x.png", (1, 8, 8))


MEMORY = """
import sys
from pathlib import Path
from lit_metanas.kinds.images.image_files import MOST_IMAGE_PIXELS, read_image
read_image(Path(sys.argv[1]), (3, 8, 8))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGBA", "I;16"])
def test_the_largest_image_takes_less_than_a_gigabyte(mode: str, tmp_path: Path) -> None:
    side = math.isqrt(MOST_IMAGE_PIXELS)
    image = Image.new(mode, (side, side))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned
    image.save(tmp_path / "x.png", exif=exif, compress_level=1)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "x.png"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1 << 20


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    space = LayeredSpace(shared=True, widths=(4,), depths=(1,))
    child = space.child(space.sample(torch.Generator().manual_seed(0)), (1, 8, 8), way=2)
    export_child(child, tmp_path / "exported", architecture={}, classes=("a", "b\x1b[2J"), shape=(1, 8, 8))
    return tmp_path


def images(folder: Path | bytes) -> None:
    os.makedirs(folder)
    for number in range(4):
        pixels = np.full((8, 8), 60 * number, dtype=np.uint8)
        name = f"{number}.png"
        Image.fromarray(pixels).save(os.path.join(os.fsdecode(folder), name))


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_predictions_of_files_with_any_name_are_written(
    suffix: str, exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(exported)
    images(Path("new"))
    os.rename(b"new/0.png", b"new/\xff\x1b.png")
    args = ["exported", "new", f"--output=out.{suffix}"]
    assert main(["predict", *args]) == 0
    text = Path(f"out.{suffix}").read_text()
    rows = json.loads(text) if suffix == "json" else list(csv.DictReader(text.splitlines()))
    code = "\x1b" if suffix == "json" else "\N{REPLACEMENT CHARACTER}"  # a terminal may show a table
    assert sorted(row["file"] for row in rows) == ["new/1.png", "new/2.png", "new/3.png", f"new/\\udcff{code}.png"]
    assert "\x1b" not in capsys.readouterr().out
