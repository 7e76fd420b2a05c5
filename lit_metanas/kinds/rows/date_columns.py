"""Columns of dates in one form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lit_metanas.io.text import printable
from lit_metanas.kinds.rows.cells import ColumnCells
from lit_metanas.kinds.rows.column_kinds import NumberColumn, TableColumn

STRAYS = 0.1
"""The most cells of another kind, as a share, with which a column is still taken for one of numbers or dates."""

PARTS_OF_A_DATE = 4

ISO = "ISO 8601"
_ISO_BEGINS = re.compile(r"\d{4}-\d\d-\d\d")
_LIKE_A_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?![-/.\d])")
_DAYS = ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
DATE_FORMS = (ISO, *(day + time for day, time in product(_DAYS, ("", " %H:%M", " %H:%M:%S"))))
"""How dates are written; of one that may be read in two ways the first is taken."""


@dataclass(frozen=True)
class DateColumn(TableColumn):
    """Dates in one form, as year, month, day of the week and hour, each standardised."""

    form: str = ISO
    parts: tuple[NumberColumn, ...] = ()

    kind: ClassVar[str] = "dates"

    def __post_init__(self) -> None:
        """Look at form and parts."""
        if self.form not in DATE_FORMS or len(self.parts) != self.values:
            raise ValueError(f"DateColumn: the form is none of {', '.join(DATE_FORMS)}, or a part is missing.")

    @property
    def values(self) -> int:
        """Of each part one."""
        return PARTS_OF_A_DATE

    @classmethod
    def fitted(cls, cells: ColumnCells, form: str) -> Self:
        """With the means and deviations of the parts of dates."""
        found = parts_of_dates(cells, form)
        return cls(
            cells.name, bool(np.isnan(found).any()), form, tuple(NumberColumn.fitted("", part) for part in found.T)
        )

    def encode(self, cells: ColumnCells) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The scaled parts of dates; the means of a gap."""
        found = parts_of_dates(cells, self.form)
        means = [part.mean for part in self.parts]
        filled = np.where(np.isnan(found), means, found)
        scaled = [part.scaled(numbers) for part, numbers in zip(self.parts, filled.T, strict=True)]
        return np.concatenate(scaled, axis=1), np.isnan(found[:, 0])

    def show(self, inputs: NDArray[np.float64]) -> list[str]:
        """Year, month, day of the week and hour."""
        parts = [part.unscaled(inputs[:, place : place + 1]) for place, part in enumerate(self.parts)]
        rows = np.stack(parts, axis=1).round().astype(int).tolist()
        return [f"{year}-{month:02d}, day {day + 1}, {hour} h" for year, month, day, hour in rows]


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


def parts_of_dates(cells: ColumnCells, form: str) -> NDArray[np.float64]:
    """Year, month, day of the week and hour of dates in a form, shape ``(n, 4)``; NaN of a gap."""
    found = np.full((len(cells.values), PARTS_OF_A_DATE), np.nan)
    for row, text in enumerate(cells.texts()):
        if not text:
            continue
        if (date := read_date(text, form)) is None:
            example = "2026-01-31" if form == ISO else datetime(2026, 1, 31, 14, 30).strftime(form)
            raise cells.refusal(row, f"no date in the form of '{example}': write it so, or leave it empty.")
        found[row] = date.year, date.month, date.weekday(), date.hour
    return found


def form_of_dates(cells: ColumnCells, texts: Sequence[str]) -> str:
    """The form in which all texts of cells are dates; empty if they are no dates.

    Raises:
        ValueError: nearly all are dates, and there are several forms, or one is something else.
    """
    known = [(row, text) for row, text in enumerate(texts) if text]
    dates = [(row, text) for row, text in known if _LIKE_A_DATE.match(text)]
    if not dates or len(known) - len(dates) > STRAYS * len(known):
        return ""
    first, example = dates[0]
    forms = [form for form in DATE_FORMS if read_date(example, form)]
    if not forms:
        return ""
    for row, text in known:
        forms = [form for form in forms if read_date(text, form)]
        if not forms:
            other = f"'{printable(example, 40)}' at {cells.at(first)}"
            raise cells.refusal(row, f"no date in the form of {other}: write all in one form, and leave gaps empty.")
    return forms[0]
