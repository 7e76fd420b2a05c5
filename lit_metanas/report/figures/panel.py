"""Parts of the report's panels: margins, ticks of costs, names next to points."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import INK, figure, label, plain_frame
from lit_metanas.io.text import printable, with_prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PANEL, HEIGHT, LEFT, ABOVE, BELOW = 4.6, 3.1, 0.75, 0.7, 0.75
"""Inches: a panel's width and height, and the margins left, above (for a title of two lines) and below."""

TITLE_WIDTH = 54
"""Characters of a line of a title."""

MOST_PANELS, MOST_METHODS = 20, 100
"""Most panels of a figure, and most methods in one."""

ACCOUNTS = {"flops": "training FLOPs", "queries": "queries"}
"""Words for the units of a search's cost."""


def stacked(names: Sequence[str], number: int) -> tuple[Figure, list[Axes]]:
    """A figure of ``number`` panels below each other, with room for the names at the right, and its axes."""
    width, tall = LEFT + PANEL + name_room(names), ABOVE + HEIGHT + BELOW
    height = number * tall + 0.1
    drawn = figure(width, height)
    bottoms = (height - place * tall - ABOVE - HEIGHT for place in range(number))
    axes = [drawn.add_axes((LEFT / width, each / height, PANEL / width, HEIGHT / height)) for each in bottoms]
    return drawn, axes


def name_room(names: Sequence[str]) -> float:
    """The width of the names, in inches."""
    return 0.45 + 0.083 * max(len(label(name)) for name in names)


def side_by_side(wanted: Sequence[float], step: float) -> list[float]:
    """Move points right until neighbours are at least ``step`` apart, in the order given among equals."""
    placed = list(wanted)
    last = -math.inf
    for index in sorted(range(len(wanted)), key=lambda index: wanted[index]):
        placed[index] = last = max(wanted[index], last + step)
    return placed


def frame(axes: Axes, title: str, below: str) -> None:
    """Title, axis label, grid."""
    plain_frame(axes)
    lines = textwrap.wrap(printable(title, 2 * TITLE_WIDTH - 8), TITLE_WIDTH)
    axes.set_title("\n".join(map(label, lines)), fontsize=10.5, fontweight="bold", color=INK, loc="left", pad=18)
    axes.set_xlabel(label(below), fontsize=9, color=INK)
    axes.yaxis.grid(True, color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.08)


def ticks(axes: Axes, low: float, high: float, rest: float | None = None, searched: bool = True) -> None:
    """Ticks at powers of ten, on an axis of decimal logarithms; methods that search nothing are at ``rest``."""
    stride = max(1, math.ceil((high - low) / 5))
    powers = range(math.floor(low), math.floor(high) + 1, stride)
    steps: Sequence[int] = (1,)
    if len([power for power in powers if power >= low]) < 3:
        steps = (1, 2, 5)
    costs = [step * 10.0**power for power in powers for step in steps if low <= math.log10(step) + power <= high]
    marks = []
    if rest is not None:
        marks.append((rest, "no search"))
    if searched:
        marks += [(math.log10(cost), with_prefix(cost, exact=True)) for cost in costs]
    axes.set_xticks([place for place, _ in marks], [text for _, text in marks])


def names(axes: Axes, ends: Sequence[tuple[float, float, str, str]], *, shares: bool = True) -> None:
    """Write names right of the axes, each with a thin line to its point ``(x, y, colour, name)``."""
    # The lines run level to the axes' edge and bend behind it, so that no two of them cross. `shares`: all heights are
    # shares in per cent, and the axes end where these do.
    low, high = axes.get_ylim()
    if shares:
        low, high = max(low, 0.0), min(high, 102.0)  # an interval over few tasks may exceed the possible range
    axes.set_ylim(low, high)
    room = high - low
    placed = spread([y for _, y, _, _ in ends], room * 0.062, low + 0.02 * room, high - 0.02 * room)
    left, right = axes.get_xlim()
    axes.set_xlim(left, right)
    for (x, y, colour, text), height in zip(ends, placed, strict=True):
        end = right + 0.03 * (right - left)
        axes.plot([x, right, end], [y, y, height], color=colour, linewidth=0.6, alpha=0.5, clip_on=False, zorder=1)
        axes.text(1.04, (height - low) / room, label(text), transform=axes.transAxes, fontsize=8.5, color=colour,
                  va="center", fontweight="bold")  # fmt: skip


def spread(heights: Sequence[float], room: float, low: float, high: float) -> list[float]:
    """Move labels apart: as near to ``heights`` as ``room`` between neighbours allows, in [low, high] if they fit."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    clusters: list[tuple[float, list[int]]] = []  # (lowest position, labels upwards)
    for index in order:
        clusters.append((heights[index], [index]))
        while len(clusters) > 1 and clusters[-1][0] - clusters[-2][0] < room * len(clusters[-2][1]) - 1e-12:
            members = clusters[-2][1] + clusters[-1][1]
            clusters[-2:] = [(_lowest(heights, members, room, low, high), members)]
    placed = [0.0] * len(heights)
    for bottom, members in clusters:
        for rank, index in enumerate(members):
            placed[index] = bottom + rank * room
    return placed


def _lowest(heights: Sequence[float], members: Sequence[int], room: float, low: float, high: float) -> float:
    """The place of a cluster's lowest label: the labels keep their mean if it fits into the range."""
    centre = sum(heights[index] for index in members) / len(members)
    bottom = centre - room * (len(members) - 1) / 2
    return max(min(bottom, high - room * (len(members) - 1)), low)
