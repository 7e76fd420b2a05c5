"""Pareto fronts of searches with several objectives: accuracy against parameters, multiply-adds or latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, figure, label
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.estimators.estimator import inputs_timed, latency_measure
from lit_metanas.io.text import at_once, shorten, with_prefix
from lit_metanas.records.record import Trial
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import bounds
from lit_metanas.report.figures.panel import ABOVE, BELOW, HEIGHT, LEFT, MOST_METHODS, PANEL, frame, names, stacked
from lit_metanas.report.table import methods_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PANELS = 6
"""Most panels that are drawn."""

MEASURED = {"flops": "multiply-adds"}
"""Words for measures that have none in their name."""

MEASURE_UNITS = {"flops": ("forward multiply-adds for one input", 1.0)}
"""Words and factors of measures whose name does not contain their unit."""


def draw_fronts(results: Sequence[ResultRow]) -> Figure | None:
    """Draw each search's front, one panel for each task and measure; None without a front."""
    # The line between two points shows the best score for at most so much of the measure. With more than two objectives
    # some points of the front may lie below the line. A ring marks the chosen network.
    panels: dict[tuple[str, str], list[ResultRow]] = {}
    for result in results:
        if result.front:
            for measure in result.front[0].measures:
                panels.setdefault((result.task_id, measure), []).append(result)
    if not panels:
        return None
    shown = [(panel, own[:MOST_METHODS]) for panel, own in list(panels.items())[:PANELS]]
    methods = methods_of(results)
    drawn, places = stacked([_name(result) for _, own in shown for result in own], len(shown))
    for axes, ((task, measure), own) in zip(places, shown, strict=True):
        _panel(axes, f"Task {task}", measure, own, methods)
    return drawn


def draw_tested(result: SearchResult) -> Figure:
    """Draw the test scores of a front's networks, with intervals, over the measure; a ring marks the result."""
    measure = result.traded
    if measure == "latency":
        measure = latency_measure(result.latency_batch)
    unit, scale = _unit(measure)
    width, height = LEFT + PANEL + 0.3, ABOVE + HEIGHT + BELOW
    drawn = figure(width, height)
    axes = drawn.add_axes((LEFT / width, BELOW / height, PANEL / width, HEIGHT / height))
    values = [scale * getattr(one, result.traded) for one in result.front]
    scores = [100 * one.test_score for one in result.front]
    halves = [0.0 if math.isnan(one.ci95) else one.ci95 for one in result.front]
    ends = [bounds(one.test_score, half) for one, half in zip(result.front, halves, strict=True)]
    below = [score - 100 * low for score, (low, _) in zip(scores, ends, strict=True)]
    above = [100 * high - score for score, (_, high) in zip(scores, ends, strict=True)]
    line = _best_so_far(sorted(zip(values, scores, strict=True)))
    axes.step([x for x, _ in line], [y for _, y in line], where="post", color=COLOURS[0], linewidth=1.4)
    axes.errorbar(values, scores, yerr=(below, above), fmt="o", color=COLOURS[0], markersize=4, elinewidth=0.8)
    axes.plot([scale * getattr(result, result.traded)], [100 * result.test_score], "o", color=COLOURS[0], markersize=10,
              markerfacecolor="none", markeredgewidth=1.6)  # fmt: skip
    axes.set_xscale("log")
    frame(axes, f"Task {shorten(result.task_id, 40)}", unit)
    axes.set_ylabel(f"test {label(result.metric)}, %", fontsize=9, color=INK)
    _ticks(axes, values)
    return drawn


def _panel(axes: Axes, title: str, measure: str, results: Sequence[ResultRow], methods: Sequence[str]) -> None:
    """One measure on one task."""
    unit, scale = _unit(measure)
    ends, ringed = [], False
    for result in results:
        colour = COLOURS[methods.index(result.method) % len(COLOURS)]
        points = sorted((scale * trial.measures[measure], 100 * trial.value) for trial in result.front)
        line = _best_so_far(points)
        axes.step([x for x, _ in line], [y for _, y in line], where="post", color=colour, linewidth=1.4)
        axes.plot([x for x, _ in points], [y for _, y in points], "o", color=colour, markersize=4)
        if (one := _chosen_point(result)) is not None:
            ringed = True
            axes.plot([scale * one.measures[measure]], [100 * one.value], "o", color=colour, markersize=10,
                      markerfacecolor="none", markeredgewidth=1.6)  # fmt: skip
        ends.append((*line[-1], colour, _name(result)))
    axes.set_xscale("log")
    frame(axes, title, unit)
    axes.set_ylabel("validation score, %", fontsize=9, color=INK)
    ring = "ring: the chosen network" if ringed else "the chosen network is not on the front"
    axes.text(1, 1.015, ring, transform=axes.transAxes, fontsize=7.5, color=FAINT, ha="right",
              va="bottom")  # fmt: skip
    _ticks(axes, [scale * trial.measures[measure] for result in results for trial in result.front])
    names(axes, ends, shares=all(0 <= trial.value <= 1 for result in results for trial in result.front))


def _unit(measure: str) -> tuple[str, float]:
    """Words for a measure and its unit, and the factor that converts it."""
    if batch := inputs_timed(measure):
        return f"milliseconds for {at_once(batch)}", 1e3
    return MEASURE_UNITS.get(measure, (measure, 1.0))


def _best_so_far(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The best second coordinate so far, at each rise; ``points`` ascend."""
    line: list[tuple[float, float]] = []
    for x, y in points:
        if not line or y > line[-1][1]:
            line.append((x, y))
    return line


def _chosen_point(result: ResultRow) -> Trial | None:
    """The best point of the front with the chosen architecture; None if the front has none."""
    own = [trial for trial in result.front if trial.architecture == result.architecture]
    return max(own, key=lambda trial: trial.value, default=None)


def _ticks(axes: Axes, values: Sequence[float]) -> None:
    """At least two ticks at 1, 2 and 5 times powers of ten, or at fewer of them if they are many."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        known = [step * 10.0**power for power in range(-9, 16) for step in steps]
        below = max((mark for mark in known if mark <= min(values)), default=known[0])
        above = min((mark for mark in known if mark >= max(values) and mark > below), default=known[-1])
        marks = [mark for mark in known if below <= mark <= above]
        if len(marks) <= 6:
            break
    low, high = min(min(values), below) / 1.15, max(max(values), above) * 1.15
    axes.minorticks_off()
    axes.set_xlim(low, high)
    axes.set_xticks(marks, [_tick_text(mark) for mark in marks])


def _tick_text(mark: float) -> str:
    if mark < 1:
        return f"{mark:g}"
    return with_prefix(mark, exact=True)


def _name(result: ResultRow) -> str:
    return f"{result.method} (seed {result.seed})"
