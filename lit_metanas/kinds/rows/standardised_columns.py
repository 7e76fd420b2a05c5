"""Numeric columns as inputs: standardised or as normal scores, missing values filled."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import RowShape
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.tasks.labels import MISSING, is_missing

Rows: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]
"""Shape ``(n, columns)``, a table of pandas, or a list of rows; of a table with names also mappings from these."""

MOST_DEVIATIONS = 1000.0
"""How far a value is from the mean at most; one that is farther counts as this far."""

NORMAL_SCORES = np.linspace(-3.0, 3.0, 49)
"""Of the quantiles that are kept of a column."""


@dataclass(frozen=True)
class NumericColumns(Preprocessing):
    """Makes inputs of rows of numbers: one for each column, and last the share of the row that is missing."""

    names: tuple[str, ...] = ()

    noun: ClassVar[str] = "rows"

    def __post_init__(self) -> None:
        """Look at the names."""
        if not all(isinstance(name, str) for name in self.names) or len(set(self.names)) < len(self.names):
            raise ValueError(f"{type(self).__name__}: a column's name is no text, or stands twice: give each its own.")

    @property
    @abstractmethod
    def columns(self) -> int:
        """How many were learned from; 0 before ``fitted``."""

    @abstractmethod
    def _learned(self, table: NDArray[np.float64]) -> Self:
        """The same with what it takes of a table to learn from."""

    @abstractmethod
    def _scaled(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """The numbers of inputs, of a table in which missing values are NaN."""

    @abstractmethod
    def _unscaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``_scaled``."""

    @property
    def shape(self) -> RowShape:
        """A number for each column, and the share that is missing."""
        return RowShape(self.columns + 1)

    def fitted(self, rows: Rows) -> Self:
        """The same with what it takes of some rows, unless it has that.

        Raises:
            ValueError: they are no rows of numbers, or there is none.
        """
        if self.columns:
            return self
        table = row_array(rows, names=self.names)
        if not table.size:
            raise ValueError(f"There are no numbers in rows of shape {table.shape}: give some rows and columns.")
        return self._learned(table)

    def encode(self, raw: Rows) -> Tensor:
        """The inputs of rows, shape ``(n, columns + 1)``, float32.

        Raises:
            ValueError: they are no rows of so many numbers.
        """
        table = row_array(raw, names=self.names)
        if table.shape[1] != self.columns:
            raise ValueError(
                f"The rows have {number_of(table.shape[1], 'column')}, and {self.columns} were learned from: give the "
                "same, in the same order."
            )
        share = np.isnan(table).sum(1, keepdims=True) / max(self.columns, 1)
        return torch.from_numpy(np.concatenate([self._scaled(table), share], axis=1).astype(np.float32))

    def show(self, inputs: Tensor) -> list[str]:
        """The values of each row, with the names of the columns; one that was missing as the mean or median."""
        values = self._unscaled(inputs[:, :-1].cpu().double().numpy())
        names = [f"{name} " for name in self.names] or [""] * self.columns
        return [
            ", ".join(f"{name}{value:.6g}" for name, value in zip(names, row, strict=True)) for row in values.tolist()
        ]


@dataclass(frozen=True)
class StandardisedColumns(NumericColumns):
    """Each column less its mean, divided by its standard deviation, both of the rows to learn from.

    A missing value (NaN or None) takes the mean of its column. The last number of an input is the share of its row that
    was missing, so that an input has one number more than there are columns. A column that is constant has only zeros,
    until it differs.

    Attributes:
        names: of the columns; empty where they have none.
        means: of the columns; empty before ``fitted``.
        deviations: of the columns, above 0.
        together: whether ``fitted`` takes one mean and one deviation for all columns, as suits those of one unit, such
            as pixels.

    Raises:
        ValueError: there are not as many of each, or a number is not finite.

    Example:
        >>> import lit_metanas as lm
        >>> columns = lm.kinds.StandardisedColumns(("height", "age")).fitted([[1.0, 20], [3.0, 20], [None, 20]])
        >>> columns.encode([[3.0, 20], [None, 21]])
        tensor([[1.0000, 0.0000, 0.0000],
                [0.0000, 1.0000, 0.5000]])
        >>> columns.show(columns.encode([{"height": 3, "age": 20}]))
        ['height 3, age 20']
    """

    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    together: bool = False

    kind: ClassVar[str] = "standardised-columns"

    def __post_init__(self) -> None:
        """Look at all numbers."""
        if len(self.means) != len(self.deviations) or (self.means and self.names and len(self.names) != self.columns):
            raise ValueError(
                f"StandardisedColumns has {number_of(len(self.names), 'name')}, {number_of(len(self.means), 'mean')} "
                f"and {number_of(len(self.deviations), 'deviation')}: give one a column."
            )
        super().__post_init__()
        for mean, deviation in zip(self.means, self.deviations, strict=True):
            if type(mean) not in (int, float) or type(deviation) not in (int, float):
                raise ValueError("StandardisedColumns: a mean or deviation is not a number.")
            if not math.isfinite(mean) or not 0 < deviation < math.inf:
                raise ValueError("StandardisedColumns: a mean is not finite, or a deviation is not above 0.")

    @property
    def columns(self) -> int:
        """How many there are."""
        return len(self.means)

    def _learned(self, table: NDArray[np.float64]) -> Self:
        # Divided before they are squared and added, since that of large numbers is infinite.
        scale = np.fmax.reduce(np.abs(table), axis=0, initial=0.0)
        scale[scale == 0] = 1.0
        if self.together:
            scale[:] = scale.max()
        known = ~np.isnan(table)
        number = np.maximum(known.sum(0), 1)
        shares = np.where(known, table / scale, 0.0)
        means = shares.sum(0) / number
        if self.together:
            means[:] = shares.sum() / max(known.sum(), 1)
        squares = np.where(known, shares - means, 0.0) ** 2
        deviations = np.sqrt(squares.sum(0) / number)
        if self.together:
            deviations[:] = np.sqrt(squares.sum() / max(known.sum(), 1))
        # A constant that is no sum of powers of two has a deviation by rounding.
        constant = deviations <= 1e-12
        deviations = np.where(constant, 1.0, np.maximum(deviations * scale, np.finfo(np.float64).tiny))
        return replace(self, means=tuple((means * scale).tolist()), deviations=tuple(deviations.tolist()))

    def _scaled(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):
            filled = np.where(np.isnan(table), self.means, table)
            return ((filled - np.array(self.means)) / np.array(self.deviations)).clip(-MOST_DEVIATIONS, MOST_DEVIATIONS)

    def _unscaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return inputs * np.array(self.deviations) + np.array(self.means)

    def to_plain(self) -> dict[str, Any]:
        """Names, means and deviations, and ``together`` where it is true, so that the digest of all others stays."""
        plain = {"names": list(self.names), "means": list(self.means), "deviations": list(self.deviations)}
        if self.together:
            plain["together"] = True
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: a list is missing, or something else is in its place.
        """
        parts = {name: plain.get(name) for name in ("names", "means", "deviations")}
        lists = {name: tuple(part) for name, part in parts.items() if isinstance(part, list)}
        if len(lists) < len(parts) or not lists["means"]:
            raise ValueError("StandardisedColumns: the stored preprocessing has no names, means and deviations.")
        together = plain.get("together", False)
        if not isinstance(together, bool):
            raise ValueError("StandardisedColumns: the stored 'together' is neither true nor false.")
        return cls(lists["names"], lists["means"], lists["deviations"], together)


@dataclass(frozen=True)
class QuantileColumns(NumericColumns):
    """Each column as normal scores: whatever the distribution of its values, that of its inputs is about normal.

    A score is read off the line through some quantiles of the rows to learn from, so that the order of values is kept,
    and no value is far from all others. A missing value (NaN or None) takes the score of the median, 0. The last number
    of an input is the share of its row that was missing.

    Attributes:
        names: of the columns; empty where they have none.
        knots: of each column its quantiles at ``NORMAL_SCORES``; empty before ``fitted``.

    Raises:
        ValueError: there are not as many of each, or a column's numbers are not finite or do not rise.

    Example:
        >>> import lit_metanas as lm
        >>> columns = lm.kinds.QuantileColumns(("price",)).fitted([[1.0], [2.0], [4.0], [8.0], [1000.0]])
        >>> columns.encode([[4.0], [None]]).tolist()
        [[0.0, 0.0], [0.0, 1.0]]
        >>> columns.show(columns.encode([[4.0]]))
        ['price 4']
    """

    knots: tuple[tuple[float, ...], ...] = ()

    kind: ClassVar[str] = "quantile-columns"

    def __post_init__(self) -> None:
        """Look at all numbers."""
        if self.knots and self.names and len(self.names) != self.columns:
            raise ValueError(
                f"QuantileColumns has {number_of(len(self.names), 'name')} and the quantiles of "
                f"{number_of(self.columns, 'column')}: give one a column."
            )
        super().__post_init__()
        for knots in self.knots:
            if len(knots) != len(NORMAL_SCORES) or not all(type(one) in (int, float) for one in knots):
                raise ValueError(f"QuantileColumns: a column has not {len(NORMAL_SCORES)} quantiles that are numbers.")
            if not all(map(math.isfinite, knots)) or any(one > other for one, other in pairwise(knots)):
                raise ValueError("QuantileColumns: the quantiles of a column are not finite, or do not rise.")

    @property
    def columns(self) -> int:
        """How many there are."""
        return len(self.knots)

    def _learned(self, table: NDArray[np.float64]) -> Self:
        shares = torch.special.ndtr(torch.from_numpy(NORMAL_SCORES)).numpy()
        known = [column[~np.isnan(column)] for column in table.T]
        # Halved, since the difference of two large numbers is infinite.
        found = [2 * np.quantile(column / 2, shares) if len(column) else np.zeros(len(shares)) for column in known]
        # A quantile between two neighbours may be rounded below the one before.
        return replace(self, knots=tuple(tuple(np.maximum.accumulate(knots).tolist()) for knots in found))

    def _scaled(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.zeros(table.shape)
        for place, knots in enumerate(self.knots):
            column, own = np.nan_to_num(table[:, place]) / 4, np.array(knots) / 4
            # The mean of the first and the last score of equal quantiles.
            last = np.interp(column, own, NORMAL_SCORES)
            first = -np.interp(-column, -own[::-1], NORMAL_SCORES)
            found[:, place] = np.where(np.isnan(table[:, place]), 0.0, (first + last) / 2)
        return found

    def _unscaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        pairs = zip(inputs.T, self.knots, strict=True)
        return np.array([np.interp(own, NORMAL_SCORES, knots) for own, knots in pairs]).T

    def to_plain(self) -> dict[str, Any]:
        """All attributes."""
        return {"names": list(self.names), "knots": [list(knots) for knots in self.knots]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: a list is missing, or holds something else.
        """
        names, knots = plain.get("names"), plain.get("knots")
        if not isinstance(names, list) or not isinstance(knots, list) or not knots:
            raise ValueError("QuantileColumns: the stored preprocessing has no names and quantiles.")
        if not all(isinstance(one, list) for one in knots):
            raise ValueError("QuantileColumns: the quantiles of a column are no list.")
        return cls(tuple(names), tuple(map(tuple, knots)))


def row_array(rows: Rows, *, names: Sequence[str] = (), name: str = "The table") -> NDArray[np.float64]:
    """Rows of numbers as an array, shape ``(n, columns)``; missing values are NaN.

    Mappings have the columns' ``names`` for keys, and tables of pandas have them in any order. Messages begin with
    ``name``.
    """
    if isinstance(rows, Tensor):
        rows = rows.detach().cpu().numpy()
    if isinstance(rows, Sequence) and len(rows) and all(isinstance(row, Mapping) for row in rows):
        keys = names or list(rows[0])
        rows = [row_numbers(row, keys, f"row {number}") for number, row in enumerate(rows, 1)]
    table: Any = rows
    own = [*getattr(table, "columns", ())]
    if names and own and all(isinstance(each, str) for each in own) and own != list(names):
        if absent := [each for each in names if each not in own]:
            raise ValueError(f"{name} has no {_columns_named(absent)}: it has {', '.join(own[:10])}.")
        rows = table[list(names)]
    try:
        found = np.asarray(rows)
        if found.dtype.kind == "O":
            known = [math.nan if is_missing(one) else one for one in found.flat]
            found = np.array(known, dtype=object).reshape(found.shape)
        if found.dtype.kind not in "biufO":
            raise TypeError(found.dtype)
        array = found.astype(np.float64)
    except (ValueError, TypeError):
        raise ValueError(
            f"{name} holds something that is not a number: give rows of numbers, all of one length."
        ) from None
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}: give rows of numbers, (n, columns).")
    infinite = np.argwhere(np.isinf(array))
    if len(infinite):
        row, column = (int(place) for place in infinite[0])
        raise ValueError(
            f"{name} has an infinite value in row {row}, column {column}: fix it, or make it NaN, which counts as "
            "missing."
        )
    return array


def number_in(
    value: Any, column: str, where: str, place: str = "the table", fix: str = "leave the column out"
) -> float:
    """A value of a table as a number, or as a text that is one; NaN where it is missing."""
    if is_missing(value) or (isinstance(value, str) and value.strip().lower() in MISSING):
        return math.nan
    found = math.inf
    # Python reads 1_000 and the digits of all scripts, too, which other programs take for texts.
    if not isinstance(value, str) or ("_" not in value and value.strip().isascii()):
        with suppress(ValueError, TypeError, OverflowError):
            found = float(value)
    if math.isinf(found):
        raise ValueError(
            f"Column '{printable(column, 40)}' of {place} holds '{printable(str(value), 40)}' at {where}, which is no "
            f"finite number: fix it, or {fix}."
        )
    return found


def row_numbers(row: Mapping[str, Any], names: Sequence[str], where: str) -> list[float]:
    """The numbers of some columns of a row, NaN where one is missing; it stands ``where``, such as ``line 3``."""
    if absent := [name for name in names if name not in row]:
        learned, them = ("was", "it") if len(absent) == 1 else ("were", "them")
        raise ValueError(
            f"{where[:1].upper()}{where[1:]} lacks {_columns_named(absent)}, which {learned} learned from: add {them}, "
            "empty where a value is missing."
        )
    # A column that was learned from cannot be left out.
    return [number_in(row[name], name, where, fix="leave the value empty") for name in names]


def _columns_named(names: Sequence[str]) -> str:
    """``column 'a'``, or ``columns 'a', 'b', 'c' and 9 more``."""
    named = first_few([f"'{printable(name, 40)}'" for name in names])
    if len(names) == 1:
        return f"column {named}"
    return f"columns {named}"
