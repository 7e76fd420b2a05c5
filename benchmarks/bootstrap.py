"""Intervals of paired differences by a bootstrap over groups, and over what is within each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000


def mean_and_interval(groups: Mapping[str, Sequence[float]]) -> tuple[float, float, float]:
    """The mean of all values, and its 95 % interval: groups are drawn again, then the values of each."""
    values = [np.array(group) for group in groups.values()]
    low, high = np.quantile(bootstrap_means(values, draws=DRAWS), [0.025, 0.975])
    return float(np.mean(np.concatenate(values))), float(low), float(high)


def bootstrap_means(groups: Sequence[NDArray[np.float64]], *, draws: int) -> NDArray[np.float64]:
    """Means of ``draws`` bootstrap samples: groups with replacement, then values within each; shape ``(draws,)``."""
    generator = np.random.default_rng(0)
    count = len(groups)
    totals, sizes = np.zeros(draws), np.zeros(draws)
    chosen = generator.integers(count, size=(draws, count)) if count > 1 else np.zeros((draws, 1), dtype=np.int64)
    for slot in range(count):
        for index, values in enumerate(groups):
            rows = np.flatnonzero(chosen[:, slot] == index)
            for part in np.array_split(rows, max(1, len(rows) * len(values) // 4_000_000)):  # bounds the memory
                picks = generator.integers(len(values), size=(len(part), len(values)))
                totals[part] += values[picks].sum(axis=1)
                sizes[part] += len(values)
    return totals / sizes
