"""How far searches are behind the best of a pool, and how much less far with what was learned from others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from paired import bootstrap_means

BEST = 3
"""Members of the pool that count as found."""
DRAWS = 10_000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Regrets:
    """How far the chosen networks are behind the pool's best, in points of accuracy.

    Attributes:
        val: of the best by validation so far, shape ``(tasks, seeds, queries)``.
        test: of the same network's test accuracy.
        arrived: trained children until one of the best three by validation, shape ``(tasks, seeds)``.
    """

    val: np.ndarray
    test: np.ndarray
    arrived: np.ndarray


@dataclass(frozen=True)
class Row:
    """The regret of one searcher after so many trained children.

    Attributes:
        signal: ``val`` or ``test``.
        searcher: its name.
        children: how many were trained.
        regret: mean over tasks and seeds, points.
        by_task: means over seeds.
        difference: of the first searcher's regret to this one's; None for itself.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    signal: str
    searcher: str
    children: int
    regret: float
    by_task: tuple[float, ...]
    difference: float | None = None
    low: float | None = None
    high: float | None = None


def regrets(orders: np.ndarray, val: np.ndarray, test: np.ndarray) -> Regrets:
    """The regrets of searches; what is chosen depends on validation alone.

    Args:
        orders: members in the order in which they were tried, shape ``(tasks, seeds, queries)``.
        val: validation accuracies of all members, shape ``(tasks, members)``.
        test: test accuracies of the same networks.
    """
    tasks = np.arange(len(orders))[:, None, None]
    places = np.maximum.accumulate(_firsts(val[tasks, orders]), axis=2)
    chosen = np.take_along_axis(orders, places, axis=2)
    good = (val >= np.sort(val, axis=1)[:, [-min(BEST, val.shape[1])]])[tasks, orders]
    arrived = np.where(good.any(2), 1.0 + good.argmax(2), np.inf)
    behind_val, behind_test = (100 * (v.max(1)[:, None, None] - v[tasks, chosen]) for v in (val, test))
    return Regrets(behind_val, behind_test, arrived)


def _firsts(values: np.ndarray) -> np.ndarray:
    """The place of each value that is above all before it, else 0; along the last axis."""
    before = np.maximum.accumulate(values, axis=-1)[..., :-1]
    above = np.concatenate([np.zeros_like(values[..., :1], bool), values[..., 1:] > before], axis=-1)
    return np.where(above, np.arange(values.shape[-1]), 0)


def difference(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """The mean of paired differences with its 95 % interval: tasks are drawn again, then seeds within each.

    Args:
        ours: shape ``(tasks, seeds)``.
        theirs: the same tasks and seeds.
    """
    pairs = ours - theirs
    low, high = np.quantile(bootstrap_means(list(pairs), seed=0, draws=DRAWS), [0.025, 0.975])
    return float(pairs.mean()), float(low), float(high)


def rows_of(found: Mapping[str, Regrets], shown: Sequence[int]) -> list[Row]:
    """All searchers after so many children; the first one is compared with each of the others."""
    rows = []
    first = next(iter(found))
    for signal in ("val", "test"):
        for name, regret in found.items():
            for count in shown:
                ours, values = (getattr(r, signal)[..., count - 1] for r in (found[first], regret))
                compared = () if name == first else difference(ours, values)
                by_task = tuple(round(float(value), 3) for value in values.mean(1))
                rows.append(Row(signal, name, count, float(values.mean()), by_task, *compared))
    return rows


def arrivals(found: Mapping[str, Regrets]) -> dict[str, list[float | None]]:
    """Medians of the trained children until one of the best: over all tasks, then of each. None where most did not."""
    medians = {
        name: [median(counts) for counts in (regret.arrived.flatten().tolist(), *regret.arrived.tolist())]
        for name, regret in found.items()
    }
    return {name: [m if m < np.inf else None for m in numbers] for name, numbers in medians.items()}


def show(rows: Sequence[Row], medians: Mapping[str, Sequence[float | None]]) -> None:
    """Print both."""
    first = rows[0].searcher
    counts = list(dict.fromkeys(row.children for row in rows))
    for signal in ("val", "test"):
        print(f"\nregret by {signal}, points; in brackets how much less it is with '{first}', 95 %")
        print(f"{'trained children':24}" + "".join(f"{count:<26}" for count in counts))
        for name in medians:
            own = [row for row in rows if (row.signal, row.searcher) == (signal, name)]
            print(f"{name:24}" + "".join(f"{_cell(row):26}" for row in own).rstrip())
    print(f"\nmedian of trained children until one of the best {BEST} by validation, over tasks and on each")
    for name, numbers in medians.items():
        print(f"{name:24}" + "".join(f"{'–' if number is None else f'{number:g}':>7}" for number in numbers))


def _cell(row: Row) -> str:
    if row.difference is None or row.low is None or row.high is None:
        return f"{row.regret:5.2f}"
    less, least, most = (0.0 - number for number in (row.difference, row.high, row.low))
    return f"{row.regret:5.2f} [{less:+.2f}, {least:+.2f} to {most:+.2f}]"
