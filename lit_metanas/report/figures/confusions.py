"""The confusion matrix of a test part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import FAINT, INK, figure, label
from lit_metanas.comparisons.measures.class_measures import ClassTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NUMBERED, MOST_NAMED_CLASSES, MOST_DRAWN_CLASSES = 25, 60, 1000
"""Most classes of a matrix with numbers in its cells, of one with names, and of one that is drawn."""

SHORT_NAME = 24
"""Characters of a name."""

MATRIX_COLOURS = "Blues"


def draw_confusions(table: ClassTable, numbers: Mapping[str, str]) -> Figure | None:
    """Draw the share of the examples of each class (a row) that were taken for each class; None for too many.

    ``numbers`` stand for the names that no font can write.
    """
    number = len(table.names)
    if number > MOST_DRAWN_CLASSES:
        return None
    names = [label(numbers.get(name, name), SHORT_NAME) for name in table.names if number <= MOST_NAMED_CLASSES]
    cell = min(0.5, max(0.17, 7 / number)) if names else 7 / number
    side, room = number * cell, 0.4 + 0.085 * max(map(len, names), default=4)
    width, height = side + room + 0.3, side + room + 0.5
    drawn = figure(width, height)
    axes = drawn.add_axes((room / width, 0.3 / height, side / width, side / height))
    tested = table.confusions.sum(1, keepdim=True)
    shares = (table.confusions / tested.clamp(min=1)).tolist()
    axes.imshow(shares, cmap=MATRIX_COLOURS, vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, colors=INK, labelsize=min(8.5, 62 * cell))
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("taken for", fontsize=9, color=FAINT)
    axes.set_ylabel("class", fontsize=9, color=FAINT)
    for side_name in axes.spines:
        axes.spines[side_name].set_color(FAINT)
    if number <= MOST_NUMBERED:
        _write_numbers(axes, table.confusions.tolist(), shares, cell)
    return drawn


def _write_numbers(axes: Axes, counts: list[list[int]], shares: list[list[float]], cell: float) -> None:
    """Write the number of examples into each cell, those of empty ones faintly."""
    for row, numbers in enumerate(counts):
        for column, count in enumerate(numbers):
            colour = "white" if shares[row][column] > 0.55 else INK
            size, alpha = min(8.5, 34 * cell / len(str(count)) ** 0.5), 1.0 if count else 0.3
            axes.text(column, row, str(count), ha="center", va="center", fontsize=size, color=colour, alpha=alpha)
