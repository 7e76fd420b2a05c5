"""Accuracy against search cost, one panel a protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, label
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
from lit_metanas.report.table import MethodRow, ProtocolTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MARKERS = "oDs^vX<>"
"""Shapes that tell methods apart without colour."""


def draw_costs(tables: Sequence[ProtocolTable]) -> Figure | None:
    """Draw for each protocol every method's accuracy over the cost of one search, in FLOPs or queries.

    Thin bars are 95 % intervals over episodes or tasks, thick ones over seeds. Methods that do not search stand in a
    grey field left of the logarithmic axis; points of equal cost stand side by side. Names stand on the right at their
    methods' height, moved apart where they would touch. None where no protocol has two methods to compare.
    """
    tables = [replace(table, rows=table.rows[:MOST_METHODS]) for table in tables[:MOST_PANELS] if len(table.rows) > 1]
    if not tables:
        return None
    colours = _colours(tables)
    drawn, places = stacked([_name(table, row) for table in tables for row in table.rows], len(tables))
    for axes, table in zip(places, tables, strict=True):
        _panel(axes, table, colours)
    return drawn


def _colours(tables: Sequence[ProtocolTable]) -> dict[str, int]:
    """One number a method, equal in all panels."""
    methods = dict.fromkeys(row.method for table in tables for row in table.rows)
    return {method: index for index, method in enumerate(methods)}


def _name(table: ProtocolTable, row: MethodRow) -> str:
    """The method, with its batch-norm mode where there are several."""
    several = sum(other.method == row.method for other in table.rows) > 1
    return f"{row.method} ({row.batch_norm})" if several else row.method


def _panel(axes: Axes, table: ProtocolTable, colours: Mapping[str, int]) -> None:
    """One protocol."""
    logs = [math.log10(row.search_cost) for row in table.rows if row.search_cost > 0]
    low, high = (math.floor(min(logs)), max(math.ceil(max(logs)), math.floor(min(logs)) + 1)) if logs else (0, 0)
    resting = len(table.rows) - len(logs)
    step = 0.045 * (high - low) if logs else 1.0
    start = low - step * (resting + 2)
    wanted = [math.log10(row.search_cost) if row.search_cost > 0 else start for row in table.rows]
    places = side_by_side(wanted, step)
    ends = []
    for row, place in zip(table.rows, places, strict=True):
        index, mean = colours[row.method], 100 * row.score.mean
        colour = COLOURS[index % len(COLOURS)]
        for half, thickness in ((row.score.half, 1.0), (row.seeds.half, 3.0)):
            if not math.isnan(half):
                line = [100 * end for end in bounds(row.score.mean, half)]
                axes.plot([place] * 2, line, color=colour, linewidth=thickness,
                          alpha=1.0 if thickness == 1 else 0.45, solid_capstyle="butt")  # fmt: skip
        axes.plot([place], [mean], MARKERS[index % len(MARKERS)], color=colour, markersize=7, markeredgecolor="white",
                  markeredgewidth=0.8, zorder=3)  # fmt: skip
        ends.append((place, mean, colour, _name(table, row)))
    frame(axes, table.title, f"{ACCOUNTS[table.account]} to search one task")
    axes.set_ylabel(f"{label(table.metric)}, %", fontsize=9, color=INK)
    intervals = f"line: 95 % interval over {table.units}"
    if table.units != "seeds" and any(not math.isnan(row.seeds.half) for row in table.rows):
        intervals = f"lines: 95 % intervals, thin over {table.units}, thick over seeds"
    axes.text(1, 1.015, intervals, transform=axes.transAxes, fontsize=7.5,
              color=FAINT, ha="right", va="bottom")  # fmt: skip
    axes.set_xlim(start - step, max(high, max(places)) + step)
    ticks(axes, low, high, rest=start + step * (resting - 1) / 2 if resting else None, searched=bool(logs))
    if resting and logs:
        axes.axvspan(start - step, low - step * 1.5, color="#F1F1F1", linewidth=0, zorder=0)
    names(axes, ends, shares=all(0 <= row.score.mean <= 1 for row in table.rows))
