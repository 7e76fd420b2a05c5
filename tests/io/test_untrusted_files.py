"""Files that others may have put there: read within limits, and never written through."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lit_metanas.io import files, json_files, locks
from lit_metanas.io.files import open_own, read_regular, replacing
from lit_metanas.io.json_files import parse_json, read_json
from lit_metanas.io.locks import changing, directory_lock


def test_json_comes_back() -> None:
    text = '{"a": [1, -2.5e3, true, null, "\\u00e9\\ud83d\\ude00"], "b": {"9223372036854775807": 9223372036854775807}}'
    assert parse_json(text.encode()) == {"a": [1, -2500.0, True, None, "é😀"], "b": {str(2**63 - 1): 2**63 - 1}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not valid JSON"),
        (b"{'a': 1}", "is not valid JSON"),
        (b"\xff", "is not valid JSON"),
        (b"[" * 10**6, "is not valid JSON"),
        (b"[" * 41 + b"]" * 41, "is nested deeper than 40 levels"),
        (b'{"a":' * 41 + b"1" + b"}" * 41, "is nested deeper than 40 levels"),
        (b"1" + b"0" * 400, "holds a number that is too large (1000000000…)"),
        (b"9223372036854775808", "holds a number that is too large (9223372036…)"),
        (b"-1e308", "holds a number that is too large (-1e308…)"),
        (b"1e999", "holds a number that is too large (1e999…)"),
        (b"[NaN]", "holds NaN, which is no number"),
        (b"-Infinity", "holds -Infinity, which is no number"),
        (b'{"%s": 1}' % (b"n" * 10_001), "holds a text of 10001 characters, more than 10000"),
        (b'["%s"]' % (b"n" * 10_001), "holds a text of 10001 characters, more than 10000"),
        (b'["\\udc80"]', "holds a text that is no Unicode"),
        (b'{"\\ud800": 1}', "holds a text that is no Unicode"),
        (b"[" + b"[]," * 2_000_001 + b"1]", "holds more than 4000000 values"),
        (b" " * (json_files.LARGEST_FILE + 1), "is larger than 64 MB"),
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


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [fifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_only_regular_files_are_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x.json")
    with pytest.raises(ValueError, match="is no regular file: write it again"):
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
    with pytest.raises(ValueError, match=r"lock' is a link or no plain file, and was left as it is"), lock:
        pass
    assert thesis.read_text() == "five years"


def test_a_lock_is_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".fit.lock")
    with pytest.raises(ValueError, match="no plain file"), directory_lock(tmp_path, "fit", "directory"):
        pass
    with pytest.raises(ValueError, match="no plain file"):
        open_own(tmp_path / ".fit.lock", os.O_WRONLY)


def test_a_change_waits_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MOST_WAIT", 0.1)
    refused = pytest.raises(ValueError, match=r"is being changed by another process")
    with changing(tmp_path / "results.json"), refused, changing(tmp_path / "architectures.json"):
        pass
    with changing(tmp_path / "results.json"):
        pass


def test_a_new_name_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[tuple[Path, list[Path]]] = []
    monkeypatch.setattr(files, "_flush", lambda path: flushed.append((path, list(tmp_path.iterdir()))))
    with replacing(tmp_path / "results.json") as temporary:
        temporary.write_text("{}")
    assert flushed[-1] == (tmp_path, [tmp_path / "results.json"])
