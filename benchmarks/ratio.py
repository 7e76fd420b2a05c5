"""CPU times of several ways to do one thing, interleaved in one process, as ratios to a baseline."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware


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

    @property
    def met(self) -> bool:
        """Whether the target, if any, is reached."""
        return self.target is None or self.ratio >= self.target


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


def table(rows: Sequence[Ratio]) -> str:
    """The rows as a table with one line each."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}  {'median':>10}  {'ratio':>6}  {'range':>13}  target"]
    for row in rows:
        target = "" if row.target is None else f"{row.target:.2f} {'met' if row.met else 'MISSED'}"
        spread = f"{row.low:.2f} to {row.high:.2f}"
        line = f"{row.name:{width}}  {row.seconds * 1e3:7.1f} ms  {row.ratio:6.2f}  {spread:>13}  {target}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def write(path: Path, *, title: str, rows: Sequence[Ratio], repeats: int) -> None:
    """Write the rows as JSON, with the machine they were measured on."""
    document = {
        "benchmark": title,
        "hardware": hardware(),
        "repeats": repeats,
        "rows": [{**asdict(row), "met": row.met} for row in rows],
    }
    write_whole(path, json.dumps(document, indent=1) + "\n")
