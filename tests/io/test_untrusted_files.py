"""Files that others may have put there: read within limits, and never written through."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lit_metanas.io import json_files, locks
from lit_metanas.io.arrays import read_npz
from lit_metanas.io.files import open_own, read_regular, replacing, short_path
from lit_metanas.io.json_files import parse_json, read_json
from lit_metanas.io.locks import changing, directory_lock


def test_json_comes_back() -> None:
    text = '{"a": [1, -2.5e3, true, null, "\\u00e9\\ud83d\\ude00"], "b": {"9223372036854775807": 9223372036854775807}}'
    assert parse_json(text.encode()) == {"a": [1, -2500.0, True, None, "é😀"], "b": {str(2**63 - 1): 2**63 - 1}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{'a': 1}", "is not valid JSON"),
        (b"\xff", "is not valid JSON"),
        (b"[" * 10**6, "is not valid JSON"),
        (b"[" * 41 + b"]" * 41, "is nested deeper than 40 levels"),
        (b"1" + b"0" * 400, "holds a number that is too large (1000000000…)"),
        (b"9223372036854775808", "holds a number that is too large (9223372036…)"),
        (b"1e999", "holds a number that is too large (1e999…)"),
        (b"[NaN]", "holds NaN, which is not a number"),
        (b'{"%s": 1}' % (b"n" * 10_001), "holds a text of 10001 characters, more than 10000"),
        (b'["\\udc80"]', "holds text that is not Unicode"),
        (b"[" + b"[]," * 2_000_001 + b"1]", "holds more than 4000000 values"),
        (b" " * (json_files.LARGEST_JSON + 1), "is larger than 64 MB"),
    ],
)
def test_json_beyond_a_limit_gets_one_sentence(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        parse_json(content)
    assert str(caught.value).startswith(reason)
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_json(tmp_path / "x.json", "write it again")
    assert str(caught.value).startswith(f"'{tmp_path / 'x.json'}' {reason}")
    assert str(caught.value).endswith(": write it again.")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_only_regular_files_are_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x.json")
    with pytest.raises(ValueError, match="is not a regular file: write it again"):
        read_json(tmp_path / "x.json", "write it again")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ValueError, match="is larger than 1 MB"):
        read_regular(tmp_path / "sparse", 1 << 20)


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("name", [".fit.lock", ".change.lock"])
def test_a_lock_writes_through_no_link(name: str, link: Callable[[Path, Path], None], tmp_path: Path) -> None:
    thesis, run = tmp_path / "thesis", tmp_path / "run"
    thesis.write_text("five years")
    run.mkdir()
    link(run / name, thesis)
    lock = directory_lock(run, "fit", "directory") if name == ".fit.lock" else changing(run / "results.json")
    with pytest.raises(ValueError, match=r"lock' is a link or not a regular file, and was left as it is"), lock:
        pass
    assert thesis.read_text() == "five years"


def test_a_lock_is_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".fit.lock")
    with pytest.raises(ValueError, match="not a regular file"), directory_lock(tmp_path, "fit", "directory"):
        pass
    with pytest.raises(ValueError, match="not a regular file"):
        open_own(tmp_path / ".fit.lock", os.O_WRONLY)
    with pytest.raises(FileNotFoundError):
        open_own(tmp_path / "absent" / ".fit.lock", os.O_WRONLY)


def test_a_file_that_cannot_be_written_is_named_as_the_user_knows_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target, named in (("file/x.json", "file/x.json"), ("x.json", "read")):
        with pytest.raises(OSError, match=f"{named}'$"), replacing(tmp_path / target):
            (tmp_path / "read").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_path_beyond_a_link_stays_as_it_is(here: Path) -> None:
    (here / "a" / "b").mkdir(parents=True)
    (here / "link").symlink_to("a/b")
    assert (short_path("link/../b"), short_path(here / "a" / "." / "b")) == ("link/../b", "a/b")


def test_a_change_waits_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MOST_WAIT", 0.1)
    refused = pytest.raises(ValueError, match=r"has been locked by another process")
    with changing(tmp_path / "results.json"), refused, changing(tmp_path / "architectures.json"):
        pass
    with changing(tmp_path / "results.json"):
        pass


def archive(path: Path, header: dict[str, Any] | bytes, data: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    """An ``.npz`` file of one array, whose header says what it likes."""
    stream = io.BytesIO()
    if isinstance(header, bytes):
        stream.write(header)
    else:
        np.lib.format.write_array_header_1_0(stream, {"fortran_order": False, **header})
    with zipfile.ZipFile(path, "w", compression) as new:
        new.writestr("a.npy", stream.getvalue() + data)
    return path


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ({"descr": "|u1", "shape": (10**12,)}, 8),
        ({"descr": "<f8", "shape": (2,)}, 8),
        ({"descr": "<f8", "shape": (-1,)}, 8),
        ({"descr": "<f8", "shape": (2**62, 4)}, 0),
        ({"descr": "|S1000000000", "shape": (1,)}, 8),
        ({"descr": "|O", "shape": (1,)}, 8),
        ({"descr": "<M8[s]", "shape": (1,)}, 8),
        (b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16, 0),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", 0),
        (b"PK", 0),
    ],
    ids=str,
)
def test_an_array_is_as_large_as_its_bytes(header: dict[str, Any] | bytes, size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.npz' is damaged or not an \.npz file: fix it\."):
        read_npz(archive(tmp_path / "a.npz", header, bytes(size)), "fix it")


def test_arrays_are_not_inflated_beyond_a_limit(tmp_path: Path) -> None:
    zeros = {"descr": "|u1", "shape": (3 << 20,)}
    bomb = archive(tmp_path / "a.npz", zeros, bytes(3 << 20), zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(ValueError, match=r"a.npz' holds more than 2 MB: fix it\."):
        read_npz(bomb, "fix it", 2 << 20)
    np.savez_compressed(tmp_path / "b.npz", a=np.arange(6).reshape(2, 3).T, b=np.array(["x", "yz"]), c=np.float64(3))
    found = read_npz(tmp_path / "b.npz", "fix it")
    assert [found[name].tolist() for name in "abc"] == [[[0, 3], [1, 4], [2, 5]], ["x", "yz"], 3.0]
