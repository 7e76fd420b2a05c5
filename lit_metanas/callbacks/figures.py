"""Common parts of figures, and the figure of probabilities."""

from __future__ import annotations

import io
import math
import os
import re
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lit_metanas.callbacks.probability_history import ProbabilityHistory
from lit_metanas.io.files import replacing
from lit_metanas.io.text import printable
from lit_metanas.records.record import grouped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy import uint8
    from numpy.typing import NDArray


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#3A9AD9", "#000000", "#7F3C8D")
"""Okabe and Ito's palette, its yellow and sky blue darkened to be legible on white, and one more."""

INK, FAINT = "#222222", "#8A8A8A"  # the colour of text, and that of frames, ticks and notes

MOST_DRAWN_PIXELS = 50_000_000  # most pixels of a figure; a larger one is drawn less finely


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, independent of window systems and global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = min(150.0, math.sqrt(MOST_DRAWN_PIXELS / (width * height)), 30_000 / max(width, height))
    blank = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(blank)
    return blank


def label(text: str, longest: int = 60) -> str:
    """A foreign name for a figure: short, and without dollars, between which matplotlib reads formulas."""
    return printable(text, longest).replace("$", r"\$")


def plain_frame(axes: Axes) -> None:
    """Keep only the left and lower frame, with thin ticks and dark grey text."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, width=0.6, color=FAINT)


def pixels(drawn: Figure) -> NDArray[uint8]:
    """The figure as RGB, shape ``(height, width, 3)``."""
    import numpy
    from PIL import Image

    buffer = io.BytesIO()
    _write(drawn, buffer)
    with Image.open(buffer) as image:
        return numpy.asarray(image.convert("RGB"))


def save(drawn: Figure, path: str | os.PathLike[str]) -> None:
    """Write the figure as a PNG file, atomically."""
    with replacing(path) as temporary:
        _write(drawn, temporary)


def _write(drawn: Figure, file: BinaryIO | Path) -> None:
    """Write the figure, with all that stands around its axes; a letter that no font has becomes a box."""
    from matplotlib.text import Text

    for text in drawn.findobj(Text):
        if isinstance(text, Text) and not text.get_text().isascii():
            text.set_fontfamily(_fonts())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawn.savefig(file, format="png", bbox_inches="tight")


COLOUR_MAP = "cividis"  # a map whose lightness rises for readers with and without colour vision alike

ROW, TITLE, ABOVE_STRIPS, BELOW_STRIPS, STRIP = 0.19, 0.3, 0.65, 1.0, 1.7
"""Inches: a label's row, a choice's title, the margins above and below all strips, a strip's width."""


def draw_probabilities(history: ProbabilityHistory) -> Figure:
    """Draw one strip for each choice: labels downwards, training to the right, probability as colour."""
    # Each place of choices named `place.question` has a column; the other choices have the first one. The label that is
    # most probable at the end is bold, with its probability.
    places = ((name.rpartition(".")[0], name) for name in history.labels)
    columns = grouped(sorted(places, key=lambda each: natural(each[0])))
    tall = {place: sum(TITLE + ROW * len(history.labels[name]) for name in own) for place, own in columns.items()}
    gutter = 0.45 + 0.075 * max(len(label(own)) for labels in history.labels.values() for own in labels)
    strip = STRIP if len(columns) > 1 else 2 * STRIP
    height = ABOVE_STRIPS + max(tall.values()) + BELOW_STRIPS
    width = max(4.6, len(columns) * (strip + gutter) + 0.5)
    drawn = figure(width, height)
    for column, (place, names) in enumerate(columns.items()):
        left, top = gutter + column * (strip + gutter), height - ABOVE_STRIPS
        drawn.text(left / width, (top - 0.04) / height, label(place), fontsize=10, fontweight="bold", color=INK)
        for name in names:
            tallness = ROW * len(history.labels[name])
            top -= TITLE + tallness
            axes = drawn.add_axes((left / width, top / height, strip / width, tallness / height))
            _strip(axes, history, name)
            axes.set_title(label(name.rpartition(".")[2]), fontsize=8.5, color=INK, loc="left", pad=3)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("batches trained", fontsize=8.5, color=INK)
    drawn.text(0.15 / width, 1 - 0.35 / height, "Probability of each candidate over meta-training", fontsize=11,
               fontweight="bold", color=INK)  # fmt: skip
    _scale(drawn, width, height)
    return drawn


def natural(text: str) -> str:
    """Sort key that puts ``layer2`` before ``layer10``."""
    # Of two numbers without leading zeros the longer one is the larger, however long they are.
    return re.sub(r"0*(\d+)", lambda number: f"{len(number[1]):09}{number[1]}", text)


def _strip(axes: Axes, history: ProbabilityHistory, name: str) -> None:
    """One choice: rows are labels, columns reach from one validation to the next."""
    labels = history.labels[name]
    values = [[moment.probabilities[name][row] for moment in history.moments] for row in range(len(labels))]
    steps = [moment.step for moment in history.moments]
    edges = [min(0, steps[0] - 1), *steps]
    rows = [row - 0.5 for row in range(len(labels) + 1)]
    axes.pcolormesh(edges, rows, values, vmin=0, vmax=1, cmap=COLOUR_MAP, rasterized=True)
    for row in rows[1:-1]:
        axes.axhline(row, color="white", linewidth=0.8)
    axes.set_yticks(range(len(labels)), [label(own) for own in labels])
    axes.invert_yaxis()
    axes.tick_params(labelsize=8, labelcolor=INK, length=0, labelbottom=False)
    axes.tick_params(axis="x", length=2, color=FAINT)
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.spines[:].set_visible(False)
    last = [row[-1] for row in values]
    best = last.index(max(last))
    axes.get_yticklabels()[best].set_fontweight("bold")
    axes.annotate(f"{last[best]:.2f}", (1, best), (3, 0), xycoords=("axes fraction", "data"), va="center",
                  textcoords="offset points", fontsize=7.5, fontweight="bold", color=INK)  # fmt: skip


def _scale(drawn: Figure, width: float, height: float) -> None:
    """The colour scale, below on the left."""
    from matplotlib.cm import ScalarMappable

    axes = drawn.add_axes((0.25 / width, 0.28 / height, 1.6 / width, 0.1 / height))
    drawn.colorbar(ScalarMappable(cmap=COLOUR_MAP), cax=axes, orientation="horizontal", ticks=[0, 0.5, 1])
    axes.tick_params(labelsize=7.5, labelcolor=INK, length=2, color=FAINT)
    axes.set_title("probability", fontsize=7.5, color=INK, pad=2, loc="left")
    axes.spines[:].set_visible(False)


USUAL = "DejaVu Sans"
"""matplotlib's own font: Latin, Greek, Cyrillic, Arabic, Hebrew and others, but no Chinese or Thai."""

_FURTHER = ("Noto Sans", "Source Han Sans", "WenQuanYi", "Microsoft YaHei", "PingFang", "Arial Unicode")
"""How the names of fonts with letters of further scripts begin."""


def has_letters(text: str) -> bool:
    """Whether figures can show all letters of a text."""
    return text.isascii() or {ord(letter) for letter in text if not letter.isspace()} <= _letters()


@cache
def _fonts() -> list[str]:
    """The fonts of this machine in which matplotlib looks for letters of all scripts."""
    from matplotlib.font_manager import fontManager

    return [USUAL, *sorted({entry.name for entry in fontManager.ttflist if entry.name.startswith(_FURTHER)})]


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in _fonts()))
