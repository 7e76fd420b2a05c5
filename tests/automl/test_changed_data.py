"""Data that change between two calls of one search, in what the usual preprocessing hides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auto_toys import interrupt
from PIL import Image

import lit_metanas as lm
from lit_metanas.estimators import training_estimator
from lit_metanas.kinds.kind import kind_named
from lit_metanas.kinds.kind_of_path import raw_digest

ROWS = [f"please {verb} the paper {number} times,{verb}ing" for verb in ("fold", "cut") for number in range(20)]
SPACE = lm.SequenceSpace(operations=("conv_3",), depths=(1, 2), widths=(4, 8), dropouts=(0.0,), readouts=("max",))
CHANGED = r"holds the result of other data or settings \(data\): give another 'output', or delete this one"


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., lm.SearchResult]:
    """Writes a table of texts and searches for it, into one folder."""

    def call(rows: list[str], **more: Any) -> lm.SearchResult:
        (tmp_path / "help.csv").write_text("\n".join(["text,label", *rows]))
        data = {"data": tmp_path / "help.csv", "output": tmp_path / "out", **more}
        return lm.auto(**data, space=SPACE, flops=(4e7, 5e6), progress=False)

    return call


def test_capitals_that_change_after_a_kill_or_the_end_are_noticed(
    search: Callable[..., lm.SearchResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capitals = [ROWS[0].replace("please", "PLEASE"), *ROWS[1:]]
    with monkeypatch.context() as patched:
        interrupt(patched, training_estimator, at=2)
        assert search(ROWS).stopped
    with pytest.raises(ValueError, match=CHANGED):
        search(capitals)
    assert not search(ROWS).stopped
    with pytest.raises(ValueError, match=CHANGED):
        search(capitals)


def test_what_is_read_counts_and_nothing_else(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "test" / name).mkdir(parents=True)
        for part in ("train", "test"):
            Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / part / name / "1.png")
    (tmp_path / "elsewhere").mkdir()
    one = raw_digest(tmp_path / "train", kind_named("images"), None, None)
    (tmp_path / "train" / "notes.txt").write_text("mine")
    (tmp_path / "train" / "cover.png").write_bytes(b"x")
    (tmp_path / "train" / "a" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "elsewhere").rename(tmp_path / "train" / ".thumbnails")
    assert raw_digest(tmp_path / "train", kind_named("images"), None, None) == one
    both = raw_digest(tmp_path, kind_named("images"), None, None)
    assert both not in (one, None)
    Image.fromarray(np.full((4, 4), 8, np.uint8)).save(tmp_path / "test" / "b" / "1.png")
    assert raw_digest(tmp_path, kind_named("images"), None, None) != both
    (tmp_path / "train" / "b" / "1.png").rename(tmp_path / "train" / "a" / "2.png")
    assert raw_digest(tmp_path / "train", kind_named("images"), None, None) != one
    assert raw_digest((np.zeros((4, 2)), [0, 1, 0, 1]), kind_named("rows"), None, None) is None
    texts = raw_digest((["Good", "day"], [0, 1]), kind_named("texts"), None, None)
    assert raw_digest((("Good", "day"), [0, 1]), kind_named("texts"), None, None) == texts
    assert raw_digest((["good", "day"], [0, 1]), kind_named("texts"), None, None) != texts
