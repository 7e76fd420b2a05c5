"""Draws of the Gumbel-softmax over three candidates, at three temperatures, and the plain softmax."""

from __future__ import annotations

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_metanas.relaxations import GumbelSoftmax, Softmax

LOGITS = torch.tensor([1.0, 0.3, -0.6])
CORNERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])


def draw() -> Figure:
    """Draw 400 gates of one choice at each temperature as points of the simplex."""
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.0), layout="constrained")
    generator = torch.Generator().manual_seed(0)
    for panel, temperature in zip(axes, (5.0, 1.0, 0.1), strict=True):
        relaxation = GumbelSoftmax(start=temperature, end=temperature)
        noises = [relaxation.draw_noise({"kernel": LOGITS}, generator) for _ in range(400)]
        gates = torch.stack([relaxation({"kernel": LOGITS}, noise, 0.0)["kernel"].weights for noise in noises])
        _simplex(panel, gates @ CORNERS, f"τ = {temperature:g}")
        mean = Softmax(temperature=temperature)({"kernel": LOGITS}, {}, 0.0)["kernel"].weights @ CORNERS
        panel.plot(*mean, marker="X", color="#D55E00", markersize=9, markeredgecolor="white")
    return figure


def _simplex(axes: Axes, points: torch.Tensor, title: str) -> None:
    axes.fill(*CORNERS.T, facecolor="#f4f4f4", edgecolor="#8a8a8a")
    axes.scatter(*points.T, s=7, color="#0072B2", alpha=0.35, linewidths=0)
    for corner, label, shift in zip(CORNERS, ("3×3", "5×5", "7×7"), ((-5, -12), (5, -12), (0, 6)), strict=True):
        axes.annotate(label, corner.tolist(), shift, textcoords="offset points", ha="center")
    axes.set(xlim=(-0.14, 1.14), ylim=(-0.16, 1.0), aspect="equal", title=title)
    axes.axis("off")
