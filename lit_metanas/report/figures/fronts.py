"""Pareto fronts: accuracy against parameters, multiply-adds or latency, as figures, and that of a result as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, label, save
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.io.files import write_whole
from lit_metanas.io.text import markdown_lines, shorten
from lit_metanas.records.record import grouped
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import bounds
from lit_metanas.report.figures.panel import MOST_METHODS, draw_panels, frame, legend, log_axis, name_label, stacked
from lit_metanas.report.table import methods_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Most panels that are drawn.
PANELS = 6

MEASURED = {"flops": "multiply-adds"}  # words for measures that have none in their name

FRONT_FILES = ("front.md", "front.png")  # the table and the figure of a result's front

FRONT_CAPTION = (
    "Networks to which the search found none that is as {small} and does clearly better on the validation part. Each "
    "was trained by itself on all but the test part, and tested once. The bars are 95 % intervals."
)


def draw_fronts(results: Sequence[ResultRow]) -> Figure | None:
    """Draw each search's front, one panel for each task and measure; None without a front."""
    fronts = (result for result in results if result.front)
    searches = grouped(((one.task_id, measure), one) for one in fronts for measure in one.front[0].measures)
    methods = methods_of(results)
    panels = [
        partial(_panel, title=f"Task {task}", measure=measure, results=own[:MOST_METHODS], methods=methods)
        for (task, measure), own in list(searches.items())[:PANELS]
    ]
    return draw_panels(panels)


def draw_tested(result: SearchResult) -> Figure:
    """Draw the test scores of a front's networks, with intervals, over the measure; a ring marks the result."""
    unit, scale = _unit(result.traded)
    drawn, (axes,) = stacked(1)
    points = sorted((scale * getattr(one, result.traded), 100 * one.test_score) for one in result.front)
    _steps(axes, points, COLOURS[0])
    for one in result.front:
        if not math.isnan(one.ci95):
            ends = [100 * end for end in bounds(one.test_score, one.ci95)]
            axes.plot([scale * getattr(one, result.traded)] * 2, ends, color=COLOURS[0], linewidth=0.8)
    _ring(axes, scale * getattr(result, result.traded), 100 * result.test_score, COLOURS[0])
    frame(axes, f"Task {shorten(result.task_id, 40)}", unit, f"test {label(result.metric)}, %")
    log_axis(axes)
    return drawn


def write_front(folder: Path, result: SearchResult) -> None:
    """Write a result's front into a folder, as a table and a figure."""
    heading, *rows = result.front_table()
    table, figure = FRONT_FILES
    save(draw_tested(result), folder / figure)
    metric = result.metric.capitalize() if result.metric.islower() else result.metric  # mAP keeps its letters
    parts = [
        f"# {metric} against {MEASURED.get(result.traded, result.traded)}",
        FRONT_CAPTION.format(small={"latency": "fast"}.get(result.traded, "small")),
        markdown_lines([heading, ("---",) * len(heading), *rows]),
        f"![Front]({figure})\n",
    ]
    write_whole(folder / table, "\n\n".join(parts))


def _panel(axes: Axes, title: str, measure: str, results: Sequence[ResultRow], methods: Sequence[str]) -> None:
    unit, scale = _unit(measure)
    note = "the chosen network is not on the front"
    for result in results:
        colour = COLOURS[methods.index(result.method) % len(COLOURS)]
        points = sorted((scale * trial.measures[measure], 100 * trial.value) for trial in result.front)
        _steps(axes, points, colour, f"{result.method} (seed {result.seed})")
        if chosen := [trial for trial in result.front if trial.architecture == result.architecture]:
            note, one = "ring: the chosen network", max(chosen, key=lambda trial: trial.value)
            _ring(axes, scale * one.measures[measure], 100 * one.value, colour)
    frame(axes, title, unit, "validation score, %", note)
    log_axis(axes)
    legend(axes)


def _steps(axes: Axes, points: Sequence[tuple[float, float]], colour: str, name: str = "") -> None:
    """Draw points, and a line of the best score for at most so much of the measure; ``points`` ascend."""
    # With more than two objectives some points of a front lie below the line.
    line: list[tuple[float, float]] = []
    for x, y in points:
        if not line or y > line[-1][1]:
            line.append((x, y))
    axes.step(*zip(*line, strict=True), where="post", color=colour, linewidth=1.4, label=name_label(name))
    axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4)


def _ring(axes: Axes, x: float, y: float, colour: str) -> None:
    axes.plot([x], [y], "o", color=colour, markersize=10, markerfacecolor="none", markeredgewidth=1.6)


def _unit(measure: str) -> tuple[str, float]:
    """Words for a measure and its unit, and the factor that converts it."""
    known = {"latency": ("milliseconds for one input", 1e3), "flops": ("forward multiply-adds for one input", 1.0)}
    return known.get(measure, (measure, 1.0))
