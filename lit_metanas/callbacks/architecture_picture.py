"""A picture of an architecture: one block a layer, from left to right."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, figure, label, natural
from lit_metanas.callbacks.search_measures import skips
from lit_metanas.spaces.architecture import Architecture, Choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


BLOCK, GAP, BAND = 1.5, 0.55, 0.3
"""Inches: a block's width, the room between blocks, the height of one operation."""

MOST_BLOCKS, MOST_BANDS = 100, 30
"""Most blocks that are drawn, and most operations in one."""

SHADES = {"kernel": COLOURS[0], "norm": FAINT, "activation": COLOURS[2], "pool": COLOURS[1], "dropout": COLOURS[3]}
"""A colour for each kind of operation; other choices are black."""

WORDS: dict[str, Callable[[str], str]] = {
    "kernel": lambda size: f"conv {size}×{size}" if size.isdecimal() else f"conv {size}",
    "norm": lambda kind: f"{kind} norm",
    "activation": str,
    "pool": lambda kind: {"avg": "average", "max": "max"}.get(kind, kind) + " pool",
    "dropout": lambda rate: f"dropout {rate}",
}
"""How an operation is called in the picture; other choices appear as ``question: label``."""

NOTHING = {"dropout": {"0", "0.0"}, "norm": {"none"}, "pool": {"none"}, "activation": {"none", "identity"}}
"""Labels that stand for no operation."""


def draw_architecture(architecture: Architecture, title: str = "") -> Figure:
    """Draw an architecture, inputs on the left.

    Choices named ``place.question`` belong to the block of that place; those without a place hold for all blocks,
    and ``depth`` among them tells how many there are. A skip is an arrow over its block that joins before the
    activation.
    """
    blocks = _blocks(architecture)
    bands = {place: _bands(labels) for place, labels in blocks.items()}
    tallest = max((len(own) for own in bands.values()), default=1) * BAND
    above = (0.45 if title else 0.15) + (0.45 if any(map(_takes_skip, blocks.values())) else 0.1)
    width, height = 2.3 + len(blocks) * (BLOCK + GAP) + GAP, tallest + above + 0.55
    drawn = figure(width, height)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    middle = 0.5 + tallest / 2
    if title:
        axes.text(0.2, height - 0.32, label(title), fontsize=11, fontweight="bold", color=INK)
    left = 1.0 + GAP
    _stop(axes, 0.6, middle, "input")
    for place, labels in blocks.items():
        _arrow(axes, left - GAP if left > 1.0 + GAP else 0.87, left, middle)
        if _takes_skip(labels):
            _skip(axes, left, middle, 0.5 + tallest, _joint(bands[place], middle), labels["skip"])
        _block(axes, left, middle, place, bands[place])
        left += BLOCK + GAP
    _arrow(axes, left - GAP, left + 0.03, middle)
    _stop(axes, left + 0.45, middle, "classifier")
    return drawn


def _blocks(architecture: Architecture) -> dict[str, dict[str, str]]:
    """For each place, in natural order, its questions and labels."""
    common = {name: label for name, label in architecture.items() if "." not in name}
    depth = common.pop("depth", None)
    placed: dict[str, dict[str, str]] = {}
    for name in sorted((name for name in architecture if "." in name), key=natural):
        place, _, question = name.rpartition(".")
        placed.setdefault(place, {})[question] = architecture[name]
    if not placed:
        blocks = int(depth[:9]) if depth and depth.isdecimal() else 0
        places = [f"layer{i}" for i in range(1, min(blocks, MOST_BLOCKS) + 1)] or ["network"]
        placed = {place: {} for place in places}
    return {place: {**common, **own} for place, own in list(placed.items())[:MOST_BLOCKS]}


def _bands(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Text and colour of a block's operations in the order in which data passes them."""
    rest = dict(labels)
    rest.pop("skip", None)
    width = rest.pop("width", None)
    bands = []
    for question, word in WORDS.items():
        option = rest.pop(question, None)
        if option is None or option in NOTHING.get(question, set()):
            continue
        text = word(option)
        if question == "kernel" and width is not None:
            text, width = f"{text}, {width}", None
        bands.append((text, SHADES[question]))
    if width is not None:
        rest["width"] = width
    return (bands + [(f"{question}: {option}", INK) for question, option in rest.items()])[:MOST_BANDS]


def _takes_skip(labels: Mapping[str, str]) -> bool:
    return "skip" in labels and skips(Choice("skip", (labels["skip"],), "skip"), labels["skip"])


def _block(axes: Axes, left: float, middle: float, place: str, bands: list[tuple[str, str]]) -> None:
    """A frame with a band for each operation, the first on top, and the place's name below."""
    from matplotlib.patches import FancyBboxPatch, Rectangle

    height = max(len(bands), 1) * BAND
    low = middle - height / 2
    style = "round,pad=0,rounding_size=0.06"
    frame = FancyBboxPatch((left, low), BLOCK, height, boxstyle=style, facecolor="white", edgecolor="none")
    axes.add_patch(frame)
    for row, (text, colour) in enumerate(bands):
        bottom = low + height - (row + 1) * BAND
        band = Rectangle((left, bottom + 0.015), BLOCK, BAND - 0.03, facecolor=colour, alpha=0.16, edgecolor="none")
        edge = Rectangle((left, bottom + 0.015), 0.06, BAND - 0.03, facecolor=colour, edgecolor="none")
        for patch in (band, edge):
            axes.add_patch(patch)
            patch.set_clip_path(frame)
        size = min(8.5, 8.5 * 20 / len(label(text)))  # long texts of foreign spaces shrink to fit
        axes.text(left + 0.15, bottom + BAND / 2, label(text), fontsize=size, va="center", color=INK)
    axes.add_patch(
        FancyBboxPatch((left, low), BLOCK, height, boxstyle=style, facecolor="none", edgecolor=INK, linewidth=0.8)
    )
    name = re.sub(r"(\D)(\d+)$", r"\1 \2", place)
    axes.text(
        left + BLOCK / 2, low - 0.08, label(name), fontsize=8.5, va="top", ha="center", color=INK, fontweight="bold"
    )


def _arrow(axes: Axes, start: float, end: float, height: float) -> None:
    axes.annotate("", (end, height), (start, height), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 0.9,
                                                                  "shrinkA": 0, "shrinkB": 0})  # fmt: skip


def _joint(bands: list[tuple[str, str]], middle: float) -> float:
    """Height at which a skip joins: above the activation, or below all operations where there is none."""
    before = [colour for _, colour in bands].index(SHADES["activation"]) if _has_activation(bands) else len(bands)
    joint = middle + (len(bands) / 2 - before) * BAND
    return joint if abs(joint - middle) > BAND / 3 else middle + BAND / 3  # not onto the arrow that leaves the block


def _has_activation(bands: list[tuple[str, str]]) -> bool:
    return any(colour == SHADES["activation"] for _, colour in bands)


def _skip(axes: Axes, left: float, middle: float, top: float, joint: float, text: str) -> None:
    """An arrow from before a block over its top and back into it at the height ``joint``."""
    start, turn, above = left - GAP / 3, left + BLOCK + GAP / 3, top + 0.16
    axes.plot([start, start, turn, turn], [middle, above, above, joint], color=COLOURS[0], linewidth=1.2)
    axes.annotate("", (left + BLOCK, joint), (turn, joint), arrowprops={
        "arrowstyle": "-|>", "color": COLOURS[0], "lw": 1.2, "shrinkA": 0, "shrinkB": 0})  # fmt: skip
    axes.text(left + BLOCK / 2, above + 0.06, label(text), fontsize=8, ha="center", color=COLOURS[0])


def _stop(axes: Axes, centre: float, middle: float, text: str) -> None:
    """Where data comes from or goes to."""
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#F2F2F2", "edgecolor": FAINT, "linewidth": 0.8}
    axes.text(centre, middle, text, fontsize=9, ha="center", va="center", color=INK, bbox=box)
