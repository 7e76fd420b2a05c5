"""The cells of a table by column, as files, arrays and data frames have them, and what a column holds."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.io.text import number_of, printable
from lit_metanas.kinds.dates import DATE_FORMS, read_date
from lit_metanas.tasks.labels import hardly_repeat, is_gap
from lit_metanas.tasks.number_targets import are_measures, finite_number

# Shape ``(n, columns)``, a table of pandas, or a list of rows; of a table with names also mappings from these.
Rows: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]

# Characters of a cell that are read: the rest distinguishes no two categories.
LONGEST_CELL = 200

# Numbers next to a few texts are codes of categories if there are at most so many different ones.
CODES = 12

# The largest share of other cells with which a column still counts as one of numbers or dates.
STRAYS = 0.1

_LIKE_A_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?![-/.\d])")

# What is wrong with a text in a column of numbers.
NO_NUMBER = "no finite number: give numbers with a point and without a unit, and leave gaps empty."

# Booleans as files write them, in small letters, and their numbers.
TRUTH = {"true": 1.0, "false": 0.0}


class CellError(ValueError):
    """A cell is of another kind than all others of its column."""


@dataclass(frozen=True, eq=False)
class ColumnCells:
    """The cells of one column."""

    name: str
    values: NDArray[Any]  # shape (n,): float64 with NaN for gaps, or objects of Python
    where: Sequence[str] | None = None  # of each, such as `line 3`; None counts rows from 1
    place: str = "the table"  # for messages
    number: int = 1  # of the column

    @property
    def called(self) -> str:
        """The column in a message."""
        if self.name:
            return f"Column '{printable(self.name, 40)}' of {self.place}"
        return f"Column {self.number} of {self.place}"

    def at(self, row: int) -> str:
        """Where a cell stands."""
        return _place_of(row, self.where)

    def refusal(self, row: int, what: str) -> CellError:
        """An error that names a cell; ``what`` is a clause about it and its fix."""
        return CellError(
            f"{self.called} holds '{printable(str(self.values[row]), 40)}' at {self.at(row)}, which is {what}"
        )

    def numbers(self) -> NDArray[np.float64]:
        """The cells as numbers, NaN where there is a gap."""
        if self.values.dtype.kind == "f":
            return self.values
        found = np.empty(len(self.values))
        for row, value in enumerate(self.values):
            if (number := read_number(value)) is None:
                raise self.refusal(row, NO_NUMBER)
            found[row] = number
        return found

    def resolved(self) -> ColumnCells:
        """The same as an array of numbers, if all cells are such, so that they are read once."""
        with suppress(CellError):
            return replace(self, values=self.numbers())
        return self

    def texts(self) -> list[str]:
        """The cells as texts of at most ``LONGEST_CELL`` characters, empty where there is a gap."""
        found = list[str]()
        for row, value in enumerate(self.values.tolist()):
            if is_gap(value):
                value = ""
            elif isinstance(value, float) and value.is_integer():
                value = int(value)  # as files write it
            elif isinstance(value, list | tuple | dict | set | np.ndarray | Tensor):
                raise self.refusal(row, f"a {type(value).__name__}: give a number or a text.")
            found.append(str(value).strip()[:LONGEST_CELL])
        return found


@dataclass(frozen=True, eq=False)
class RawTable:
    """Rows by column."""

    columns: Sequence[ColumnCells]
    rows: int

    def __len__(self) -> int:
        return self.rows

    def taken(self, rows: NDArray[np.int64]) -> RawTable:
        """Some of the rows."""
        where = [cells.at(row) for cells in self.columns[:1] for row in rows.tolist()]
        return RawTable([replace(cells, values=cells.values[rows], where=where) for cells in self.columns], len(rows))


def as_table(
    rows: Rows | RawTable,
    *,
    names: Sequence[str] = (),
    name: str = "the table",
    where: Sequence[str] | None = None,
    optional: Collection[str] = (),
) -> RawTable:
    """Rows by column; mappings have the columns' ``names`` for keys, and data frames have them in any order."""
    # Of the names, rows may lack those that are optional.
    if isinstance(rows, RawTable):
        return rows
    if isinstance(rows, Tensor):
        rows = rows.detach().cpu().numpy()
    given: Any = rows
    if isinstance(rows, Sequence) and has_names(rows):
        keys = list(names or rows[0])
        needed = [key for key in keys if key not in optional]
        for place, row in enumerate(rows):
            _check_columns(needed, row, _place_of(place, where))
        columns = [np.fromiter((row.get(key) for row in rows), object, len(rows)) for key in keys]
    elif hasattr(given, "columns"):
        keys = list(given.columns)
        if names and has_names(rows):
            _check_columns(names, {*keys, *optional}, name)
            given = {key: given[key] if key in keys else [None] * len(given) for key in names}
            keys = list(names)
        columns = [np.asarray(given[key]) for key in keys]
    else:
        columns = list(_matrix(rows, name).T)
    keys = list(names) or [""] * len(columns)
    if len(keys) != len(columns):
        raise ValueError(
            f"{name} has {number_of(len(columns), 'column')} and {number_of(len(keys), 'name')}: name each once."
        )
    return RawTable(
        [
            ColumnCells(key, _values(column, name, place), where, name, place + 1).resolved()
            for place, (key, column) in enumerate(zip(keys, columns, strict=True))
        ],
        len(rows),
    )


def has_names(rows: Rows | RawTable) -> bool:
    """Whether rows name their columns: mappings, and data frames with texts for names."""
    if isinstance(rows, Sequence) and not isinstance(rows, str):
        return len(rows) > 0 and all(isinstance(row, Mapping) for row in rows)
    names = [*getattr(rows, "columns", ())]
    return bool(names) and all(isinstance(each, str) for each in names)


def is_mixed(rows: Any) -> bool:
    """Whether rows hold anything but numbers and gaps: texts, dates, categories."""
    kinds = [np.asarray(rows[name]) for name in getattr(rows, "columns", ())] or [np.asarray(rows)]
    return any(each.dtype.kind in "MSUT" for each in kinds) or any(
        isinstance(cell, str | date) for each in kinds if each.dtype.kind == "O" for cell in each.flat
    )


def _matrix(rows: Rows, name: str) -> NDArray[Any]:
    """Rows that have no names as an array, shape ``(n, columns)``."""
    try:
        found = np.asarray(rows)
        if found.dtype.kind not in "biufM" and not isinstance(rows, np.ndarray):
            found = np.array(rows, dtype=object)  # numpy would make texts of numbers next to texts
    except ValueError:
        raise ValueError(f"{name} is no table: give rows of numbers or texts, all of one length.") from None
    if found.ndim != 2:
        raise ValueError(f"{name} has shape {found.shape}: give rows of numbers or texts, (n, columns), of one length.")
    return found


def _values(column: NDArray[Any], name: str, place: int) -> NDArray[Any]:
    if column.ndim != 1:
        raise ValueError(
            f"Column {place + 1} of {name} has shape {column.shape}: give each column one name, and cells."
        )
    if column.dtype.kind in "biuf":
        numbers = column.astype(np.float64)
        infinite = np.flatnonzero(np.isinf(numbers))
        if len(infinite):
            raise ValueError(
                f"{name} has an infinite value in row {infinite[0]}, column {place}: fix it, or make it NaN, which "
                "counts as missing."
            )
        return numbers
    if column.dtype.kind == "M":
        texts: NDArray[Any] = column.astype("datetime64[s]").astype(str).astype(object)
        texts[np.isnat(column)] = None
        return texts
    return column.astype(object)


def is_plain_number(value: Any) -> bool:
    """Whether a cell is a number, or a gap; booleans in words are none."""
    return read_number(value) is not None and not (isinstance(value, str) and value.strip().lower() in TRUTH)


def read_number(value: Any) -> float | None:
    """A cell as a number: NaN of a gap, 1 and 0 of booleans, None of anything else."""
    if is_gap(value):
        return math.nan
    if isinstance(value, str | bool) and (text := str(value).strip().lower()) in TRUTH:
        return TRUTH[text]
    return finite_number(value)


def _place_of(row: int, where: Sequence[str] | None) -> str:
    """Where a row stands; without that its number, counted from 1."""
    if where is None:
        return f"row {row + 1}"
    return where[row]


def _check_columns(names: Iterable[str], found: Container[str], where: str) -> None:
    """Refuse rows, called by where they stand, that lack a column."""
    if (absent := next((name for name in names if name not in found), None)) is not None:
        raise ValueError(
            f"{where[:1].upper()}{where[1:]} lacks column '{printable(absent, 40)}', which was learned from: add it, "
            "empty where a value is missing."
        )


def kind_of_cells(cells: ColumnCells) -> Literal["numbers", "dates", "categories", "texts", "gaps"]:
    """What a column holds."""
    if cells.values.dtype.kind == "f":
        return "gaps" if np.isnan(cells.values).all() else "numbers"
    texts = cells.texts()
    known = [row for row, text in enumerate(texts) if text]
    if not known:
        return "gaps"
    strays = [row for row in known if read_number(cells.values[row]) is None]
    counts = Counter(texts[row] for row in known)
    # Without strays these are some rows of a column that has texts in others.
    if len(strays) <= STRAYS * len(known) and len(counts) > CODES:
        if strays:
            raise cells.refusal(strays[0], NO_NUMBER)
        return "numbers"
    if form_of_dates(cells, texts):
        return "dates"
    if hardly_repeat(counts):
        if are_measures(counts):
            raise cells.refusal(strays[0], NO_NUMBER)
        return "texts"
    return "categories"


def form_of_dates(cells: ColumnCells, texts: Sequence[str]) -> str:
    """The form in which all texts of cells are dates; empty if they are no dates."""
    known = [(row, text) for row, text in enumerate(texts) if text]
    shapes = {row: (found[1], found[0].index(found[1])) for row, text in known if (found := _LIKE_A_DATE.match(text))}
    if not shapes or len(known) - len(shapes) > STRAYS * len(known):
        return ""
    [(usual, _)] = Counter(shapes.values()).most_common(1)
    first = next(row for row, shape in shapes.items() if shape == usual)
    example = texts[first]
    forms = [form for form in DATE_FORMS if read_date(example, form)]
    if not forms:
        return ""
    for row, text in known:
        forms = [form for form in forms if read_date(text, form)]
        if not forms:
            other = f"'{printable(example, 40)}' at {cells.at(first)}"
            raise cells.refusal(row, f"no date in the form of {other}: write all in one form, and leave gaps empty.")
    return forms[0]
