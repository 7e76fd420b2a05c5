"""Test examples with what a network said of them: pictures in a figure, texts in a table."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, INK, figure, label
from lit_metanas.io.text import printable
from lit_metanas.records.shown_prediction import ShownPrediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SHOWN, TILES_A_ROW = 20, 5
"""Most examples of a figure or a table, and pictures in a row."""

TILE, TITLE_ROOM, MARGIN = 2.1, 0.55, 0.25
"""Inches: a picture's width and height, the room for what was said above it, and the gap between two."""

LONGEST_EXAMPLE = 400
"""Characters of an example in a table."""


def draw_predictions(predictions: Sequence[ShownPrediction]) -> Figure | None:
    """The examples that are pictures; above each what was said, and what is right where that is something else.

    None where there are no pictures.
    """
    shown = [one for one in predictions if one.picture][:MOST_SHOWN]
    if not shown:
        return None
    columns, rows = min(TILES_A_ROW, len(shown)), math.ceil(len(shown) / TILES_A_ROW)
    width, height = columns * (TILE + MARGIN) + MARGIN, rows * (TILE + TITLE_ROOM + MARGIN) + MARGIN
    drawn = figure(width, height)
    for place, one in enumerate(shown):
        row, column = divmod(place, TILES_A_ROW)
        left, top = MARGIN + column * (TILE + MARGIN), MARGIN + row * (TILE + TITLE_ROOM + MARGIN)
        below = height - top - TITLE_ROOM - TILE
        axes = drawn.add_axes((left / width, below / height, TILE / width, TILE / height))
        levels = one.levels()
        long = not 0.5 <= len(levels) / len(levels[0]) <= 2  # as spectrograms are
        axes.imshow(levels, cmap="gray", vmin=0, vmax=255, aspect="auto" if long else "equal")
        axes.set_anchor("NW")
        axes.set_xticks([])
        axes.set_yticks([])
        said, meant = label(one.said, 26), label(one.meant, 22)
        text, colour = (f"✓ {said}", INK) if one.right else (f"✗ {said}\nis: {meant}", COLOURS[1])
        axes.set_title(text, fontsize=8.5, color=colour, loc="left", pad=4)
    return drawn


def prediction_lines(predictions: Sequence[ShownPrediction]) -> list[tuple[str, ...]]:
    """The examples that are texts, as rows of a table under its headings; empty where there are none."""
    shown = [one for one in predictions if not one.picture][:MOST_SHOWN]
    rows = [
        ("✓" if one.right else "✗", *(_plain(text) for text in (one.example, one.said, one.meant))) for one in shown
    ]
    return [("", "example", "said", "right would be"), ("---",) * 4, *rows] if rows else []


def _plain(text: str) -> str:
    """A text that Markdown shows as it is, whatever is in it; addresses are no links."""
    escaped = re.sub(r"[\\`*_{}\[\]<>#!&~]", r"\\\g<0>", printable(text, LONGEST_EXAMPLE))
    return re.sub(r"(?i)(?<=[a-z])(?=://)|(?<=www)(?=\.)", "\N{ZERO WIDTH SPACE}", escaped)
