"""Columns of a table by what they hold: how each becomes numbers for a network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from lit_metanas.io.text import printable
from lit_metanas.kinds.dates import DATE_FORMS, ISO, read_date
from lit_metanas.kinds.rows.cells import ColumnCells
from lit_metanas.records.plain import to_plain

# How far a value is from the mean at most; one that is farther counts as this far.
MOST_DEVIATIONS = 1000.0

# The normal scores of the quantiles that are kept of a column.
NORMAL_SCORES = np.linspace(-3.0, 3.0, 49)

# Rows that a category has at least: all rarer ones together are one category.
LEAST_OF_A_CATEGORY = 2

PARTS_OF_A_DATE = 4

# How a gap, and a category that is rare or new, are shown.
SHOWN_GAP, SHOWN_RARE = "?", "rare"


@dataclass(frozen=True)
class TableColumn:
    """A column that was learned from: it makes ``width`` numbers of each cell, as described here none."""

    name: str = ""
    gaps: bool = False  # whether cells were missing, so that the last number says whether one is

    kind: ClassVar[str]

    @property
    def values(self) -> int:
        """How many numbers stand for the content of a cell."""
        return 0

    @property
    def width(self) -> int:
        """How many numbers an input has of a cell."""
        return self.values + self.gaps

    def encode(self, cells: ColumnCells) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The numbers of cells, shape ``(n, values)``, and where there are gaps, ``(n,)``."""
        rows = len(cells.values)
        return np.zeros((rows, 0)), np.zeros(rows, dtype=bool)

    def show(self, inputs: NDArray[np.float64]) -> list[str]:
        """The cells that numbers ``(n, values)`` stand for."""
        return [""] * len(inputs)

    def to_plain(self) -> dict[str, Any]:
        """All attributes, as JSON holds them."""
        return {"kind": self.kind, **to_plain(self)}


@dataclass(frozen=True)
class UnusedColumn(TableColumn):
    """A column that is left out for a reason, such as ``constant``."""

    reason: str = ""

    kind: ClassVar[str] = "unused"


@dataclass(frozen=True)
class ScaledColumn(TableColumn, ABC):
    """A column of numbers; booleans are 1 and 0. A gap counts as the mean or median."""

    @property
    def values(self) -> int:
        """One."""
        return 1

    @property
    def of_gap(self) -> NDArray[np.float64]:
        """The inputs of a gap, shape ``(values,)``."""
        return np.zeros(self.values)

    @abstractmethod
    def scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers ``(n,)`` without gaps as inputs ``(n, values)``."""

    @abstractmethod
    def unscaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``scaled``."""

    def encode(self, cells: ColumnCells) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The scaled numbers of cells."""
        numbers = cells.numbers()
        absent = np.isnan(numbers)
        inputs = self.scaled(np.where(absent, 0.0, numbers))
        inputs[absent] = self.of_gap
        return inputs, absent

    def show(self, inputs: NDArray[np.float64]) -> list[str]:
        """The numbers."""
        return [f"{number:.6g}" for number in self.unscaled(inputs).tolist()]


@dataclass(frozen=True)
class NumberColumn(ScaledColumn):
    """Numbers less their mean, divided by their standard deviation."""

    mean: float = 0.0
    deviation: float = 1.0

    kind: ClassVar[str] = "number"

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean) or not 0 < self.deviation < math.inf:
            raise ValueError("NumberColumn: the mean is not finite, or the deviation is not above 0.")

    @classmethod
    def fitted(cls, name: str, *columns: NDArray[np.float64]) -> Self:
        """With the mean and deviation of all known numbers of some columns."""
        known = np.concatenate([numbers[~np.isnan(numbers)] for numbers in columns])
        # Divided before they are squared and added, since that of large numbers is infinite.
        scale = float(np.abs(known).max(initial=0.0)) or 1.0
        shares = known / scale if len(known) else np.zeros(1)
        mean = float(shares.mean())
        deviation = float(np.sqrt(((shares - mean) ** 2).mean()))
        # A constant that is no sum of powers of two has a deviation by rounding.
        size = 1.0 if deviation <= 1e-12 else max(deviation * scale, float(np.finfo(np.float64).tiny))
        return cls(name, any(bool(np.isnan(numbers).any()) for numbers in columns), mean * scale, size)

    def scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised."""
        with np.errstate(over="ignore"):
            return ((numbers - self.mean) / self.deviation).clip(-MOST_DEVIATIONS, MOST_DEVIATIONS)[:, None]

    def unscaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``scaled``."""
        return inputs[:, 0] * self.deviation + self.mean


@dataclass(frozen=True)
class QuantileColumn(ScaledColumn):
    """Numbers as normal scores, read off the line through their quantiles at ``NORMAL_SCORES``."""

    # So the order of numbers is kept, whatever their distribution, and none is far from all others.

    knots: tuple[float, ...] = ()

    kind: ClassVar[str] = "quantiles"

    def __post_init__(self) -> None:
        check_rising("QuantileColumn", self.knots, len(NORMAL_SCORES))

    @classmethod
    def fitted(cls, name: str, numbers: NDArray[np.float64]) -> Self:
        """With the quantiles of the known numbers."""
        shares = torch.special.ndtr(torch.from_numpy(NORMAL_SCORES)).numpy()
        return cls(name, bool(np.isnan(numbers).any()), quantiles_of(numbers, shares))

    def scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores."""
        column, own = numbers / 4, np.array(self.knots) / 4
        # The mean of the first and the last score of equal quantiles.
        last = np.interp(column, own, NORMAL_SCORES)
        first = -np.interp(-column, -own[::-1], NORMAL_SCORES)
        return ((first + last) / 2)[:, None]

    def unscaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``scaled``."""
        return np.interp(inputs[:, 0], NORMAL_SCORES, self.knots)


@dataclass(frozen=True)
class PiecewiseColumn(ScaledColumn):
    """Numbers, standardised, and how much of each piece between two quantiles lies below them."""

    # The shares are piecewise linear encoding: Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular
    # Deep Learning", equation 1. Differs from the paper in that numbers outside of all quantiles count as the nearest,
    # and in that the number itself is an input, too: what is linear needs no pieces.

    edges: tuple[float, ...] = ()
    number: NumberColumn = field(default_factory=NumberColumn)

    kind: ClassVar[str] = "pieces"

    def __post_init__(self) -> None:
        check_rising("PiecewiseColumn", self.edges)
        if any(one / 4 == other / 4 for one, other in pairwise(self.edges)):
            raise ValueError("PiecewiseColumn: two edges are equal.")

    @classmethod
    def fitted(cls, name: str, numbers: NDArray[np.float64], pieces: int) -> Self:
        """With the different ones of the quantiles of the known numbers, for so many pieces at most."""
        # Quartered, as the difference of two large numbers is infinite; some tiny ones are then equal.
        quarters = dict.fromkeys(edge / 4 for edge in quantiles_of(numbers, np.linspace(0.0, 1.0, pieces + 1)))
        edges = tuple(4 * quarter for quarter in quarters)
        if len(edges) == 1:
            edges = (edges[0], np.nextafter(edges[0], math.inf) + 1)
        return cls(name, bool(np.isnan(numbers).any()), edges, NumberColumn.fitted("", numbers))

    @property
    def values(self) -> int:
        """Of the number, and of each piece."""
        return len(self.edges)

    @property
    def of_gap(self) -> NDArray[np.float64]:
        """Those of the mean, and of the middle edge."""
        return np.array([0.0, *(float(place < len(self.edges) // 2) for place in range(len(self.edges) - 1))])

    def scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The standardised number, and the shares of the pieces."""
        edges = np.array(self.edges) / 4
        with np.errstate(over="ignore"):
            shares = ((numbers[:, None] / 4 - edges[:-1]) / np.diff(edges)).clip(0.0, 1.0)
        return np.concatenate([self.number.scaled(numbers), shares], axis=1)

    def unscaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``scaled``."""
        return self.number.unscaled(inputs)


@dataclass(frozen=True)
class CategoryColumn(TableColumn):
    """Texts that repeat, one number each: the first layer of a network learns a vector of each (Guo, Berkhahn 2016)."""

    categories: tuple[str, ...] = ()  # the most frequent first
    rare: bool = False  # whether there were rare ones, which share a number with new ones

    kind: ClassVar[str] = "categories"

    def __post_init__(self) -> None:
        if len(set(self.categories)) < len(self.categories) or "" in self.categories:
            raise ValueError("CategoryColumn: a category stands twice, or is empty.")

    @classmethod
    def fitted(cls, name: str, texts: Sequence[str], most: int) -> Self:
        """With the most frequent texts, so many at most."""
        counts = Counter(text for text in texts if text)
        known = [text for text, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))][:most]
        kept = tuple(text for text in known if counts[text] >= LEAST_OF_A_CATEGORY)
        return cls(name, "" in texts, kept, len(kept) < len(counts))

    @property
    def values(self) -> int:
        """Of each category one, and one for the rare."""
        return len(self.categories) + self.rare

    def encode(self, cells: ColumnCells) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """One of each row, or none of a gap, and of a new category where none was rare."""
        texts, places = cells.texts(), {text: place for place, text in enumerate(self.categories)}
        absent = np.array([not text for text in texts], dtype=bool)
        own = np.array([places.get(text, len(places)) for text in texts], dtype=np.int64)
        found = np.zeros((len(texts), len(places) + 1))
        found[~absent, own[~absent]] = 1.0
        return found[:, : self.values], absent

    def show(self, inputs: NDArray[np.float64]) -> list[str]:
        """The categories."""
        names = [*(printable(text, 40) for text in self.categories), SHOWN_RARE]
        places = np.pad(inputs, ((0, 0), (0, 1)), constant_values=0.5).argmax(1)
        return [names[min(place, len(names) - 1)] for place in places.tolist()]


@dataclass(frozen=True)
class DateColumn(TableColumn):
    """Dates in one form, as year, month, day of the week and hour, each standardised."""

    form: str = ISO
    parts: tuple[NumberColumn, ...] = ()

    kind: ClassVar[str] = "dates"

    def __post_init__(self) -> None:
        if self.form not in DATE_FORMS or len(self.parts) != self.values:
            raise ValueError(f"DateColumn: the form is none of {', '.join(DATE_FORMS)}, or a part is missing.")

    values: ClassVar[int] = PARTS_OF_A_DATE

    @classmethod
    def fitted(cls, cells: ColumnCells, form: str) -> Self:
        """With the means and deviations of the parts of dates."""
        parts = tuple(NumberColumn.fitted("", part) for part in parts_of_dates(cells, form).T)
        return cls(cells.name, parts[0].gaps, form, parts)

    def encode(self, cells: ColumnCells) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The scaled parts of dates; the means of a gap."""
        found = parts_of_dates(cells, self.form)
        filled = np.where(np.isnan(found), [part.mean for part in self.parts], found)
        scaled = [part.scaled(numbers) for part, numbers in zip(self.parts, filled.T, strict=True)]
        return np.concatenate(scaled, axis=1), np.isnan(found[:, 0])

    def show(self, inputs: NDArray[np.float64]) -> list[str]:
        """Year, month, day of the week and hour."""
        parts = [part.unscaled(inputs[:, place : place + 1]).tolist() for place, part in enumerate(self.parts)]
        return [
            f"{year:.0f}-{month:02.0f}, day {day + 1:.0f}, {hour:.0f} h"
            for year, month, day, hour in zip(*parts, strict=True)
        ]


def parts_of_dates(cells: ColumnCells, form: str) -> NDArray[np.float64]:
    """Year, month, day of the week and hour of dates in a form, shape ``(n, 4)``; NaN of a gap."""
    found = np.full((len(cells.values), PARTS_OF_A_DATE), np.nan)
    for row, text in enumerate(cells.texts()):
        if not text:
            continue
        if (date := read_date(text, form)) is None:
            example = datetime(2026, 1, 31, 14, 30).strftime({ISO: "%Y-%m-%d"}.get(form, form))
            raise cells.refusal(row, f"no date in the form of '{example}': write it so, or leave it empty.")
        found[row] = date.year, date.month, date.weekday(), date.hour
    return found


def quantiles_of(numbers: NDArray[np.float64], shares: NDArray[np.float64]) -> tuple[float, ...]:
    """The quantiles of the known numbers, of which there is one at least."""
    known = numbers[~np.isnan(numbers)]
    # Halved, since the difference of two large numbers is infinite; and a quantile between two neighbours may be
    # rounded below the one before.
    return tuple(np.maximum.accumulate(2 * np.quantile(known / 2, shares)).tolist())


def check_rising(owner: str, knots: Sequence[float], number: int | None = None) -> None:
    """Refuse knots that are not finite, or do not rise, or are not so many."""
    if len(knots) < 2 or (number is not None and len(knots) != number):
        raise ValueError(f"{owner}: a column has {len(knots)} quantiles, not {number or 'two or more'}.")
    if not all(map(math.isfinite, knots)) or any(one > other for one, other in pairwise(knots)):
        raise ValueError(f"{owner}: the quantiles of a column are not finite, or do not rise.")
