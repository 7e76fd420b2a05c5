"""Accuracy against search cost, one panel for each protocol: whole searches, and anytime curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, INK, label
from lit_metanas.io.text import with_prefix
from lit_metanas.objectives.classification import ACCURACY
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import bounds
from lit_metanas.report.figures.panel import (
    MOST_METHODS,
    MOST_PANELS,
    frame,
    legend,
    log_axis,
    name_label,
    stacked,
)
from lit_metanas.report.paired_statistics import mean_curve, saturation
from lit_metanas.report.table import ACCOUNTS, MethodRow, ProtocolTable, by_protocol, methods_of, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Curve = list[tuple[float, float]]
"""Points of an anytime curve: the cost so far, and the best score so far."""

MARKERS = "oDs^vX<>"
"""Shapes that distinguish methods without colour."""


def draw_costs(tables: Sequence[ProtocolTable]) -> Figure | None:
    """Draw every method's accuracy over the cost of one search; None if no protocol has two methods."""
    tables = [replace(table, rows=table.rows[:MOST_METHODS]) for table in tables[:MOST_PANELS] if len(table.rows) > 1]
    if not tables:
        return None
    methods = dict.fromkeys(row.method for table in tables for row in table.rows)
    numbers = {method: number for number, method in enumerate(methods)}
    drawn, places = stacked(len(tables))
    for axes, table in zip(places, tables, strict=True):
        _cost_panel(axes, table, numbers)
    return drawn


def _cost_panel(axes: Axes, table: ProtocolTable, numbers: Mapping[str, int]) -> None:
    """The costs of one protocol: thin bars are intervals over episodes or tasks, thick ones over seeds."""
    searched = [row.search_cost for row in table.rows if row.search_cost > 0]
    low, high = min(searched, default=1.0), max(searched, default=10.0)
    # Points of equal cost are one step apart. Methods that search nothing are in a grey field on the left.
    resting = len(table.rows) - len(searched)
    step = max(high / low, 10.0) ** 0.045
    start = low / step ** (resting + 2)
    places = side_by_side([row.search_cost or start for row in table.rows], step)
    for row, place in zip(table.rows, places, strict=True):
        number = numbers[row.method]
        colour = COLOURS[number % len(COLOURS)]
        for half, thickness, alpha in ((row.score.half, 1.0, 1.0), (row.seeds.half, 3.0, 0.45)):
            if not math.isnan(half):
                line = [100 * end for end in bounds(row.score.mean, half)]
                axes.plot([place] * 2, line, color=colour, linewidth=thickness, alpha=alpha, solid_capstyle="butt")
        axes.plot([place], [100 * row.score.mean], MARKERS[number % len(MARKERS)], color=colour, markersize=7,
                  markeredgecolor="white", markeredgewidth=0.8, zorder=3,
                  label=name_label(_method_name(table, row)))  # fmt: skip
    note = f"line: 95 % interval over {table.units}"
    if table.units != "seeds" and any(not math.isnan(row.seeds.half) for row in table.rows):
        note = f"lines: 95 % intervals, thin over {table.units}, thick over seeds"
    frame(axes, table.title, f"{ACCOUNTS[table.account]} to search one task", f"{label(table.metric)}, %", note)
    axes.set_xlim(start / step, max(high, *places) * step)
    log_axis(axes)
    if resting:
        _mark_resting(axes, start, low / step**1.5)
    if not searched:
        axes.set_xticks([])
    legend(axes)


def _mark_resting(axes: Axes, start: float, end: float) -> None:
    """Draw the field of the methods that search nothing, whose places are no costs."""
    axes.set_xticks([tick for tick in axes.get_xticks() if tick > end])
    axes.axvspan(axes.get_xlim()[0], end, color="#F1F1F1", linewidth=0, zorder=0)
    axes.annotate("no search", (start, 0), (0, -6), xycoords=axes.get_xaxis_transform(), fontsize=8, color=INK,
                  textcoords="offset points", ha="center", va="top")  # fmt: skip


def side_by_side(wanted: Sequence[float], step: float) -> list[float]:
    """Move points right until neighbours are at least a factor ``step`` apart, in the order given among equals."""
    placed = list(wanted)
    last = 0.0
    for index in sorted(range(len(wanted)), key=lambda index: wanted[index]):
        placed[index] = last = max(wanted[index], last * step)
    return placed


def _method_name(table: ProtocolTable, row: MethodRow) -> str:
    """The method, with its batch-norm mode if there are several."""
    if sum(other.method == row.method for other in table.rows) == 1:
        return row.method
    return f"{row.method} ({row.batch_norm})"


def draw_curves(results: Sequence[ResultRow]) -> Figure | None:
    """Draw the best score so far over the cost, averaged over tasks and seeds; None without curves."""
    methods = methods_of(results)[:MOST_METHODS]
    panels: list[tuple[ResultRow, str, dict[str, Curve]]] = []
    for own in by_protocol(results)[:MOST_PANELS]:
        means = {m: mean_curve(_whole_curve(result) for result in own if result.method == m) for m in methods}
        curves = {m: [(cost, value) for cost, value in mean if cost > 0] for m, mean in means.items()}
        if sum(map(len, curves.values())) > 1:  # a single point has no panel
            panels.append((own[0], title_of(own), curves))
    if not panels:
        return None
    drawn, places = stacked(len(panels))
    for axes, (first, title, curves) in zip(places, panels, strict=True):
        if first.metric != ACCURACY:
            title += f", {first.metric}"
        _curve_panel(axes, title, first.protocol.account, curves)
    return drawn


def _whole_curve(result: ResultRow) -> Sequence[tuple[float, float]]:
    """The anytime curve, extended to the whole cost of the search."""
    spent = result.cost.counted_in(result.protocol.account)
    if not result.curve or spent <= (last := max(result.curve))[0]:
        return result.curve
    return (*result.curve, (spent, last[1]))


def _curve_panel(axes: Axes, title: str, account: str, curves: Mapping[str, Curve]) -> None:
    """The anytime curves of one protocol; a ring marks the lowest cost within half a point of the end."""
    for number, (method, curve) in enumerate(curves.items()):
        if not curve:
            continue
        colour = COLOURS[number % len(COLOURS)]
        ring = saturation(curve) or 0.0
        axes.step(*_percent(curve), where="post", color=colour, linewidth=1.6,
                  label=name_label(f"{method} (ring at {with_prefix(ring)})"))  # fmt: skip
        axes.plot(*_percent([point for point in curve if point[0] == ring]), "o", color=colour, markersize=7,
                  markerfacecolor="white", markeredgewidth=1.6)  # fmt: skip
    below = f"{ACCOUNTS[account]} spent on searching one task"
    frame(axes, title, below, "best validation score so far, %", "ring: within half a point of the end")
    log_axis(axes)
    legend(axes)


def _percent(curve: Curve) -> tuple[list[float], list[float]]:
    return [cost for cost, _ in curve], [100 * value for _, value in curve]
