"""Anytime curves: how good a search is after how much of its cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, figure
from lit_metanas.io.text import with_prefix
from lit_metanas.records.rows import ResultRow
from lit_metanas.report.figures.panel import (
    ABOVE,
    ACCOUNTS,
    BELOW,
    HEIGHT,
    LEFT,
    MOST_METHODS,
    MOST_PANELS,
    PANEL,
    frame,
    name_room,
    names,
    ticks,
)
from lit_metanas.report.paired_statistics import mean_curve, saturation
from lit_metanas.report.table import methods_of, protocol_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Curve = list[tuple[float, float]]


def draw_curves(results: Sequence[ResultRow]) -> Figure | None:
    """Draw the best validation score so far over what was spent, averaged over tasks and seeds, a panel a protocol.

    A ring marks the lowest cost that comes within half a point of the end. None where no result has a curve.
    """
    methods = methods_of(results)[:MOST_METHODS]
    curves_of: dict[tuple[str, str], dict[str, list[Sequence[tuple[float, float]]]]] = {}
    for result in results:
        curves_of.setdefault(_panel_of(result), {}).setdefault(result.method, []).append(result.curve)
    panels: dict[tuple[str, str], dict[str, Curve]] = {}
    for panel, by_method in list(curves_of.items())[:MOST_PANELS]:
        for method in methods:
            if curve := [(cost, value) for cost, value in mean_curve(by_method.get(method, ())) if cost > 0]:
                panels.setdefault(panel, {})[method] = curve
    if not panels:
        return None
    width = LEFT + PANEL + name_room([_text(m, c) for curves in panels.values() for m, c in curves.items()])
    tall = ABOVE + HEIGHT + BELOW
    height = len(panels) * tall + 0.1
    drawn = figure(width, height)
    for number, ((title, account), curves) in enumerate(panels.items()):
        bottom = height - number * tall - ABOVE - HEIGHT
        axes = drawn.add_axes((LEFT / width, bottom / height, PANEL / width, HEIGHT / height))
        _panel(axes, title, account, curves, methods)
    return drawn


def _panel_of(result: ResultRow) -> tuple[str, str]:
    """The title of the panel that shows a result, and what its costs are counted in."""
    return protocol_title(result.protocol), result.protocol.account


def _panel(axes: Axes, title: str, account: str, curves: dict[str, Curve], methods: list[str]) -> None:
    """One protocol."""
    ends = []
    for method, curve in curves.items():
        colour = COLOURS[methods.index(method) % len(COLOURS)]
        places, values = [math.log10(cost) for cost, _ in curve], [100 * value for _, value in curve]
        axes.step(places, values, where="post", color=colour, linewidth=1.6)
        ring = [cost for cost, _ in curve].index(saturation(curve) or 0.0)
        axes.plot([places[ring]], [values[ring]], "o", color=colour, markersize=7, markerfacecolor="white",
                  markeredgewidth=1.6)  # fmt: skip
        ends.append((places[-1], values[-1], colour, _text(method, curve)))
    frame(axes, title, f"{ACCOUNTS[account]} spent on searching one task")
    axes.set_ylabel("best validation accuracy so far, %", fontsize=9, color=INK)
    axes.text(1, 1.015, "ring: within half a point of the end", transform=axes.transAxes, fontsize=7.5, color=FAINT,
              ha="right", va="bottom")  # fmt: skip
    ticks(axes, *axes.get_xlim())
    names(axes, ends)


def _text(method: str, curve: Curve) -> str:
    return f"{method} (ring at {with_prefix(saturation(curve) or 0.0)})"
