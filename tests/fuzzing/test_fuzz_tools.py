"""What every fuzzed case is measured by: time, memory, the files around, and the sentence."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_tools
import pytest
from fuzz_tools import TookTooLong, ending, limits, memory


def busy() -> None:
    while True:
        pass


def test_a_case_that_computes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_tools, "SECONDS", 0.2)
    with pytest.raises(TookTooLong), limits():
        busy()


def test_a_case_that_waits_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz_tools, "WAIT", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TookTooLong), limits():
        (tmp_path / "pipe").read_bytes()


def taken(size: int) -> mmap.mmap:
    """Memory of its own, all of which is used: an allocator would give what it has kept of earlier tests."""
    block = mmap.mmap(-1, size)
    for place in range(0, size, 4096):
        block[place] = 1
    return block


def test_a_case_that_takes_much_memory_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_tools, "MEMORY", 1 << 25)
    # Up to the peak of earlier tests, which not every system lets a process reset.
    kept = [taken(max(4096, memory("VmHWM") - memory("VmRSS")))]
    with limits():
        kept.append(taken(1 << 22))
    with pytest.raises(AssertionError, match="too much memory"), limits():
        kept.append(taken(1 << 26))
    assert len(kept) == 3


CHANGES: list[Callable[[Path], Any]] = [
    lambda home: (home / "thesis" / "chapter.tex").write_text("owned"),
    lambda home: (home / "thesis" / "chapter.tex").unlink(),
    lambda home: (home / "thesis" / "chapter.tex").chmod(0o777),
    lambda home: (home / "photos" / "cat.png").rename(home / "photos" / "dog.png"),
    lambda home: (home / "empty").rmdir(),
    lambda home: (home / "new").mkdir(),
    lambda home: Path("~/.cache").expanduser().mkdir(),
    lambda home: (home / "link" / "more").write_bytes(b""),
    lambda home: ((home / "link").unlink(), (home / "link").symlink_to("/etc")),
    lambda home: (home / "work" / "executed").mkdir(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_outside_of_the_working_folder_is_noticed(change: Callable[[Path], Any], canary: Path) -> None:
    with pytest.raises(AssertionError, match=r"something (outside was changed|was executed)"):
        ending(lambda: change(canary), canary)


def test_changes_in_the_working_folder_are_its_own(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_tools, "event", lambda text: None)  # no case that hypothesis counts
    assert ending(lambda: (canary / "work" / "own.txt").write_text("other"), canary) == ("success", 5)


@pytest.mark.parametrize("told", ["It is broken", "It is\x1bbroken.", "It is broken. " * 50])
def test_a_refusal_that_is_no_sentence_is_noticed(told: str, canary: Path) -> None:
    def refuse() -> None:
        raise ValueError(told)

    with pytest.raises(AssertionError):
        fuzz_tools.check_sentence(told, canary)
    if told == "It is broken":
        with pytest.raises(AssertionError):
            ending(refuse, canary)


def test_an_error_that_is_for_developers_is_passed_on(canary: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        ending(lambda: 1 // 0, canary)
