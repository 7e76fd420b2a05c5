"""Rows of a table with a text as inputs: the numbers of their columns, and then the tokens of the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing, TextPreprocessing
from lit_metanas.inputs.shapes import TextRowShape
from lit_metanas.kinds.rows.cells import ColumnCells, RawTable, Rows, as_table
from lit_metanas.kinds.rows.columns import Columns, learned_table
from lit_metanas.kinds.texts.text_tables import are_texts
from lit_metanas.kinds.texts.text_task import usual_tokens
from lit_metanas.kinds.texts.text_tokens import tokens_from_plain
from lit_metanas.kinds.texts.vocabularies import Words
from lit_metanas.tasks.labels import is_gap

# What stands between the texts of several columns.
JOINED_BY = "\n"


@dataclass(frozen=True)
class TextRows(Preprocessing):
    """Makes inputs of the rows of a table that have a text: numbers of the other columns, then tokens of the text.

    Columns of sentences, and those called ``text`` or alike, are the text; several are read one behind the other.

    Args:
        names: of all columns; empty where they have none.
        columns: makes numbers of all others.
        tokens: makes tokens of the text; None takes ``Words()``, or ``Characters()`` where most texts share no word.
        places: of the text's columns among all, from 0; empty finds them.

    Raises:
        ValueError: a column's name stands twice, or a place is that of no column.

    Example:
        >>> rows = [[1.0, "a very good pen"], [3.0, "no good at all"], [2.0, "a pen for all"], [2.0, "all very good"]]
        >>> made = lm.kinds.TextRows(("price", "review"), lm.kinds.Columns(scale="standardised")).fitted(rows)
        >>> made.shape
        TextRowShape(numbers=2, vocabulary=7, steps=32)
        >>> made.encode([{"review": "good pen", "price": 2}])[0, :5].tolist()
        [0.0, 0.0, 3.0, 5.0, 0.0]
        >>> made.show(made.encode([[3.0, "good pen"]]))
        ['price 3: good pen']
    """

    names: tuple[str, ...] = ()
    columns: Columns = field(default_factory=Columns)
    tokens: TextPreprocessing | None = None
    places: tuple[int, ...] = ()

    noun: ClassVar[str] = "rows"
    kind: ClassVar[str] = "rows with text"

    def __post_init__(self) -> None:
        if (
            not all(isinstance(place, int) and place >= 0 for place in self.places)
            or not all(isinstance(name, str) for name in self.names)
            or any(len(set(own)) < len(own) for own in (self.names, self.places))
        ):
            raise ValueError("TextRows: a column's name or place stands twice, or is none: give each its own.")
        number = len(self.names)
        if self.columns.columns:
            number = len(self.columns.columns) + len(self.places)
        if number and (max(self.places, default=0) >= number or len(self.names) not in (0, number)):
            raise ValueError(f"TextRows: a name or a text is of another column than the {number} that there are.")

    @property
    def shape(self) -> TextRowShape:
        """The numbers of all columns but the text's, and its tokens."""
        return TextRowShape(self.columns.shape.numbers, *(self.tokens or Words()).shape)

    @property
    def texts(self) -> tuple[str, ...]:
        """The names of the text's columns, or their numbers from 1."""
        return tuple(self.names[place] if self.names else str(place + 1) for place in self.places)

    def fitted(self, rows: Rows | RawTable) -> Self:
        """The same with what it takes of some rows, unless it has that.

        Raises:
            ValueError: they are no rows, no column holds texts, or no other one can be learned from.
        """
        table = as_table(rows, names=self.names)
        found = self.located(table)
        names = tuple(name for place, name in enumerate(self.names) if place not in found.places)
        columns, texts = replace(self.columns, names=names).fitted(found._others(table)), found._read(table)
        if self.tokens is None:
            return replace(found, columns=columns, tokens=usual_tokens(texts))
        return replace(found, columns=columns, tokens=self.tokens.fitted(texts))

    def located(self, table: RawTable) -> Self:
        """The same with the places of the columns of a table that hold texts, unless it has places.

        Raises:
            ValueError: no column holds texts.
        """
        places = self.places or tuple(place for place, cells in enumerate(table.columns) if holds_texts(cells))
        if not places:
            raise ValueError("No column of the table holds texts: call one 'text', or say kind='rows'.")
        return replace(self, places=places)

    def encode(self, raw: Rows | RawTable, where: Sequence[str] | None = None) -> Tensor:
        """The inputs of rows, shape ``(n, numbers + steps)``, float32.

        Args:
            raw: the rows; those with names may lack columns that are left out, and have others.
            where: where each stands, for messages; None counts from 1.

        Raises:
            ValueError: they are no rows of so many columns, or a cell is of another kind than its column.
        """
        assert self.tokens is not None
        table = learned_table(raw, self.columns, self.names, len(self.columns.columns) + len(self.places), where)
        numbers, tokens = self.columns.encode(self._others(table)), self.tokens.encode(self._read(table))
        return torch.cat([numbers, tokens.to(numbers)], 1)

    def show(self, inputs: Tensor) -> list[str]:
        """The cells of each row, and behind them the text."""
        assert self.tokens is not None
        numbers, tokens = self.shape.split(inputs)
        return list(map("{}: {}".format, self.columns.show(numbers), self.tokens.show(tokens)))

    def to_plain(self) -> dict[str, Any]:
        """The names and places, and what makes numbers and tokens."""
        assert self.tokens is not None
        return {
            "names": list(self.names),
            "places": list(self.places),
            "columns": self.columns.to_plain(),
            "tokens": self.tokens.described(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: something is missing, or out of its range.
        """
        names, places, columns = (plain.get(name) for name in ("names", "places", "columns"))
        if not isinstance(names, list) or not isinstance(places, list) or not isinstance(columns, Mapping):
            raise ValueError("TextRows: the stored preprocessing has no names, places and columns.")
        if not places:
            raise ValueError("TextRows: the stored preprocessing has no column of texts.")
        return cls(tuple(names), Columns.from_plain(columns), tokens_from_plain(plain.get("tokens")), tuple(places))

    def _others(self, table: RawTable) -> RawTable:
        return RawTable([own for place, own in enumerate(table.columns) if place not in self.places], len(table))

    def _read(self, table: RawTable) -> list[str]:
        """The texts of each row, one behind the other; empty where there are gaps alone."""
        rows = zip(*(table.columns[place].values.tolist() for place in self.places), strict=True)
        return [JOINED_BY.join(str(cell).strip() for cell in row if not is_gap(cell)) for row in rows]


def holds_texts(cells: ColumnCells) -> bool:
    """Whether cells are sentences, or texts by the name of their column, most of which differ."""
    return cells.values.dtype.kind != "f" and are_texts(cells.name, cells.texts())


def usual_rows(table: RawTable) -> Columns | TextRows:
    """What makes inputs of a table: ``TextRows`` if it has a text, and other columns than names and numbers of rows."""
    others = [cells for cells in table.columns if not holds_texts(cells)]
    if len(others) < len(table.columns) and (named := [cells for cells in others if not _names_rows(cells)]):
        with suppress(ValueError):
            Columns().fitted(RawTable(named, len(table)))
            return TextRows()
    return Columns()


def _names_rows(cells: ColumnCells) -> bool:
    """Whether a column has another whole number in each row, as identifiers are."""
    numbers = cells.values
    return numbers.dtype.kind == "f" and bool((numbers == np.floor(numbers)).all()) and len({*numbers}) == len(numbers)
