"""Outer gradients of MAML, FOMAML and Reptile on two quadratic tasks."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

Vector = NDArray[np.float64]

START: Vector = np.array([0.55, 2.3])
RATE, STEPS = 0.16, 4
TASKS: tuple[tuple[Vector, Vector], ...] = (
    (np.array([-1.6, 0.0]), np.array([[4.6, 1.4], [1.4, 1.0]])),
    (np.array([1.9, 0.1]), np.array([[0.6, 0.0], [0.0, 2.4]])),
)
"""Minimum and curvature of each task: the loss is half of (x - minimum)' curvature (x - minimum)."""
COLOURS = ("#0072B2", "#009E73")


def adapted(minimum: Vector, curvature: Vector) -> Vector:
    """The way of the inner loop, shape ``(STEPS + 1, 2)``."""
    way = [START]
    for _ in range(STEPS):
        way.append(way[-1] - RATE * curvature @ (way[-1] - minimum))
    return np.array(way)


def directions() -> dict[str, Vector]:
    """Minus the outer gradient of each method, the mean over both tasks."""
    found: dict[str, list[Vector]] = {"MAML": [], "FOMAML": [], "Reptile": []}
    for minimum, curvature in TASKS:
        end = adapted(minimum, curvature)[-1]
        gradient = curvature @ (end - minimum)
        found["FOMAML"].append(-gradient)
        found["MAML"].append(-np.linalg.matrix_power(np.eye(2) - RATE * curvature, STEPS) @ gradient)
        found["Reptile"].append(end - START)
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def draw() -> Figure:
    """Draw the tasks' losses, the ways of adaptation, and the directions of the outer step."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    grid = np.stack(np.meshgrid(np.linspace(-3.2, 4.2, 200), np.linspace(-1.3, 3.2, 200)), axis=-1)
    for number, ((minimum, curvature), colour) in enumerate(zip(TASKS, COLOURS, strict=True), 1):
        away = grid - minimum
        loss = 0.5 * np.einsum("...i,ij,...j", away, curvature, away)
        axes.contour(grid[..., 0], grid[..., 1], loss, levels=[0.1, 0.4, 1, 2], colors=colour, alpha=0.35, linewidths=1)
        axes.plot(
            *adapted(minimum, curvature).T, "o-", color=colour, markersize=3.5, label=f"inner loop on task {number}"
        )
        axes.plot(*minimum, "+", color=colour, markersize=10)
    for (name, vector), colour in zip(directions().items(), ("#D55E00", "#CC79A7", "#222222"), strict=True):
        tip = START + 1.1 * vector / np.linalg.norm(vector)
        axes.annotate(
            "", tip, START, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0}
        )
        axes.plot([], [], color=colour, linewidth=2, label=f"outer step of {name}")
    axes.plot(*START, "o", color="#222222", markersize=6)
    axes.annotate("φ", START, (6, 5), textcoords="offset points", fontsize=12)
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.legend(loc="lower left", fontsize=8, frameon=True)
    return figure
