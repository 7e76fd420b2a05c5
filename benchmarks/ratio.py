"""CPU times of several ways to do one thing, interleaved in one process, as ratios to a baseline."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Ratio:
    """How much faster one way is than the baseline.

    Attributes:
        name: the way.
        seconds: median CPU time of one call.
        ratio: median over rounds of the baseline's time divided by this way's in the same round.
        low: smallest of those ratios.
        high: largest of those ratios.
        target: the ratio that is wanted, or None.
    """

    name: str
    seconds: float
    ratio: float
    low: float
    high: float
    target: float | None = None


def compare(
    baseline: tuple[str, Callable[[], object]],
    candidates: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    targets: Mapping[str, float] | None = None,
) -> list[Ratio]:
    """Time the baseline and all candidates in turn, ``repeats`` rounds after one round that does not count.

    A round is short, so that what slows the machine slows all of its members; and CPU time leaves out when others run
    in between. The ratio is the median over rounds.
    Every other round goes in the reverse order.

    Args:
        baseline: name and call.
        candidates: calls by name.
        repeats: rounds.
        targets: wanted ratios by candidate.

    Returns:
        The baseline, then the candidates in their order.
    """
    calls = {baseline[0]: baseline[1], **candidates}
    assert len(calls) == len(candidates) + 1, "the baseline's name is a candidate's, too"
    times: dict[str, list[float]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for repeat in range(repeats + 1):
            order = list(calls) if repeat % 2 else list(reversed(calls))
            for name in order:
                start = time.process_time()
                calls[name]()
                if repeat:
                    times[name].append(time.process_time() - start)
            gc.collect()
    finally:
        if collecting:
            gc.enable()
    rows = []
    for name, seconds in times.items():
        ratios = [base / own for base, own in zip(times[baseline[0]], seconds, strict=True)]
        target = (targets or {}).get(name)
        rows.append(Ratio(name, median(seconds), median(ratios), min(ratios), max(ratios), target))
    return rows
