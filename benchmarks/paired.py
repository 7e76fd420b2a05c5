"""Methods compared on the seeds that they share: means, intervals, paired differences; a table and a JSON file."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware
from lit_metanas.records.statistics import Interval, t_interval

SEARCHED = "searched"
"""The method that the others are compared with."""


@dataclass(frozen=True)
class Paired:
    """What some methods scored on one problem, a number a seed.

    Attributes:
        problem: what was asked, such as "CLINC150 20-way 1-shot".
        metric: the name of the scores.
        higher: whether more of it is better.
        scores: of each method, in the order of the seeds; in per cent where the metric is a share. A method that needs
            no seed has one.
        cost: training FLOPs of each method, search included, where it trains.
        seconds: CPU time of all of it.
        notes: what is worth to know, such as the architectures that were found.
    """

    problem: str
    metric: str
    higher: bool
    scores: Mapping[str, Sequence[float]]
    cost: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    notes: Mapping[str, object] = field(default_factory=dict)

    def difference(self, method: str) -> Interval:
        """How much better the searched network is than a method, in pairs of seeds, with its 95 % interval."""
        ours, theirs = self.scores[SEARCHED], self.scores[method]
        if len(theirs) == 1:
            theirs = [*theirs] * len(ours)
        sign = 1 if self.higher else -1
        return t_interval([sign * (a - b) for a, b in zip(ours, theirs, strict=True)])

    def lines(self) -> list[str]:
        """The table of this problem."""
        found = [f"{self.problem} ({self.metric}, {'higher' if self.higher else 'lower'} is better)"]
        for method, scores in self.scores.items():
            own = t_interval(scores)
            line = f"  {method:28} {own.mean:6.2f} ± {own.half:5.2f}   {' '.join(f'{score:.1f}' for score in scores)}"
            if method != SEARCHED and SEARCHED in self.scores:
                better = self.difference(method)
                apart = ", apart" if abs(better.mean) > better.half else ""
                line += f"   searched better by {better.mean:.2f} ± {better.half:.2f}{apart}"
            found.append(line)
        return found


def timed(row: Callable[[], Sequence[Paired]]) -> list[Paired]:
    """The comparisons of a row, printed, each with the CPU time of the whole row."""
    begin = time.process_time()
    found = row()
    seconds = round(time.process_time() - begin, 1)
    for each in found:
        print("\n".join(each.lines()), flush=True)
    print(f"  {seconds:.0f} CPU s", flush=True)
    return [replace(each, seconds=seconds) for each in found]


def write(path: Path, comparisons: Sequence[Paired], seeds: Sequence[int]) -> None:
    """Write them as JSON, with the seeds, the machine and the process's peak memory in MB."""
    rows = [vars(comparison) for comparison in comparisons]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    document = {"hardware": hardware(), "seeds": [*seeds], "peak_mb": peak, "comparisons": rows}
    write_whole(path, json.dumps(document, indent=1) + "\n")


def bootstrap_means(groups: Sequence[NDArray[np.float64]], *, seed: int, draws: int) -> NDArray[np.float64]:
    """Means of ``draws`` bootstrap samples: groups with replacement, then values within each; shape ``(draws,)``."""
    generator = np.random.default_rng(seed)
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
