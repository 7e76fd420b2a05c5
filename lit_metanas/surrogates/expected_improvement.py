"""The expected improvement of candidates over the best score so far."""

from __future__ import annotations

from math import log, pi, sqrt

import torch
from torch import Tensor


def log_expected_improvement(mean: Tensor, deviation: Tensor, best: float) -> Tensor:
    """``ln E[max(f - best, 0)]`` for ``f ~ N(mean, deviation²)``, exact even if the expectation underflows."""
    # Ament et al. (2023), "Unexpected improvements to expected improvement", Equation 9.
    z = (mean - best) / deviation
    return deviation.log() + _log_h(z)


def by_improvement(mean: Tensor, deviation: Tensor, best: float) -> list[int]:
    """Places in the order of their expected improvement, the largest first; the earlier of equals."""
    order: list[int] = log_expected_improvement(mean, deviation, best).argsort(descending=True, stable=True).tolist()
    return order


def _log_h(z: Tensor) -> Tensor:
    """``ln(φ(z) + z Φ(z))``."""
    high = z.clamp(min=-1)
    direct = (torch.exp(-(high**2) / 2) / sqrt(2 * pi) + high * torch.special.ndtr(high)).log()
    low = z.clamp(min=-1e4, max=-1)
    # |z| Φ(z) / φ(z), which grows to 1, by the scaled complementary error function
    ratio = sqrt(pi / 2) * torch.special.erfcx(-low / sqrt(2)) * low.abs()
    scaled = -(low**2) / 2 - log(2 * pi) / 2 + torch.log1p(-ratio)
    # 1 - ratio -> 1 / z²: beyond this the difference has no digits left.
    far = z.clamp(max=-1)
    limit = -(far**2) / 2 - log(2 * pi) / 2 - 2 * far.abs().log() + torch.log1p(-3 / far**2 + 15 / far**4)
    return torch.where(z > -1, direct, torch.where(z > -300, scaled, limit))
