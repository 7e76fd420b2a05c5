"""A picture of an architecture: one block for each layer, from left to right."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, figure, label, natural
from lit_metanas.callbacks.skips import ABSENT
from lit_metanas.inputs.shapes import Shape, describe_shape
from lit_metanas.io.text import number_of
from lit_metanas.spaces.any_input import SolvedModels, linear_space_of
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import ChoiceSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


BLOCK, GAP, BAND = 1.5, 0.55, 0.3  # inches: a block's width, the room between blocks, the height of one operation

SKIP_ROOM, NAME_ROOM, NOTE_ROOM = 0.35, 0.5, 0.13
"""Inches: the room of a skip above a block, that of a name below it, and the height of a line of small text."""

MOST_BLOCKS, MOST_BANDS = 100, 30  # most blocks that are drawn, and most operations in one

SHADES = {
    "kernel": COLOURS[0], "operation": COLOURS[0], "norm": FAINT, "activation": COLOURS[2], "pool": COLOURS[1],
    "dropout": COLOURS[3],
}  # fmt: skip
"""A colour for each kind of operation; other choices are black."""

WORDS: dict[str, Callable[[str], str]] = {
    "kernel": lambda size: f"conv {size}×{size}" if size.isdecimal() else f"conv {size}",
    "operation": lambda kind: kind.replace("_", " "),
    "norm": lambda kind: f"{kind} norm",
    "activation": str,
    "pool": lambda kind: {"avg": "average", "max": "max"}.get(kind, kind) + " pool",
    "dropout": lambda rate: f"dropout {rate}",
}
"""Names of operations in the picture; other choices appear as ``question: label``."""

NOTHING = {"dropout": {"0", "0.0"}, "norm": {"none"}, "pool": {"none"}, "activation": {"none", "identity"}}
"""Labels that mean no operation."""

USUAL_ORDER = ("kernel", "operation", "width", "norm", "skip", "activation", "pool", "dropout")
"""The questions of a layer whose space sets no order."""


class _Block(NamedTuple):
    """A block: its name, operations as text and colour, the label of its skip, and the bands before the skip's end."""

    name: str
    bands: list[tuple[str, str]]
    skip: str = ""
    joins: int = 0

    @property
    def height(self) -> float:
        """The height in inches."""
        return max(len(self.bands), 1) * BAND


def draw_architecture(
    architecture: Architecture,
    title: str = "",
    *,
    space: type[ChoiceSpace] = ChoiceSpace,
    linear: Architecture | None = None,
    shape: Shape | None = None,
    outputs: int = 0,
) -> Figure:
    """Draw an architecture, inputs on the left; ``linear`` is a model whose scores are averaged with its own."""
    # Choices named `place.question` belong to the block of that place. The others hold for all layers; `depth` is their
    # number. `shape` None and `outputs` 0 are unknown.
    lanes, last = [_blocks(architecture, space)], 0.0
    if linear is not None:
        lanes, last = [*lanes, _blocks(linear, type(linear_space_of(linear)))], 1.1
    given: list[str] = []
    if shape:
        given = textwrap.wrap(describe_shape(shape), 14)
    tall = [max(block.height for block in lane) for lane in lanes]
    above = [0.1 + SKIP_ROOM * any(block.skip for block in lane) for lane in lanes]
    below = [max(NAME_ROOM, 0.3 + NOTE_ROOM * len(given) - own / 2) for own in tall]
    right = 1.0 + GAP + max(map(len, lanes)) * (BLOCK + GAP)
    width = right + 0.75 + GAP + last
    head = 0.2 + 0.3 * bool(title)
    height = head + sum(map(sum, zip(tall, above, below, strict=True)))
    drawn = figure(width, height)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    if title:
        axes.text(0.2, height - 0.32, label(title), fontsize=11, fontweight="bold", color=INK)
    top, middles = height - head, []
    last_box = "classifier" if outputs != 1 else "output"  # which is a number
    scores = [number_of(outputs, "output")] if outputs else ()
    for lane, own, over, under in zip(lanes, tall, above, below, strict=True):
        middles.append(top - over - own / 2)
        _stop(axes, 0.6, middles[-1], "input", given)
        _lane(axes, lane, right, middles[-1], top - over)
        _stop(axes, right + 0.45, middles[-1], last_box, scores)
        top -= own + over + under
        given = []  # only the first lane shows the input's shape
    if linear is not None:
        centre = sum(middles) / len(middles)
        for middle in middles:
            _arrow(axes, (right + 0.84, middle), (right + 1.35, centre))
        _stop(axes, right + 1.6, centre, "mean")
    return drawn


def _lane(axes: Axes, blocks: Sequence[_Block], right: float, middle: float, top: float) -> None:
    """Blocks from the input to the classifier at ``right``, with arrows between; ``top`` is that of the tallest."""
    left, before = 1.0 + GAP, 0.87
    for block in blocks:
        _arrow(axes, (before, middle), (left, middle))
        if block.skip:
            joint = middle + block.height / 2 - block.joins * BAND
            if abs(joint - middle) <= BAND / 3:
                joint = middle + BAND / 3  # not onto the arrow that leaves
            _skip(axes, left, middle, top, joint, block.skip)
        _block(axes, left, middle, block)
        left += BLOCK + GAP
        before = left - GAP
    _arrow(axes, (left - GAP, middle), (right + 0.03, middle))


def _blocks(architecture: Architecture, space: type[ChoiceSpace]) -> list[_Block]:
    """The layers or places in natural order, and the choices that belong to no layer."""
    common = {name: option for name, option in architecture.items() if "." not in name}
    depth = common.pop("depth", None)
    placed: dict[str, dict[str, str]] = {}
    for name in sorted((name for name in architecture if "." in name), key=natural):
        place, _, question = name.rpartition(".")
        placed.setdefault(place, {})[question] = architecture[name]
    if not placed and depth is not None and depth.isdecimal():
        placed = {f"layer{place}": {} for place in range(1, min(int(depth[:9]), MOST_BLOCKS) + 1)}
        if not placed:
            return [_Block("depth0", [("no layers: linear", INK)])]
    if not placed:
        name = "linear model" if issubclass(space, SolvedModels) else "network"
        return [_layer(name, common, ())]
    known = space.layer_questions
    within = {name: option for name, option in common.items() if name in known or not known}
    found = []
    for number, (place, own) in enumerate(list(placed.items())[:MOST_BLOCKS], start=1):
        shared = {name: option for name, option in within.items() if name != "skip" or number >= space.first_skip}
        found.append(_layer(place, {**shared, **own}, known))
    if behind := {name: option for name, option in common.items() if name not in within}:
        found.append(_layer("behind the layers", behind, ()))
    return found


def _layer(name: str, labels: Mapping[str, str], order: Sequence[str]) -> _Block:
    """A block of the operations in the given or usual order, then the others, and skips last."""
    order = order or USUAL_ORDER
    rest = sorted((question for question in labels if question not in order), key=lambda each: each == "skip")
    bands: list[tuple[str, str]] = []
    skip, joins, last = "", 0, ""
    for question in (*(each for each in order if each in labels), *rest):
        option = labels[question]
        if question == "skip":
            skip, joins = "" if option.lower() in ABSENT else option, len(bands)
        elif question == "width" and last in ("kernel", "operation"):
            bands[-1] = (f"{bands[-1][0]}, {option}", bands[-1][1])
        elif option not in NOTHING.get(question, ()):
            text = WORDS[question](option) if question in WORDS else f"{question}: {option}"
            bands.append((text, SHADES.get(question, INK)))
        last = question
    return _Block(name, bands[:MOST_BANDS], skip, min(joins, MOST_BANDS))


def _block(axes: Axes, left: float, middle: float, block: _Block) -> None:
    """A frame with a band for each operation, the first on top, and the block's name below."""
    from matplotlib.patches import Rectangle

    height = block.height
    low = middle - height / 2
    for row, (text, colour) in enumerate(block.bands):
        bottom = low + height - (row + 1) * BAND
        axes.add_patch(Rectangle((left, bottom), BLOCK, BAND, facecolor=colour, alpha=0.16, edgecolor="none"))
        size = min(8.5, 8.5 * 20 / len(label(text)))  # long texts of foreign spaces shrink to fit
        axes.text(left + 0.15, bottom + BAND / 2, label(text), fontsize=size, va="center", color=INK)
    axes.add_patch(Rectangle((left, low), BLOCK, height, facecolor="none", edgecolor=INK, linewidth=0.8))
    name = re.sub(r"(\D)(\d+)$", r"\1 \2", block.name)
    axes.text(
        left + BLOCK / 2, low - 0.08, label(name), fontsize=8.5, va="top", ha="center", color=INK, fontweight="bold"
    )


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, color: str = INK, width: float = 0.9
) -> None:
    head = {"arrowstyle": "-|>", "color": color, "lw": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=head)


def _skip(axes: Axes, left: float, middle: float, top: float, joint: float, text: str) -> None:
    """An arrow from before a block over its top and back into it at the height ``joint``."""
    start, turn, above = left - GAP / 3, left + BLOCK + GAP / 3, top + 0.16
    axes.plot([start, start, turn, turn], [middle, above, above, joint], color=COLOURS[0], linewidth=1.2)
    _arrow(axes, (turn, joint), (left + BLOCK, joint), color=COLOURS[0], width=1.2)
    axes.text(left + BLOCK / 2, above + 0.06, label(text), fontsize=8, ha="center", color=COLOURS[0])


def _stop(axes: Axes, centre: float, middle: float, text: str, notes: Sequence[str] = ()) -> None:
    """The start or end of the data's path, with lines of small text below."""
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#F2F2F2", "edgecolor": FAINT, "linewidth": 0.8}
    axes.text(centre, middle, text, fontsize=9, ha="center", va="center", color=INK, bbox=box)
    for row, note in enumerate(notes):
        axes.text(centre, middle - 0.24 - row * NOTE_ROOM, note, fontsize=7.5, ha="center", va="center", color=FAINT)
