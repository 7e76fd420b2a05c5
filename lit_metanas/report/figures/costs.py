"""Accuracy against search cost, one panel for each protocol: whole searches, and anytime curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, label
from lit_metanas.io.text import with_prefix
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import bounds
from lit_metanas.report.figures.panel import (
    ACCOUNTS,
    MOST_METHODS,
    MOST_PANELS,
    frame,
    names,
    side_by_side,
    stacked,
    ticks,
)
from lit_metanas.report.paired_statistics import mean_curve, saturation
from lit_metanas.report.table import ACCURACY, MethodRow, ProtocolTable, by_protocol, methods_of, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Curve = list[tuple[float, float]]
"""Points of an anytime curve: the cost so far, and the best score so far."""

MARKERS = "oDs^vX<>"
"""Shapes that distinguish methods without colour."""


def draw_costs(tables: Sequence[ProtocolTable]) -> Figure | None:
    """Draw every method's accuracy over the cost of one search; None if no protocol has two methods."""
    # Thin bars are 95 % intervals over episodes or tasks, thick ones over seeds. Methods that do not search are in a
    # grey field left of the logarithmic axis, and points of equal cost are next to each other. Names are on the right
    # at their methods' height, moved apart if they would touch.
    tables = [replace(table, rows=table.rows[:MOST_METHODS]) for table in tables[:MOST_PANELS] if len(table.rows) > 1]
    if not tables:
        return None
    colours = _colours(tables)
    drawn, places = stacked([_method_name(table, row) for table in tables for row in table.rows], len(tables))
    for axes, table in zip(places, tables, strict=True):
        _cost_panel(axes, table, colours)
    return drawn


def _colours(tables: Sequence[ProtocolTable]) -> dict[str, int]:
    """One number for each method, equal in all panels."""
    methods = dict.fromkeys(row.method for table in tables for row in table.rows)
    return {method: index for index, method in enumerate(methods)}


def _method_name(table: ProtocolTable, row: MethodRow) -> str:
    """The method, with its batch-norm mode if there are several."""
    if sum(other.method == row.method for other in table.rows) == 1:
        return row.method
    return f"{row.method} ({row.batch_norm})"


def _cost_panel(axes: Axes, table: ProtocolTable, colours: Mapping[str, int]) -> None:
    """The costs of one protocol."""
    logs = [math.log10(row.search_cost) for row in table.rows if row.search_cost > 0]
    low, high, step = 0, 0, 1.0
    if logs:
        low = math.floor(min(logs))
        high = max(math.ceil(max(logs)), low + 1)
        step = 0.045 * (high - low)
    resting, rest = len(table.rows) - len(logs), None
    start = low - step * (resting + 2)
    if resting:
        rest = start + step * (resting - 1) / 2
    wanted = [math.log10(row.search_cost) if row.search_cost > 0 else start for row in table.rows]
    places = side_by_side(wanted, step)
    ends = []
    for row, place in zip(table.rows, places, strict=True):
        index, mean = colours[row.method], 100 * row.score.mean
        colour = COLOURS[index % len(COLOURS)]
        for half, thickness, alpha in ((row.score.half, 1.0, 1.0), (row.seeds.half, 3.0, 0.45)):
            if not math.isnan(half):
                line = [100 * end for end in bounds(row.score.mean, half)]
                axes.plot([place] * 2, line, color=colour, linewidth=thickness, alpha=alpha, solid_capstyle="butt")
        axes.plot([place], [mean], MARKERS[index % len(MARKERS)], color=colour, markersize=7, markeredgecolor="white",
                  markeredgewidth=0.8, zorder=3)  # fmt: skip
        ends.append((place, mean, colour, _method_name(table, row)))
    frame(axes, table.title, f"{ACCOUNTS[table.account]} to search one task")
    axes.set_ylabel(f"{label(table.metric)}, %", fontsize=9, color=INK)
    intervals = f"line: 95 % interval over {table.units}"
    if table.units != "seeds" and any(not math.isnan(row.seeds.half) for row in table.rows):
        intervals = f"lines: 95 % intervals, thin over {table.units}, thick over seeds"
    axes.text(1, 1.015, intervals, transform=axes.transAxes, fontsize=7.5,
              color=FAINT, ha="right", va="bottom")  # fmt: skip
    axes.set_xlim(start - step, max(high, max(places)) + step)
    ticks(axes, low, high, rest=rest, searched=bool(logs))
    if resting and logs:
        axes.axvspan(start - step, low - step * 1.5, color="#F1F1F1", linewidth=0, zorder=0)
    names(axes, ends, shares=all(0 <= row.score.mean <= 1 for row in table.rows))


def draw_curves(results: Sequence[ResultRow]) -> Figure | None:
    """Draw the best score so far over the cost, averaged over tasks and seeds; None without curves."""
    # Each curve continues, level, to the whole cost of its search. A ring marks the lowest cost that comes within half
    # a point of the end. A single point has no panel.
    methods = methods_of(results)[:MOST_METHODS]
    panels: list[tuple[str, str, dict[str, Curve]]] = []
    for own in by_protocol(results)[:MOST_PANELS]:
        curves = {}
        for method in methods:
            mean = mean_curve(_whole_curve(result) for result in own if result.method == method)
            if curve := [(cost, value) for cost, value in mean if cost > 0]:
                curves[method] = curve
        if sum(map(len, curves.values())) > 1:
            title = title_of(own)
            if own[0].metric != ACCURACY:
                title += f", {own[0].metric}"
            panels.append((title, own[0].protocol.account, curves))
    if not panels:
        return None
    drawn, places = stacked([_curve_name(m, c) for *_, curves in panels for m, c in curves.items()], len(panels))
    for axes, (title, account, curves) in zip(places, panels, strict=True):
        _curve_panel(axes, title, account, curves, methods)
    return drawn


def _whole_curve(result: ResultRow) -> Sequence[tuple[float, float]]:
    """The anytime curve, extended to the whole cost of the search."""
    spent = result.cost.counted_in(result.protocol.account)
    if not result.curve or spent <= (last := max(result.curve))[0]:
        return result.curve
    return (*result.curve, (spent, last[1]))


def _curve_panel(axes: Axes, title: str, account: str, curves: dict[str, Curve], methods: list[str]) -> None:
    """The anytime curves of one protocol."""
    ends = []
    for method, curve in curves.items():
        colour = COLOURS[methods.index(method) % len(COLOURS)]
        places, values = [math.log10(cost) for cost, _ in curve], [100 * value for _, value in curve]
        axes.step(places, values, where="post", color=colour, linewidth=1.6)
        ring = [cost for cost, _ in curve].index(saturation(curve) or 0.0)
        axes.plot([places[ring]], [values[ring]], "o", color=colour, markersize=7, markerfacecolor="white",
                  markeredgewidth=1.6)  # fmt: skip
        ends.append((places[-1], values[-1], colour, _curve_name(method, curve)))
    frame(axes, title, f"{ACCOUNTS[account]} spent on searching one task")
    axes.set_ylabel("best validation score so far, %", fontsize=9, color=INK)
    axes.text(1, 1.015, "ring: within half a point of the end", transform=axes.transAxes, fontsize=7.5, color=FAINT,
              ha="right", va="bottom")  # fmt: skip
    ticks(axes, *axes.get_xlim())
    names(axes, ends, shares=all(0 <= value <= 1 for curve in curves.values() for _, value in curve))


def _curve_name(method: str, curve: Curve) -> str:
    """The method, and the cost at its ring."""
    return f"{method} (ring at {with_prefix(saturation(curve) or 0.0)})"
