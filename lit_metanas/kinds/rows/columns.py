"""Rows of a table as inputs: what each column holds is found in the rows to learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import RowShape
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.kinds.rows.cells import ColumnCells, RawTable, Rows, as_table, form_of_dates, has_names, kind_of_cells
from lit_metanas.kinds.rows.column_kinds import (
    SHOWN_GAP,
    CategoryColumn,
    DateColumn,
    NumberColumn,
    PiecewiseColumn,
    QuantileColumn,
    ScaledColumn,
    TableColumn,
    UnusedColumn,
)
from lit_metanas.records.plain import from_plain

Scale: TypeAlias = Literal["pieces", "quantiles", "standardised", "together"]

# The kinds of columns, by the names that files give them.
COLUMN_KINDS: dict[str, type[TableColumn]] = {
    each.kind: each
    for each in (UnusedColumn, NumberColumn, QuantileColumn, PiecewiseColumn, CategoryColumn, DateColumn)
}

SCALES: tuple[Scale, ...] = ("pieces", "quantiles", "standardised", "together")

# Categories of a column, and pieces of one of numbers, at most.
MOST_CATEGORIES, MOST_PIECES = 256, 16

# Numbers of an input, and of all inputs of a table: of a large one, columns have fewer categories and pieces.
MOST_OF_A_ROW, MOST_INPUTS = 1 << 12, 1 << 26

# In so many rows, whole numbers that all differ and leave few out count the rows.
LEAST_COUNTED = 50


@dataclass(frozen=True)
class Columns(Preprocessing):
    """Makes inputs of the rows of a table: numbers of each column, and last the share of the row that is missing.

    Numbers and booleans are scaled; categories have a number each, the rare and new ones one together; dates become
    year, month, day of the week and hour. A gap counts as the mean or median, and if a column has gaps in the rows to
    learn from, one more number says where. Columns that are constant or empty, texts that hardly repeat and whole
    numbers that count the rows are left out.

    Args:
        names: of the columns; empty where they have none.
        scale: of numbers: ``pieces`` is standardised, and piecewise linear between quantiles (Gorishniy et al. 2022),
            so that even a linear model can bend; ``quantiles`` makes normal scores, whatever the distribution;
            ``standardised`` is by mean and standard deviation, ``together`` by those of all columns, as suits one unit,
            such as pixels.
        columns: what was learned of each; empty before ``fitted``.

    Raises:
        ValueError: a name is no text or stands twice, or there is no such scale.

    Example:
        >>> rows = [[1.0, "red"], [3.0, "blue"], [None, "red"], [2.0, "blue"]]
        >>> columns = lm.kinds.Columns(("height", "colour"), "standardised").fitted(rows)
        >>> columns.encode([{"height": 2, "colour": "blue"}, {"height": "", "colour": "green"}]).tolist()
        [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.5]]
        >>> columns.show(columns.encode([[3.0, "red"]]))
        ['height 3, colour red']
    """

    names: tuple[str, ...] = ()
    scale: Scale = "pieces"
    columns: tuple[TableColumn, ...] = ()

    noun: ClassVar[str] = "rows"
    kind: ClassVar[str] = "columns"

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in self.names) or len(set(self.names)) < len(self.names):
            raise ValueError("Columns: a column's name is no text, or stands twice: give each its own.")
        if self.scale not in SCALES:
            raise ValueError(f"Columns: there is no scale '{self.scale}': give one of {', '.join(SCALES)}.")
        if self.columns and self.names and tuple(column.name for column in self.columns) != self.names:
            raise ValueError("Columns: the names are not those of the columns.")

    @property
    def used(self) -> tuple[TableColumn, ...]:
        """Those that are not left out."""
        return tuple(column for column in self.columns if column.width)

    @property
    def left_out(self) -> str:
        """Which columns are left out, and why; empty if none is."""
        unused = [(place, one) for place, one in enumerate(self.columns, 1) if isinstance(one, UnusedColumn)]
        return first_few([f"'{printable(one.name or str(place), 40)}' ({one.reason})" for place, one in unused])

    @property
    def shape(self) -> RowShape:
        """The numbers of all columns, and the share that is missing."""
        return RowShape(sum(column.width for column in self.columns) + 1)

    def fitted(self, rows: Rows | RawTable) -> Self:
        """The same with what it takes of some rows, unless it has that.

        Raises:
            ValueError: they are no rows, there is none, a cell is of another kind than all others of its column, or no
                column can be learned from.
        """
        if self.columns:
            return self
        table = as_table(rows, names=self.names)
        if not len(table) or not table.columns:
            raise ValueError(f"There is nothing in {len(table)} rows of {len(table.columns)} columns: give some.")
        most = max(2, min(MOST_OF_A_ROW, MOST_INPUTS // len(table)) // len(table.columns))
        columns = [_fitted(cells, self.scale, most) for cells in table.columns]
        if self.scale == "together":
            scaled = [place for place, column in enumerate(columns) if isinstance(column, NumberColumn)]
            shared = NumberColumn.fitted("", *(table.columns[place].numbers() for place in scaled))
            for place in scaled:
                columns[place] = replace(shared, name=columns[place].name, gaps=columns[place].gaps)
        found = replace(self, columns=tuple(columns))
        if not found.used:
            raise ValueError(f"There is no column to learn from, as all are left out: {found.left_out}; give others.")
        return found

    def encode(self, raw: Rows | RawTable, where: Sequence[str] | None = None) -> Tensor:
        """The inputs of rows, shape ``(n, numbers)``, float32.

        Args:
            raw: the rows; those with names may lack columns that are left out, and have others.
            where: where each stands, for messages; None counts from 1.

        Raises:
            ValueError: they are no rows of so many columns, or a cell is of another kind than its column.
        """
        table = learned_table(raw, self, self.names, len(self.columns), where)
        found = np.zeros((len(table), self.shape.numbers), dtype=np.float32)
        begin = 0
        for column, cells in zip(self.columns, table.columns, strict=True):
            if not column.width:
                continue
            found[:, begin : begin + column.values], absent = column.encode(replace(cells, name=column.name))
            begin += column.width
            if column.gaps:
                found[:, begin - 1] = absent
            found[:, -1] += absent
        found[:, -1] /= max(len(self.used), 1)
        return torch.from_numpy(found)

    def unscaled(self, inputs: Tensor) -> NDArray[np.float64]:
        """The cells that inputs stand for, as far as they are numbers: NaN of a gap that a network is shown.

        Returns:
            Shape ``(n, features)``: of a column of numbers one, of others those of the inputs.
        """
        found = []
        for column, own in self._by_column(inputs):
            values = own[:, : column.values].copy()
            if isinstance(column, ScaledColumn):
                values = column.unscaled(values)[:, None]
            if column.gaps:
                values[own[:, -1] > 0.5] = np.nan
            found.append(values)
        return np.concatenate(found, axis=1)

    def show(self, inputs: Tensor) -> list[str]:
        """The cells of each row, with the names of the columns; a gap of a column that had none as its middle."""
        shown = []
        for column, own in self._by_column(inputs):
            cells = column.show(own[:, : column.values])
            if column.gaps:
                cells = [SHOWN_GAP if absent else cell for cell, absent in zip(cells, own[:, -1] > 0.5, strict=True)]
            shown.append([f"{column.name} {cell}".strip() for cell in cells])
        return [", ".join(row) for row in zip(*shown, strict=True)]

    def _by_column(self, inputs: Tensor) -> Iterator[tuple[TableColumn, NDArray[np.float64]]]:
        numbers, begin = inputs.cpu().double().numpy(), 0
        for column in self.used:
            yield column, numbers[:, begin : begin + column.width]
            begin += column.width

    def to_plain(self) -> dict[str, Any]:
        """The names, the scale, and each column."""
        return {
            "names": list(self.names),
            "scale": self.scale,
            "columns": [column.to_plain() for column in self.columns],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: something is missing, or out of its range.
        """
        names, columns = plain.get("names"), plain.get("columns")
        if not isinstance(names, list) or not isinstance(columns, list) or not columns:
            raise ValueError("Columns: the stored preprocessing has no names and columns.")
        found = cls(tuple(names), plain.get("scale", ""), tuple(map(_read_column, columns)))
        if not found.used:
            raise ValueError("Columns: all stored columns are left out.")
        return found


def learned_table(
    raw: Rows | RawTable, columns: Columns, names: Sequence[str], number: int, where: Sequence[str] | None
) -> RawTable:
    """Rows with so many columns, perhaps of these names, of which those that are left out may be absent."""
    unused = [column.name for column in columns.columns if not column.width]
    table = as_table(raw, names=names if has_names(raw) else (), where=where, optional=unused)
    if len(table.columns) != number:
        raise ValueError(
            f"The rows have {number_of(len(table.columns), 'column')}, and {number} were learned from: give the same, "
            "in the same order."
        )
    return table


def _read_column(plain: object) -> TableColumn:
    if not isinstance(plain, Mapping) or (kind := COLUMN_KINDS.get(str(plain.get("kind")))) is None:
        raise ValueError(f"Columns: a stored column is none of {', '.join(COLUMN_KINDS)}.")
    return from_plain(kind, {name: value for name, value in plain.items() if name != "kind"}, "a stored column")


def _fitted(cells: ColumnCells, scale: Scale, most: int) -> TableColumn:
    """What is learned of the cells of a column, of which ``most`` numbers are made."""
    match kind_of_cells(cells):
        case "gaps":
            return UnusedColumn(cells.name, reason="empty")
        case "texts":
            return UnusedColumn(cells.name, reason="texts that hardly repeat")
        case "dates":
            return DateColumn.fitted(cells, form_of_dates(cells, cells.texts()))
        case "categories":
            categories = CategoryColumn.fitted(cells.name, cells.texts(), min(most, MOST_CATEGORIES))
            if categories.width > 1:
                return categories
            return UnusedColumn(cells.name, reason="constant")
    numbers = cells.numbers()
    known = numbers[~np.isnan(numbers)]
    if len(known) == len(numbers) and known.min() == known.max():
        return UnusedColumn(cells.name, reason="constant")
    if _counts_rows(known):
        return UnusedColumn(cells.name, reason="numbers of rows")
    if scale == "quantiles":
        return QuantileColumn.fitted(cells.name, numbers)
    if scale == "pieces":
        return PiecewiseColumn.fitted(cells.name, numbers, min(most, MOST_PIECES))
    return NumberColumn.fitted(cells.name, numbers)


def _counts_rows(known: NDArray[np.float64]) -> bool:
    """Whether numbers count rows: whole ones that all differ, of which at least half of their range are there."""
    if len(known) < LEAST_COUNTED or known.max() - known.min() >= 2 * len(known) or (known != np.floor(known)).any():
        return False
    return len(np.unique(known)) == len(known)
