"""What a network says of test examples: pictures in a figure, texts in a table, and the confusion matrix of all."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, figure, label
from lit_metanas.comparisons.class_table import ClassTable
from lit_metanas.io.text import markdown_lines, printable, shorten
from lit_metanas.records.rows import ShownPrediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SHOWN, TILES_A_ROW = 20, 5  # most examples of a figure or a table, and pictures in a row

# Inches: a picture's width and height, a line of text above it, and the gap between two pictures.
TILE, TITLE_LINE, MARGIN = 2.1, 0.15, 0.25

# Characters of a line above a picture, and of a name in it.
TILE_LETTERS, LONGEST_NAME = 27, 54

# The mark and the colour of a right and of a wrong prediction.
VERDICTS = {True: ("✓", INK), False: ("✗", COLOURS[1])}

# Features of a series that are drawn as curves, one above another; more are grey levels.
MOST_CURVES = 9

# Most classes of a matrix with numbers in its cells, of one with names, and of one that is drawn.
MOST_NUMBERED, MOST_NAMED_CLASSES, MOST_DRAWN_CLASSES = 25, 60, 1000

# By whether a picture shows a series, whose length has nothing to do with its number of features.
_ASPECTS: dict[bool, Literal["auto", "equal"]] = {True: "auto", False: "equal"}


def draw_predictions(predictions: Sequence[ShownPrediction]) -> Figure | None:
    """Draw the examples that are pictures, each with its prediction and the right answer; None without any."""
    shown = [one for one in predictions if one.picture][:MOST_SHOWN]
    if not shown:
        return None
    rows = [shown[first : first + TILES_A_ROW] for first in range(0, len(shown), TILES_A_ROW)]
    rooms = [MARGIN + TITLE_LINE * max(len(_title(one)) for one in row) for row in rows]
    width = len(rows[0]) * (TILE + MARGIN) + MARGIN
    tall = TILE * (1 + any(one.heat for one in shown))
    height = sum(rooms) + len(rows) * tall + MARGIN
    drawn, top = figure(width, height), height
    for row, room in zip(rows, rooms, strict=True):
        top -= room + tall
        for column, one in enumerate(row):
            left = MARGIN + column * (TILE + MARGIN)
            _tile(drawn.add_axes((left / width, (top + tall - TILE) / height, TILE / width, TILE / height)), one)
            if one.heat:
                _heat_tile(drawn.add_axes((left / width, top / height, TILE / width, TILE / height)), one)
    for axes in drawn.axes:
        axes.set(anchor="NW", xticks=[], yticks=[])
    return drawn


def _tile(axes: Axes, one: ShownPrediction) -> None:
    """One picture, or the curves of a series, which fill the tile, whatever their length."""
    if one.series and len(one.picture) <= MOST_CURVES:
        for place, row in enumerate(reversed(one.picture)):
            axes.plot(
                [place + level / 256 for level in bytes.fromhex(row)],
                color=COLOURS[place % len(COLOURS)],
                linewidth=0.8,
            )
    else:
        axes.imshow(one.levels(), cmap="gray", vmin=0, vmax=255, aspect=_ASPECTS[one.series])
    if one.series:
        axes.set_ylabel("features →", fontsize=7, color=FAINT, labelpad=1)
    if one.series and not one.heat:
        axes.set_xlabel("steps →", fontsize=7, color=FAINT, labelpad=1)
    axes.set_title("\n".join(_title(one)), fontsize=8.5, color=VERDICTS[one.right][1], loc="left", pad=4)


def _heat_tile(axes: Axes, one: ShownPrediction) -> None:
    """The picture below itself, in grey, with what speaks for the prediction as heat."""
    grey = np.asarray(one.levels()).reshape(len(one.picture), -1, 1 + 2 * one.coloured).mean(2)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, aspect=_ASPECTS[one.series])
    heat = [list(bytes.fromhex(row)) for row in one.heat]
    axes.imshow(heat, cmap="inferno", vmin=0, vmax=255, alpha=0.6, aspect=_ASPECTS[one.series])


def _title(one: ShownPrediction) -> list[str]:
    """The prediction, and the answer if it differs, as that of a number in the interval does, in lines."""
    texts = [f"{VERDICTS[one.right][0]} {one.said}"]
    if one.said != one.meant:
        texts.append(f"is: {one.meant}")
    return [label(line) for text in texts for line in textwrap.wrap(printable(text, LONGEST_NAME), TILE_LETTERS)]


def prediction_lines(predictions: Sequence[ShownPrediction]) -> str:
    """The examples that are texts, as a table in Markdown; empty without any."""
    shown = [one for one in predictions if not one.picture][:MOST_SHOWN]
    if not shown:
        return ""
    lines = [
        (VERDICTS[one.right][0], *(shorten(text, 400) for text in (one.example, one.said, one.meant))) for one in shown
    ]
    return markdown_lines([("", "example", "said", "right would be"), ("---",) * 4, *lines])


def draw_confusions(table: ClassTable) -> Figure | None:
    """Draw the share of each class's examples (a row) that were taken for each; None without or for too many."""
    number, matrix = len(table.names), table.confusions
    if matrix is None or number > MOST_DRAWN_CLASSES:
        return None
    names = [label(name, 24) for name in table.names if number <= MOST_NAMED_CLASSES]
    cell = min(0.5, max(0.17, 7 / number)) if names else 7 / number
    side, room = number * cell, 0.4 + 0.085 * max(map(len, names), default=4)
    width, height = side + room + 0.3, side + room + 0.5
    drawn = figure(width, height)
    axes = drawn.add_axes((room / width, 0.3 / height, side / width, side / height))
    shares = (matrix / table.examples[:, None].clamp(min=1)).tolist()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, colors=INK, labelsize=min(8.5, 62 * cell))
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("taken for", fontsize=9, color=FAINT)
    axes.set_ylabel("class", fontsize=9, color=FAINT)
    axes.spines[:].set_color(FAINT)
    if number <= MOST_NUMBERED:
        _write_numbers(axes, matrix.tolist(), shares, cell)
    return drawn


def _write_numbers(axes: Axes, counts: list[list[int]], shares: list[list[float]], cell: float) -> None:
    for row, numbers in enumerate(counts):
        for column, count in enumerate(numbers):
            colour = "white" if shares[row][column] > 0.55 else INK
            size, alpha = min(8.5, 34 * cell / len(str(count)) ** 0.5), {0: 0.3}.get(count, 1.0)
            axes.text(column, row, str(count), ha="center", va="center", fontsize=size, color=colour, alpha=alpha)
