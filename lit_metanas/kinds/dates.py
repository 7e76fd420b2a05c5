"""Dates as people write them, and the parts of a table by a column of dates, or one that names them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lit_metanas.io.text import hint, printable
from lit_metanas.tasks.labels import is_missing

ISO = "ISO 8601"
_ISO_BEGINS = re.compile(r"\d{4}-\d\d-\d\d")
_DAYS = ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
# How dates are written. A date that fits several forms is read by the first of them.
DATE_FORMS = (ISO, *(day + time for day, time in product(_DAYS, ("", " %H:%M", " %H:%M:%S"))))


_TRAIN, _VAL, _TEST = range(3)

# Of the rows, where dates or numbers divide them: for the val part and for the test part.
SHARE = 0.2

# The words by which a column names the parts of a task, in small letters.
PART_NAMES: Mapping[str, int] = {
    **dict.fromkeys(("train", "training", "learn", "false", "no", "0"), _TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), _VAL),
    **dict.fromkeys(("test", "testing", "eval", "holdout", "true", "yes", "1"), _TEST),
}


def read_date(text: str, form: str) -> datetime | None:
    """A date in a form; None of anything else."""
    try:
        if form != ISO:
            return datetime.strptime(text, form)
        if _ISO_BEGINS.match(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    return None


def read_dates(texts: Sequence[str]) -> list[datetime] | None:
    """Texts as dates that can be compared, if all are written in one form; those without a time zone are of UTC."""
    for form in DATE_FORMS:
        found = [read_date(text, form) for text in texts]
        dates = [date if date.tzinfo else date.replace(tzinfo=UTC) for date in found if date is not None]
        if texts and len(dates) == len(texts):
            return dates
    return None


@dataclass(frozen=True)
class ColumnParts:
    """Which part each row of a table is in."""

    parts: Mapping[str, int]  # 0 (train), 1 (val) or 2 (test), by where a row stands, such as `line 3`
    told: str  # a sentence on the border


def parts_by_column(rows: Sequence[tuple[str, Mapping[str, Any]]], place: str, column: str) -> ColumnParts:
    """The parts of a table's rows, which stand at places, by a column that names them, or has dates or numbers."""
    # Of dates and numbers the newest are tested, and those before them chosen by. Rows of one date are in one part, so
    # the shares of both are only about `SHARE`.
    names = dict.fromkeys(name for _, row in rows for name in row)
    if column not in names:
        raise ValueError(
            f"'{place}' has no column '{printable(column, 40)}' (test_by): {hint(column, names, 'name one.')}"
        )
    called = f"Column '{printable(column, 40)}' of '{place}'"
    texts = dict[str, str]()  # by where their row stands
    for at, row in rows:
        value = row.get(column)
        if is_missing(value) or not str(value).strip():
            raise ValueError(f"{called} has no value at {at}: fill it in, as it says which rows are tested.")
        texts[at] = str(value).strip()
    if all(text.lower() in PART_NAMES for text in texts.values()):
        named = {at: PART_NAMES[text.lower()] for at, text in texts.items()}
        if not {_TRAIN, _TEST} <= {*named.values()}:
            absent = "test" if _TRAIN in named.values() else "train"
            raise ValueError(f"{called} holds no '{absent}': name rows of both parts.")
        return ColumnParts(named, f" Tested are the rows that column '{printable(column, 40)}' names.")
    written = [*texts.values()]
    keys = _sortable(written)
    if keys is None:
        at, wrong = next((at, text) for at, text in texts.items() if text.lower() not in PART_NAMES)
        raise ValueError(
            f"{called} holds '{printable(wrong, 40)}' at {at}: write train, val or test; or dates in one form, or "
            "numbers, of which the newest are tested."
        )
    first, last = _borders(keys, called)
    parts = ((keys >= first).astype(int) + (keys >= last)).tolist()
    shown = [printable(written[int(np.flatnonzero(keys == border)[0])], 40) for border in (first, last)]
    told = f" Rows to choose by are from {shown[0]} on in column '{printable(column, 40)}', to test from {shown[1]} on."
    return ColumnParts(dict(zip(texts, parts, strict=True)), told)


def _sortable(texts: Sequence[str]) -> NDArray[Any] | None:
    """Texts as numbers that grow with time, if all are dates or all are numbers."""
    if (dates := read_dates(texts)) is not None:
        return np.array([date.timestamp() for date in dates])
    try:
        found = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _borders(keys: NDArray[Any], called: str) -> tuple[float, float]:
    """The first keys of the val and of the test part, which have about ``SHARE`` of all rows each."""
    values, counts = np.unique(keys, return_counts=True)
    if len(values) < 3:
        raise ValueError(
            f"{called} has {len(values)} different values, too few to divide rows by: it takes three or more."
        )
    newer = np.cumsum(counts[::-1])[::-1]  # rows from each value on
    last = 2 + int(np.abs(newer[2:] - SHARE * len(keys)).argmin())
    first = 1 + int(np.abs(newer[1:last] - 2 * SHARE * len(keys)).argmin())
    return float(values[first]), float(values[last])
