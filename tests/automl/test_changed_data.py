"""Data that change between two calls of one search, in what the usual preprocessing hides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from auto_toys import interrupt

import lit_metanas as lm
from lit_metanas.estimators import training_estimator

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
