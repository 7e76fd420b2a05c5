"""Parts of the report's panels: frames, notes, logarithmic axes, legends."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import FAINT, INK, figure, has_letters, label, plain_frame
from lit_metanas.io.text import printable, with_prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Inches: the width and height of a panel with its margins.
PANEL, TALL = 5.8, 4.4

# Characters of a line of a title.
TITLE_WIDTH = 54

MOST_PANELS, MOST_METHODS, COLUMN = 20, 48, 16
"""Most panels of a figure, most methods in one, and names in a column of a legend."""


def stacked(number: int) -> tuple[Figure, list[Axes]]:
    """A figure of ``number`` panels below each other, and their axes."""
    drawn = figure(PANEL, number * TALL)
    return drawn, list(drawn.subplots(number, 1, squeeze=False, gridspec_kw={"hspace": 0.5})[:, 0])


def draw_panels(panels: Sequence[Callable[[Axes], None]]) -> Figure | None:
    """A figure of panels below each other, each drawn by a function; None without any."""
    if not panels:
        return None
    drawn, places = stacked(len(panels))
    for axes, draw in zip(places, panels, strict=True):
        draw(axes)
    return drawn


def frame(axes: Axes, title: str, below: str, left: str, note: str = "") -> None:
    """Write the title, the labels of both axes and a note on the right above them; draw the grid."""
    plain_frame(axes)
    lines = textwrap.wrap(printable(title, 2 * TITLE_WIDTH - 8), TITLE_WIDTH)
    axes.set_title("\n".join(map(label, lines)), fontsize=10.5, fontweight="bold", color=INK, loc="left", pad=18)
    axes.set_xlabel(label(below), fontsize=9, color=INK)
    axes.set_ylabel(left, fontsize=9, color=INK)
    axes.text(1, 1.015, note, transform=axes.transAxes, fontsize=7.5, color=FAINT, ha="right", va="bottom")
    axes.yaxis.grid(True, color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.08)


def log_axis(axes: Axes) -> None:
    """Make the lower axis logarithmic, with round numbers at its ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1.0, 3.0) if high > 100 * low else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: with_prefix(value, exact=True)))
    axes.minorticks_off()


def legend(axes: Axes) -> None:
    """Write the names of all lines and points that have one right of the axes, each in its colour."""
    _, names = axes.get_legend_handles_labels()
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.03), ncols=-(-len(names) // COLUMN), fontsize=8.5, frameon=False,
        labelcolor="linecolor",
    )  # fmt: skip


def name_label(text: str) -> str:
    """A name for a legend, which leaves out names that begin with an underscore."""
    return label(text).lstrip("_") or "–"


def numbers_of(names: Sequence[str]) -> dict[str, str]:
    """What stands in figures for the names that no font of this machine can write: their places."""
    return {name: f"no. {place}" for place, name in enumerate(names, 1) if not has_letters(name)}


def numbers_in_words(numbers: Mapping[str, str]) -> str:
    """A sentence on the names that numbers replace in figures, for a page with letters of its own; empty for none."""
    if not numbers:
        return ""
    named = ", ".join(f"{number} is {name}" for name, number in numbers.items())
    return f"No font of this machine has the letters of some names: {named}."
