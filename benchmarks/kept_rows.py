"""Rows of results in a file, a line of JSON each, to which a benchmark adds those that are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def kept_rows(
    file: Path, wanted: Iterable[Any], measure: Callable[[Any], Row], *, key: Callable[[Row], Any]
) -> list[Row]:
    """All rows of a file, once it has those that are wanted: each is written when it was measured.

    Args:
        file: it may be absent.
        wanted: the keys of rows that there are to be.
        measure: makes the row of a key.
        key: of a row.
    """
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    known = set(map(key, rows))
    for one in wanted:
        if one not in known:
            rows.append(measure(one))
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(rows[-1]) + "\n")
    return rows
