"""Rows of results in a file, a line of JSON each, to which a benchmark adds those that are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from lit_metanas.io.files import write_whole

Key = TypeVar("Key")
Row = TypeVar("Row")


def read_rows(file: Path, row: Callable[..., Row]) -> list[Row]:
    """The rows of a file, which may be absent; half a line of a stopped run is left out.

    Args:
        file: the file.
        row: makes a row of the values of a line.
    """
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    return [row(**json.loads(line)) for line in lines if line.endswith("\n")]


def kept_rows(
    file: Path,
    row: Callable[..., Row],
    wanted: Iterable[Key],
    measure: Callable[[Key], Row | None],
    *,
    key: Callable[[Row], Key],
) -> list[Row]:
    """All rows of a file, once it has the wanted ones; each is written as soon as it was measured.

    Args:
        file: it may be absent.
        row: a dataclass.
        wanted: keys of rows.
        measure: makes the row of a key; None leaves it out.
        key: of a row.
    """
    rows = read_rows(file, row)
    if file.exists() and not file.read_bytes().endswith(b"\n"):
        write_whole(file, "".join(map(_line, rows)))  # without half a line
    known = set(map(key, rows))
    for one in wanted:
        found = None if one in known else measure(one)
        if found is not None:
            rows.append(found)
            known.add(one)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(_line(found))
    return rows


def _line(row: Any) -> str:
    return json.dumps(vars(row)) + "\n"
