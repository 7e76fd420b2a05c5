"""Means, intervals and paired differences of results."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import fmean

from lit_metanas.records.record import grouped
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import Interval, t_interval


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with the bounds of its 95 % interval, which are NaN for a single pair."""

    mean: float
    low: float
    high: float
    pairs: int


def over_units(results: Sequence[ResultRow]) -> Interval:
    """Mean and interval over the episodes or target tasks of one method's results."""
    # Scores with several seeds are first averaged over them, as they are not independent. A single task without
    # episodes keeps its own interval over examples.
    units = grouped(((task, episode), value) for (_, task, episode), value in _scores(results))
    if len(units) == 1 and len(results) == 1:
        return Interval(results[0].value, results[0].ci95)
    return t_interval([sum(values) / len(values) for values in units.values()])


def over_seeds(results: Sequence[ResultRow]) -> Interval:
    """Mean and interval over the means of seeds."""
    seeds = grouped((seed, value) for (seed, _, _), value in _scores(results))
    return t_interval([sum(values) / len(values) for _, values in sorted(seeds.items())])


def paired_difference(results: Sequence[ResultRow], reference: Sequence[ResultRow]) -> Difference | None:
    """The difference to a reference method on identical episodes or tasks and equal seeds.

    Pairs are (task, seed, episode). Pairs of one seed share its meta-training, and pairs of one episode or task share
    its difficulty. So the half width of the interval combines two Student intervals, over the means of seeds and over
    those of episodes or tasks: it is the root of their sum of squares. A bootstrap would be too narrow: for three seeds
    it gives their range, which misses the truth in one of four cases.

    Args:
        results: rows of one method under one protocol.
        reference: rows of the other method under the same protocol.

    Returns:
        The difference with its bounds; None without a pair.

    Example:
        >>> protocol = lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support")
        >>> known = {"task_id": "letters", "protocol": protocol, "space": "", "architecture": None, "recipe": {}}
        >>> known |= {"ci95": 0.01, "cost": lm.Cost(), "meta_cost": lm.Cost(), "parameters": 1000, "flops": 2000}
        >>> accuracies = {"ours": 0.9, "random": 0.8}
        >>> rows = [
        ...     lm.records.ResultRow(method=name, seed=0, value=value, **known) for name, value in accuracies.items()
        ... ]
        >>> f"{lm.report.paired_difference(rows[:1], rows[1:]).mean:.1f}"
        '0.1'
    """
    mine, theirs = dict(_scores(results)), dict(_scores(reference))
    differences = {key: mine[key] - theirs[key] for key in sorted(mine.keys() & theirs.keys())}
    if not differences:
        return None
    seeds = grouped((seed, difference) for (seed, _, _), difference in differences.items())
    units = grouped(((task, episode), difference) for (_, task, episode), difference in differences.items())
    halves = [t_interval([*map(fmean, groups)]).half for groups in (seeds.values(), units.values())]
    known = [half for half in halves if not math.isnan(half)]
    half = math.hypot(*known) if known else math.nan
    mean = fmean(differences.values())
    return Difference(mean, mean - half, mean + half, len(differences))


def saturation(curve: Sequence[tuple[float, float]], within: float = 0.005) -> float | None:
    """The lowest cost at which an anytime curve is within ``within`` of its last value; None without a curve."""
    if not curve:
        return None
    return min(cost for cost, value in curve if value >= curve[-1][1] - within)


def mean_curve(curves: Iterable[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Average anytime curves as step functions, from the first cost at which all have a value."""
    own = [sorted(curve) for curve in curves if curve]
    start = max((curve[0][0] for curve in own), default=0.0)
    costs = sorted({cost for curve in own for cost, _ in curve if cost >= start})

    def value_at(curve: Sequence[tuple[float, float]], cost: float) -> float:
        return curve[bisect_right(curve, cost, key=itemgetter(0)) - 1][1]

    return [(cost, sum(value_at(curve, cost) for curve in own) / len(own)) for cost in costs]


def tasks_until_it_pays(meta: float, search: float, scratch: float) -> float:
    """Tasks after which meta-training has paid: ``meta / (scratch - search)``, all in one account."""
    if search >= scratch:
        return math.inf
    return math.ceil(meta / (scratch - search))


def _scores(results: Iterable[ResultRow]) -> Iterator[tuple[tuple[int, str, int], float]]:
    """Each score with its (seed, task, episode)."""
    for result in results:
        for episode, value in enumerate(result.values or (result.value,)):
            yield (result.seed, result.task_id, episode), value
