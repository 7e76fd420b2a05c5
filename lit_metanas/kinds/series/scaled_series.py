"""Series of numbers as inputs: each channel scaled, gaps filled, short series padded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.preprocessing import Preprocessing, check_range
from lit_metanas.inputs.shapes import SeriesShape
from lit_metanas.io.text import number_of, printable
from lit_metanas.kinds.rows.column_kinds import NumberColumn
from lit_metanas.kinds.series.series_files import SeriesValues, read_series_file
from lit_metanas.records.plain import from_plain, to_plain

# Shape ``(channels, steps)``, or ``(steps,)`` of a single channel, NaN where a value is missing; channels by their
# names; or a CSV file.
RawSeries: TypeAlias = Tensor | NDArray[Any] | Sequence[Any] | Mapping[str, Any] | str | Path

# Steps of an input, whose cost grows with them: neighbours of longer series are averaged.
LONGEST_INPUT = 512
# How far a value is from the mean at most; one that is farther counts as this far.
MOST_DEVIATION = 100.0


@dataclass(frozen=True)
class ScaledSeries(Preprocessing):
    """Each channel less its mean, divided by its standard deviation, both of the series to learn from.

    A missing value is interpolated between its neighbours in time, and is the nearest known one at the ends; a channel
    of which nothing is known has its mean. Steps at the end at which no channel has a value are no part of the series.

    Attributes:
        names: of the channels; empty where they have none.
        means: of the channels; empty before ``fitted``.
        deviations: of the channels, above 0.
        steps: the most of an input; what lies behind is cut. 0 before ``fitted``, which takes those of the longest.
        every: neighbouring steps that are averaged into one; 0 before ``fitted``, which takes as few as leave at most
            512 steps.

    Raises:
        ValueError: there are not as many of each, or a number is out of its range.

    Example:
        >>> scaled = lm.kinds.ScaledSeries().fitted([[[1.0, 3.0], [0.0, 0.0]], [[2.0, None, 2.0], [0.0, 0.0, 0.0]]])
        >>> scaled.shape, scaled.encode([[[2.0], [0.5]]])[0].tolist()
        (SeriesShape(features=3, steps=3), [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [1.0, 0.0, 0.0]])
    """

    names: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    steps: int = 0
    every: int = 0

    kind: ClassVar[str] = "scaled-series"
    noun: ClassVar[str] = "series"

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in self.names) or len(set(self.names)) < len(self.names):
            raise ValueError("ScaledSeries: a channel's name is no text, or stands twice: give each its own.")
        sizes = {len(part) for part in (self.names, self.means, self.deviations) if part}
        if len(self.means) != len(self.deviations) or len(sizes) > 1:
            raise ValueError(
                f"ScaledSeries has {number_of(len(self.names), 'name')}, {number_of(len(self.means), 'mean')} and "
                f"{number_of(len(self.deviations), 'deviation')}: give one a channel."
            )
        if not all(type(one) in (int, float) and math.isfinite(one) for one in (*self.means, *self.deviations)):
            raise ValueError("ScaledSeries: a mean or deviation is no finite number.")
        if any(one <= 0 for one in self.deviations):
            raise ValueError("ScaledSeries: a deviation is not above 0.")
        check_range("ScaledSeries", steps=(self.steps, 0, 1 << 24), every=(self.every, 0, 1 << 24))

    @property
    def shape(self) -> SeriesShape:
        """``(channels + 1, steps)``: the last feature is the mask."""
        return SeriesShape(len(self.means) + 1, self.steps)

    def fitted(self, series: Sequence[RawSeries]) -> Self:
        """The same with what it takes of some series, unless it has that.

        Raises:
            ValueError: there is none, one of them is no series, or they have different channels.
        """
        if self.means:
            return self
        found = self._arrays(series)
        if not found:
            raise ValueError("There are no series to learn from: give some.")
        scales = [NumberColumn.fitted("", channel) for channel in np.concatenate(found, axis=1)]
        return replace(
            self.reaching(max(one.shape[1] for one in found)),
            means=tuple(one.mean for one in scales),
            deviations=tuple(one.deviation for one in scales),
        )

    def reaching(self, longest: int) -> Self:
        """The same for series of up to so many steps, unless ``steps`` and ``every`` are known."""
        every = self.every or -(-longest // LONGEST_INPUT)
        return replace(self, every=every, steps=self.steps or -(-longest // every))

    def encode(self, raw: Sequence[RawSeries]) -> Tensor:
        """The inputs of series, shape ``(n, channels + 1, steps)``, float32.

        Raises:
            ValueError: one of them is no series of so many channels, or a file is malformed.
        """
        inputs = torch.zeros(len(raw), *self.shape)
        for row, series in zip(inputs, self._arrays(raw), strict=True):
            if len(series) != len(self.means):
                raise ValueError(
                    f"A series has {number_of(len(series), 'channel')}, and {len(self.means)} were learned from: give "
                    "the same, in the same order."
                )
            with np.errstate(over="ignore"):
                scaled = (filled(series, self.means).T - np.array(self.means)) / np.array(self.deviations)
            starts = np.arange(0, len(scaled), self.every)
            sums = np.add.reduceat(scaled.clip(-MOST_DEVIATION, MOST_DEVIATION).T, starts, axis=1)
            averaged = (sums / np.diff(np.append(starts, len(scaled))))[:, : self.steps]  # the last one of fewer steps
            row[:-1, : averaged.shape[1]] = torch.from_numpy(averaged)
            row[-1, : averaged.shape[1]] = 1.0
        return inputs

    def show(self, inputs: Tensor) -> list[str]:
        """Each input in a line such as ``120 steps of 3 channels``."""
        channels = number_of(len(self.means), "channel")
        return [f"{number_of(self.every * int(own.sum()), 'step')} of {channels}" for own in step_mask(inputs)]

    def to_plain(self) -> dict[str, Any]:
        """All attributes."""
        return dict(to_plain(self))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: an attribute is missing, unknown or out of its range.
        """
        found = from_plain(cls, plain, "ScaledSeries: the stored preprocessing")
        if not found.means or not found.steps or not found.every:
            raise ValueError("ScaledSeries: the stored preprocessing was never fitted.")
        return found

    def _arrays(self, raw: Sequence[RawSeries]) -> list[SeriesValues]:
        """Series as arrays; all have the channels of the first one."""
        found = list[SeriesValues]()
        for number, one in enumerate(raw, 1):
            if isinstance(one, str | Path):
                one = read_series_file(Path(one), self.names).values
            own = series_array(one, f"Series {number}", self.names)
            if found and len(own) != len(found[0]):
                raise ValueError(
                    f"Series {number} has {number_of(len(own), 'channel')}, and the first one {len(found[0])}: give "
                    "all of them the same, in the same order."
                )
            found.append(own)
        return found


def series_array(series: Any, name: str, channels: Sequence[str] = ()) -> SeriesValues:
    """A series as an array of shape ``(channels, steps)``, without steps at its end that have no value."""
    if isinstance(series, Mapping):
        wanted = channels or list(series)
        if absent := [one for one in wanted if one not in series]:
            raise ValueError(f"{name} lacks the channel '{printable(absent[0], 40)}', which was learned from: add it.")
        series = [series[one] for one in wanted]
    if isinstance(series, Tensor):
        series = series.detach().cpu().numpy()
    try:
        found = np.asarray(series)
        if found.dtype.kind == "O":  # with None for missing values
            found = np.asarray(series, dtype=np.float64)
        if found.dtype.kind not in "biuf":
            raise TypeError(found.dtype)
        array = np.atleast_2d(found.astype(np.float64))
    except (ValueError, TypeError):
        raise ValueError(
            f"{name} holds something that is not a number, or channels of different lengths: give an array (channels, "
            "steps)."
        ) from None
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}: give an array (channels, steps) with a step at least.")
    if np.isinf(array).any():
        raise ValueError(f"{name} has an infinite value: fix it, or make it NaN, which counts as missing.")
    known = np.flatnonzero(~np.isnan(array).all(0))
    if not len(known):
        raise ValueError(f"{name} has no value: leave it out.")
    return array[:, : known[-1] + 1]


def filled(series: SeriesValues, means: Sequence[float]) -> SeriesValues:
    """A series ``(channels, steps)`` whose missing values are interpolated, or the mean of an empty channel."""
    found, steps = series.copy(), np.arange(series.shape[1])
    for row, mean in zip(found, means, strict=True):
        known = ~np.isnan(row)
        if not known.all():
            row[:] = np.interp(steps, steps[known], row[known]) if known.any() else mean
    return found
