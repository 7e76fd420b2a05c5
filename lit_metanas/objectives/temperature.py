"""Temperatures: what scores are divided by, so that their probabilities are right on new examples."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

SPREAD = 0.3
"""Standard deviation of the logarithm of a temperature before any example is seen."""

FEWEST_CALIBRATING = 10
"""Examples that a temperature is learned on; fewer would say nothing."""


def is_temperature(value: object) -> bool:
    """Whether something is a number above 0, as a temperature must be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def best_temperature(scores: Tensor, losses: Callable[[Tensor], Tensor]) -> float:
    """The temperature of the lowest log-loss on examples that the network has not learned from (Guo et al. 2017).

    Differs from the paper in that its logarithm has a normal prior around 0. Few examples say little, and look too
    well recognised if networks were chosen by them. It is found on a grid, to within a hundredth. One that lowers the
    log-loss by less than the standard error of that difference is left out, as it may be chance.

    Args:
        scores: of the examples, float64.
        losses: the log-loss of each example, shape ``(n,)``, by its scores.

    Returns:
        1 where there are too few examples.

    Guo, Pleiss, Sun, Weinberger. On Calibration of Modern Neural Networks. ICML 2017.
    """
    if len(scores) < FEWEST_CALIBRATING:
        return 1.0

    def best(logarithms: Tensor) -> float:
        found = [losses(scores / t.exp()).sum() + (t / SPREAD) ** 2 / 2 for t in logarithms]
        return float(logarithms[int(torch.stack(found).argmin())])

    rough = best(torch.linspace(-3, 3, 41, dtype=torch.float64))
    fine = best(torch.linspace(rough - 0.15, rough + 0.15, 31, dtype=torch.float64))
    temperature = round(math.exp(fine), 4)
    gains = losses(scores) - losses(scores / temperature)
    return 1.0 if gains.sum() < gains.std() * len(gains) ** 0.5 else temperature


def cooled(network: nn.Module, temperature: float) -> nn.Module:
    """A network whose scores are divided by a temperature."""
    return nn.Sequential(network, _Factor(1 / temperature))


class _Factor(nn.Module):
    """Scores times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, scores: Tensor) -> Tensor:
        """Of any shape."""
        return scores * self.factor
