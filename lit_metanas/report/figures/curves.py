"""Anytime curves: how good a search is after how much of its cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK
from lit_metanas.io.text import with_prefix
from lit_metanas.records.rows import ResultRow
from lit_metanas.report.figures.panel import ACCOUNTS, MOST_METHODS, MOST_PANELS, frame, names, stacked, ticks
from lit_metanas.report.paired_statistics import mean_curve, saturation
from lit_metanas.report.table import ACCURACY, by_protocol, methods_of, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Curve = list[tuple[float, float]]


def draw_curves(results: Sequence[ResultRow]) -> Figure | None:
    """Draw the best validation score so far over what was spent, averaged over tasks and seeds, a panel a protocol.

    Each curve goes on, level, to the whole cost of its search. A ring marks the lowest cost that comes within half a
    point of the end. None where no result has a curve; a point that stands alone, which would tell nothing, has no
    panel.
    """
    methods = methods_of(results)[:MOST_METHODS]
    panels: list[tuple[str, str, dict[str, Curve]]] = []
    for own in by_protocol(results)[:MOST_PANELS]:
        curves = {}
        for method in methods:
            mean = mean_curve(_whole_curve(result) for result in own if result.method == method)
            if curve := [(cost, value) for cost, value in mean if cost > 0]:
                curves[method] = curve
        if sum(map(len, curves.values())) > 1:
            metric = "" if own[0].metric == ACCURACY else f", {own[0].metric}"
            panels.append((title_of(own) + metric, own[0].protocol.account, curves))
    if not panels:
        return None
    drawn, places = stacked([_text(m, c) for *_, curves in panels for m, c in curves.items()], len(panels))
    for axes, (title, account, curves) in zip(places, panels, strict=True):
        _panel(axes, title, account, curves, methods)
    return drawn


def _whole_curve(result: ResultRow) -> Sequence[tuple[float, float]]:
    """The anytime curve, to the end of what the search spent."""
    spent = result.cost.counted_in(result.protocol.account)
    if not result.curve or spent <= (last := max(result.curve))[0]:
        return result.curve
    return (*result.curve, (spent, last[1]))


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
    axes.set_ylabel("best validation score so far, %", fontsize=9, color=INK)
    axes.text(1, 1.015, "ring: within half a point of the end", transform=axes.transAxes, fontsize=7.5, color=FAINT,
              ha="right", va="bottom")  # fmt: skip
    ticks(axes, *axes.get_xlim())
    names(axes, ends, shares=all(0 <= value <= 1 for curve in curves.values() for _, value in curve))


def _text(method: str, curve: Curve) -> str:
    return f"{method} (ring at {with_prefix(saturation(curve) or 0.0)})"
