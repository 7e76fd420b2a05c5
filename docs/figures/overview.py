"""The project in one picture: many small tasks, a prior that is learned from them, a network for a new task."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lit_metanas.kinds import Glyphs
from lit_metanas.tasks import draw_episode

BLUE, GREY, INK = "#0072B2", "#8a8a8a", "#222222"
SHADES = {"3": "#0072B2", "5": "#56B4E9", "7": "#c9dff0"}
BLOCK = (("conv 3×3", "#d6e8f2"), ("batch norm", "#ececec"), ("ReLU", "#d5efe6"), ("max pool", "#f8e4d4"))


def draw() -> Figure:
    """Draw the three parts; the probabilities are those of a meta-search of half a minute."""
    figure = plt.figure(figsize=(9.6, 3.3))
    _title(figure, 0.015, "1  Meta-train on many small tasks")
    _title(figure, 0.375, "2  Learn what to prefer")
    _title(figure, 0.705, "3  Get a network for a new task")
    _tasks(figure)
    _probabilities(figure)
    _network(figure)
    for left in (0.302, 0.655):
        arrow = FancyArrowPatch(
            (left, 0.5),
            (left + 0.03, 0.5),
            transform=figure.transFigure,
            arrowstyle="simple",
            mutation_scale=22,
            color=BLUE,
        )
        figure.add_artist(arrow)
    return figure


def _title(figure: Figure, left: float, text: str) -> None:
    figure.text(left, 0.93, text, fontsize=11, fontweight="bold", color=INK, va="center")


def _tasks(figure: Figure) -> None:
    """Three episodes of the embedded glyphs: five letters, two images each."""
    source = Glyphs()
    for number in range(3):
        episode = draw_episode(
            source, "train", seed=0, epoch=0, index=number, way=5, shot=1, query=1, within_group=True
        )
        bottom = 0.63 - 0.26 * number
        figure.add_artist(_box(figure, 0.012, bottom - 0.012, 0.28, 0.23))
        for place in range(5):
            for row, split in enumerate((episode.support, episode.query)):
                axes = figure.add_axes((0.02 + 0.054 * place, bottom + 0.105 * (1 - row), 0.048, 0.1))
                axes.imshow(split.inputs[place, 0], cmap="gray_r")
                axes.axis("off")


def _probabilities(figure: Figure) -> None:
    """How the probabilities of two choices moved over meta-training."""
    history = json.loads((Path(__file__).parent / "probabilities.json").read_text(encoding="utf-8"))
    steps = [0, *(moment["step"] for moment in history["moments"])]
    for place, name in enumerate(("kernel", "activation", "pool")):
        labels = history["labels"][name]
        rows = [[1 / len(labels)] * len(labels), *(moment["probabilities"][name] for moment in history["moments"])]
        axes = figure.add_axes((0.425, 0.645 - 0.26 * place, 0.215, 0.205))
        shares = [[row[label] for row in rows] for label in range(len(labels))]
        axes.stackplot(steps, shares, colors=list(SHADES.values()), edgecolor="white", linewidth=0.8)
        axes.set(xlim=(0, steps[-1]), ylim=(1, 0), xticks=[], yticks=[])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
        for side in axes.spines.values():
            side.set_visible(False)
        middle = 0.0
        for label, share in zip(labels, rows[-1], strict=True):
            if share > 0.25:
                axes.text(
                    steps[-1] * 0.98, middle + share / 2, label, ha="right", va="center", color="white", fontsize=8.5
                )
            middle += share
    figure.text(0.5325, 0.07, "probability of each candidate\nover meta-training", ha="center", color=GREY, va="center")


def _network(figure: Figure) -> None:
    """The network that is chosen: four equal layers."""
    axes: Axes = figure.add_axes((0.705, 0.14, 0.29, 0.72))
    axes.set(xlim=(0, 4.3), ylim=(-1.1, 4.2))
    axes.axis("off")
    for layer in range(4):
        left = 0.12 + 1.05 * layer
        for row, (label, colour) in enumerate(BLOCK):
            axes.add_patch(plt.Rectangle((left, 3.2 - row), 0.86, 0.9, facecolor=colour, edgecolor="white"))
            axes.text(left + 0.43, 3.65 - row, label, ha="center", va="center", fontsize=6.2, color=INK)
        if layer:
            axes.annotate("", (left, 2.15), (left - 0.19, 2.15), arrowprops={"arrowstyle": "-|>", "color": INK})
    axes.text(
        2.15,
        -0.55,
        "architecture, weights, exported program",
        ha="center",
        va="center",
        color=GREY,
    )


def _box(figure: Figure, left: float, bottom: float, width: float, height: float) -> FancyBboxPatch:
    return FancyBboxPatch(
        (left, bottom),
        width,
        height,
        transform=figure.transFigure,
        boxstyle="round,pad=0,rounding_size=0.01",
        facecolor="none",
        edgecolor="#c8c8c8",
    )
