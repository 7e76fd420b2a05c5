"""How a new task's process and an earlier task's expectation are averaged."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lit_metanas.surrogates.gaussian_process import GaussianProcess, GroupedKernel
from lit_metanas.surrogates.transfer import BANDWIDTH, OWN_WEIGHT, combine_predictions, discordance, evidence_weights

PLACES = torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
TRIED = torch.tensor([0.05, 0.3, 0.95], dtype=torch.float64)[:, None]


def truth(places: torch.Tensor) -> torch.Tensor:
    """The scores of the new task."""
    return (1.4 * torch.sin(4.2 * places - 0.9) - 0.5 * places)[:, 0]


def earlier(places: torch.Tensor) -> torch.Tensor:
    """What a related task expects."""
    return (1.2 * torch.sin(4.0 * places - 0.7) - 0.2 * places)[:, 0]


def draw() -> Figure:
    """Draw the weight of a source by its mistakes, and a prediction with and without a source that agrees."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.0), layout="constrained", width_ratios=(1, 1.7))
    shares = np.linspace(0, 0.5, 200)
    left.plot(shares, OWN_WEIGHT * np.clip(1 - (shares / BANDWIDTH) ** 2, 0, None), color="#0072B2", linewidth=2)
    left.axhline(OWN_WEIGHT, color="#8a8a8a", linestyle=":", linewidth=1)
    left.annotate(
        "weight of the task's own process",
        (0.5, OWN_WEIGHT),
        (0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )
    left.set(xlabel="share of pairs that the source orders wrongly", ylabel="its weight", ylim=(0, 0.9), xlim=(0, 0.5))
    kernel = GroupedKernel((1,), torch.tensor([1 / 6]))
    parameters = torch.tensor([0.8, 1.0, 0.01], dtype=torch.float64).log()
    own = GaussianProcess(kernel, parameters, TRIED, truth(TRIED))(PLACES)
    weights = evidence_weights(truth(TRIED), earlier(TRIED)[None])
    both = combine_predictions(own.mean, weights, earlier(PLACES)[None])
    wrong = float(discordance(truth(TRIED), earlier(TRIED)[None]))
    x = PLACES[:, 0]
    right.fill_between(x, own.mean - own.deviation, own.mean + own.deviation, color="#56B4E9", alpha=0.25, linewidth=0)
    right.plot(x, own.mean, color="#56B4E9", linewidth=2, label="the task's own process ± its deviation")
    right.plot(
        x,
        earlier(PLACES),
        color="#009E73",
        linestyle="--",
        label=f"an earlier task ({wrong:.0%} wrong, weight {float(weights):.2f})",
    )
    right.plot(x, both, color="#D55E00", linewidth=2, label="their weighted mean")
    right.plot(x, truth(PLACES), color="#222222", linewidth=1, linestyle=":", label="truth")
    right.plot(TRIED[:, 0], truth(TRIED), "o", color="#222222", markersize=5, label="scores so far")
    right.set(xlabel="architectures, along one feature", ylabel="score, standard units", xticks=[], ylim=(-3.6, 2.1))
    right.legend(fontsize=7.5, loc="lower left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
