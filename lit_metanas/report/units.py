"""Numbers for human readers."""

from __future__ import annotations

import math

from lit_metanas.records.statistics import Interval
from lit_metanas.report.paired_statistics import Difference

PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def with_prefix(number: float, exact: bool = False) -> str:
    """Three digits and a prefix: ``0``, ``950``, ``12.3 k``, ``4.56 M``, ``1.00 G``; ``exact`` for ``1 G``."""
    if number == 0:
        return "0"
    power = 0
    while abs(number) >= 999.5 and power < len(PREFIXES) - 1:
        number, power = number / 1000, power + 1
    if exact:
        return f"{number:.3g} {PREFIXES[power]}".strip()
    digits = 0 if abs(number) >= 99.95 or (power == 0 and number == int(number)) else 1 if abs(number) >= 9.995 else 2
    return f"{number:.{digits}f} {PREFIXES[power]}".strip()


def percent(interval: Interval) -> str:
    """``71.3 ± 0.9``; ``68.0 [4.3, 100.0]`` where a share would leave 0 to 100; ``71.3`` without an interval."""
    mean, half = 100 * interval.mean, 100 * interval.half
    if math.isnan(half):
        return f"{mean:.1f}"
    if 0 <= mean <= 100 and not 0 <= mean - half <= mean + half <= 100:
        return f"{mean:.1f} [{max(mean - half, 0):.1f}, {min(mean + half, 100):.1f}]"
    return f"{mean:.1f} ± {half:.1f}"


def points(difference: Difference) -> str:
    """``+1.2 [+0.4, +2.1]``, in percentage points; without the bounds where there are none."""
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    bounds = "" if math.isnan(low) else f" [{low:+.1f}, {high:+.1f}]"
    return f"{mean:+.1f}{bounds}".replace("-", "−")


def tasks(number: float | None) -> str:
    """Number of tasks until meta-training has paid: ``never``, ``at once``, ``12``, or a dash if it has no answer."""
    if number is None:
        return "–"
    if number == 0:
        return "at once"
    return "never" if math.isinf(number) else with_prefix(number)
