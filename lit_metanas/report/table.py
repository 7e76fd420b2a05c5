"""Results as rows, one for each method under a protocol, with means, intervals and paired differences."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import fmean

from lit_metanas.io.text import printable
from lit_metanas.objectives.metric_table import ACCURACY
from lit_metanas.records.record import grouped
from lit_metanas.records.rows import Protocol, ResultRow
from lit_metanas.records.statistics import Interval, t_interval

_EPISODES = "episodes"

ACCOUNTS = {"flops": "training FLOPs", "queries": "queries"}  # words for the units of a search's cost


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with the bounds of its 95 % interval, which are NaN for a single pair."""

    mean: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class MethodRow:
    """One method under one protocol; numbers are means over its seeds and tasks."""

    method: str
    batch_norm: str  # source of its statistics; empty if no network has any
    score: Interval  # over episodes or target tasks
    seeds: Interval  # over seeds
    seed_numbers: tuple[int, ...]
    difference: Difference | None  # to the reference method; None for the reference itself, and without a pair
    account: str  # the unit of both costs: ``flops`` or ``queries``
    search_cost: float  # of one task
    search_seconds: float
    meta_cost: float  # of the meta-training, paid once
    meta_seconds: float
    pays_after: float | None  # tasks; None without meta-training, or without a method to compare with
    parameters: float
    flops: float  # forward multiply-adds of the network for one input
    hardware: tuple[str, ...]
    precisions: tuple[str, ...]  # of the networks' trainings, those other than float32
    configs: tuple[str, ...]
    stopped: bool  # whether a search was stopped early, and its result is the best so far


@dataclass(frozen=True)
class ProtocolTable:
    """All methods under one protocol, in the order of their first results."""

    title: str
    units: str  # of the intervals: ``episodes``, ``target tasks``, ``seeds``, or a single search's ``test examples``
    reference: str | None  # the method that differences are taken to
    scratch: str | None  # the from-scratch search for the pay-off of meta-training
    account: str  # the unit of costs: ``flops`` or ``queries``
    rows: tuple[MethodRow, ...]  # one for each method and batch-norm mode
    metric: str = ACCURACY


def tables(
    results: Sequence[ResultRow], reference: str | None = None, scratch: str | None = None
) -> list[ProtocolTable]:
    """Make one table for each protocol and metric.

    Args:
        results: rows of one or several files.
        reference: the method that all others are compared with, pair by pair.
        scratch: the from-scratch search for the pay-off of meta-training; by default in each table the most accurate
            method that searches without meta-training.

    Raises:
        ValueError: there are no results, or a named method has none.

    Example:
        >>> protocol, spent = lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support"), lm.Cost()
        >>> row = lm.records.ResultRow(
        ...     "MAML", "letters", "", None, {}, 0, protocol, 0.8, 0, spent, spent, 0, 0, (0.7, 0.9)
        ... )
        >>> [row.method for row in lm.report.tables([row])[0].rows]
        ['MAML']
    """
    if not results:
        raise ValueError("There are no results to report: test or search first, and give the results file.")
    methods = list(dict.fromkeys(result.method for result in results))
    for name in (reference, scratch):
        if name is not None and name not in methods:
            raise ValueError(
                f"No result has the method '{name}': the results have {printable(', '.join(methods), 300)}."
            )
    return [_table(own, reference, scratch) for own in by_protocol(results)]


def methods_of(results: Sequence[ResultRow]) -> list[str]:
    """All methods in the order of the tables, which gives each one colour in all figures."""
    return list(dict.fromkeys(result.method for own in by_protocol(results) for result in own))


def by_protocol(results: Sequence[ResultRow]) -> list[list[ResultRow]]:
    """The results of each protocol and metric, with any batch-norm mode."""
    return list(grouped((_key(result), result) for result in results).values())


def _table(results: list[ResultRow], reference: str | None, scratch: str | None) -> ProtocolTable:
    # A method's networks without batch norm share the row of those that have it.
    modes = {result.method: result.protocol.batch_norm for result in results if result.protocol.batch_norm}
    groups = grouped(
        ((result.method, result.protocol.batch_norm or modes.get(result.method, "")), result) for result in results
    )
    by_method: dict[str, list[ResultRow]] = {}
    for (method, _), own in groups.items():
        by_method.setdefault(method, own)  # the first mode of each
    account = results[0].protocol.account
    # One task alone pays for no meta-training, and without one nothing has to pay for itself.
    if single_task(results) or not any(result.meta_cost.counted_in(account) for result in results):
        scratch = None
    elif scratch is None:
        scratch = _scratch(by_method, account)
    # A method without results under this protocol is not a reference in its table.
    reference, scratch = (name if name in by_method else None for name in (reference, scratch))
    compared, paying = by_method.get(reference or ""), by_method.get(scratch or "")
    return ProtocolTable(
        title=title_of(results),
        units=_units(results, groups.values()),
        reference=reference,
        scratch=scratch,
        account=account,
        rows=tuple(_row(own, mode, compared, paying) for (_, mode), own in groups.items()),
        metric=printable(results[0].metric, 30),
    )


def single_task(results: Sequence[ResultRow]) -> bool:
    """Whether all results of one protocol belong to one target task with examples."""
    return results[0].protocol.name == "target" and len({result.task_id for result in results}) == 1


def title_of(results: Sequence[ResultRow]) -> str:
    """The protocol in words; for one task also its examples, if all methods had as many."""
    first, counts = results[0], {result.images for result in results}
    if first.protocol.name == _EPISODES:
        return series_title(first)
    if not single_task(results):
        return protocol_title(first.protocol)
    trained, tested = first.images
    parts = {
        f"{first.protocol.way} classes": first.metric == ACCURACY,
        f"trained on {trained} examples, tested on {tested}": len(counts) == 1 and tested,
    }
    return f"Task {first.task_id}: {', '.join(part for part, known in parts.items() if known)}".rstrip(": ")


def _units(results: list[ResultRow], rows: Collection[list[ResultRow]]) -> str:
    if any(result.values for result in results):
        return "episodes"
    if len({result.task_id for result in results}) == 1 and any(len(row) > 1 for row in rows):
        return "seeds"
    if all(len(row) == 1 for row in rows):
        return "test examples"
    return "target tasks"


def _row(
    results: list[ResultRow], mode: str, reference: list[ResultRow] | None, scratch: list[ResultRow] | None
) -> MethodRow:
    first, difference = results[0], None
    if reference is not None and reference[0].method != first.method:
        difference = paired_difference(results, reference)
    account = first.protocol.account
    meta = fmean(result.meta_cost.counted_in(account) for result in results)
    search = fmean(result.cost.counted_in(account) for result in results)
    pays = None
    if meta and scratch is not None:
        # A search need not go on once its curve is within half a point of its end.
        whole = fmean(result.cost.counted_in(account) for result in scratch)
        pays = tasks_until_it_pays(meta, search, saturation(mean_curve(one.curve for one in scratch)) or whole)
    return MethodRow(
        method=first.method,
        batch_norm=mode,
        score=over_units(results),
        seeds=over_seeds(results),
        seed_numbers=tuple(sorted({result.seed for result in results})),
        difference=difference,
        account=account,
        search_cost=search,
        search_seconds=fmean(result.cost.seconds for result in results),
        meta_cost=meta,
        meta_seconds=fmean(result.meta_cost.seconds for result in results),
        pays_after=pays,
        parameters=fmean(result.parameters for result in results),
        flops=fmean(result.flops for result in results),
        hardware=tuple(sorted({result.hardware for result in results if result.hardware})),
        precisions=tuple(sorted({result.precision for result in results} - {"32-true"})),
        configs=tuple(sorted({result.config for result in results if result.config})),
        stopped=any(result.stopped for result in results),
    )


def _scratch(by_method: dict[str, list[ResultRow]], account: str) -> str | None:
    """The most accurate method that searches each task without meta-training."""
    candidates = [
        method
        for method, own in by_method.items()
        if any(result.cost.counted_in(account) for result in own)
        and not any(result.meta_cost.counted_in(account) for result in own)
    ]
    return max(candidates, key=lambda method: over_units(by_method[method]).mean, default=None)


def _key(result: ResultRow) -> tuple[str, int, int, str, str, str]:
    """The table that a result belongs to: each series of episodes has its own, and target tasks share one."""
    protocol = result.protocol
    series = result.task_id * (protocol.name == _EPISODES)
    return protocol.name, protocol.way, protocol.shot, protocol.account, result.metric, series


def series_title(result: ResultRow) -> str:
    """A series of episodes in words: its protocol, and the rest of its own name."""
    series, plain = result.task_id.removesuffix("episodes").rstrip(), protocol_title(result.protocol)
    rest = series.removeprefix(f"{result.protocol.way}-way {result.protocol.shot}-shot").strip()
    if rest in ("", "test"):
        return plain
    return f"{plain}, {rest}"


def protocol_title(protocol: Protocol) -> str:
    """The protocol in words."""
    kind = {"episodes": "Few-shot episodes", "target": "Target tasks"}.get(protocol.name, protocol.name)
    return f"{kind}: {protocol.way}-way {protocol.shot}-shot" if protocol.way else kind


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
    return math.inf if search >= scratch else math.ceil(meta / (scratch - search))


def _scores(results: Iterable[ResultRow]) -> Iterator[tuple[tuple[int, str, int], float]]:
    for result in results:
        for episode, value in enumerate(result.values or (result.value,)):
            yield (result.seed, result.task_id, episode), value
