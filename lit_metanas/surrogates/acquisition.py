"""The acquisition function: expected improvement over the best score."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, pi, sqrt

import torch
from torch import Tensor

SHORTLIST = 1024
"""Architectures that are looked at first."""


def log_expected_improvement(mean: Tensor, deviation: Tensor, best: float) -> Tensor:
    """``ln E[max(f - best, 0)]`` for ``f ~ N(mean, deviation²)``, right where the expectation itself underflows.

    Ament et al. (2023), "Unexpected improvements to expected improvement", Equation 9: with ``z = (mean - best) /
    deviation`` it is ``ln deviation + ln(φ(z) + z Φ(z))``, the last for ``z <= -1`` by the scaled complementary error
    function.

    Args:
        mean: any shape.
        deviation: of the same shape, positive.
        best: the score to improve on.

    Returns:
        Of the same shape.
    """
    z = (mean - best) / deviation
    return deviation.log() + _log_h(z)


def by_improvement(mean: Tensor, deviation: Tensor, best: float) -> Iterator[int]:
    """Places in the order of their expected improvement, the largest first; the earlier of equals.

    Of many it looks first at those of the largest ``z``: what is left cannot be better than the largest deviation and
    the next ``z`` make it.

    Args:
        mean: shape ``(n,)``.
        deviation: of the same shape, positive.
        best: the score to improve on.
    """
    short: list[int] = []
    if len(mean) > 2 * SHORTLIST:
        z = (mean - best) / deviation
        top, places = z.topk(SHORTLIST)
        places = places.sort().values
        values = log_expected_improvement(mean[places], deviation[places], best)
        bound = deviation.max().log() + _log_h(top[-1])
        order = values.argsort(descending=True, stable=True)
        short = places[order[values[order] > bound]].tolist()
        yield from short
    known = set(short)
    for place in log_expected_improvement(mean, deviation, best).argsort(descending=True, stable=True).tolist():
        if place not in known:
            yield place


def _log_h(z: Tensor) -> Tensor:
    """``ln(φ(z) + z Φ(z))``."""
    high = z.clamp(min=-1)
    direct = (torch.exp(-(high**2) / 2) / sqrt(2 * pi) + high * torch.special.ndtr(high)).log()
    low = z.clamp(min=-1e4, max=-1)
    ratio = sqrt(pi / 2) * torch.special.erfcx(-low / sqrt(2)) * low.abs()  # |z| Φ(z) / φ(z), which grows to 1
    scaled = -(low**2) / 2 - log(2 * pi) / 2 + torch.log1p(-ratio)
    # 1 - ratio -> 1 / z²: beyond this the difference has no digits left.
    far = z.clamp(max=-1)
    limit = -(far**2) / 2 - log(2 * pi) / 2 - 2 * far.abs().log() + torch.log1p(-3 / far**2 + 15 / far**4)
    return torch.where(z > -1, direct, torch.where(z > -300, scaled, limit))
