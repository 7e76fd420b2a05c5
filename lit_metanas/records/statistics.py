"""Confidence intervals, Pareto fronts and their hyper-volume, and ranks as Gaussian quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev

import torch
from torch import Tensor

FEWEST_OF_INTERVAL = 3
"""Fewest test examples that give an interval: that of one or two spans nearly all scores or none, and says nothing."""

# Standard errors to either side of a mean within which a normal variable lies in 95 of 100 cases.
Z95 = 1.959964


@dataclass(frozen=True)
class Interval:
    """A mean with the half width of its 95 % confidence interval; NaN for a single value."""

    mean: float
    half: float


def t_interval(values: Sequence[float]) -> Interval:
    """Student's 95 % interval of the mean: ``t(0.975, n - 1) * s / sqrt(n)``."""
    count = len(values)
    if not count:
        raise ValueError("A mean needs at least one value: the list of scores is empty.")
    if count == 1:
        return Interval(values[0], math.nan)
    return Interval(fmean(values), t_quantile(0.975, count - 1) * stdev(values) / math.sqrt(count))


def wilson(share: float, number: int, z: float = Z95) -> float:
    """Half width of the 95 % confidence interval of a share of ``number`` examples (Wilson 1927)."""
    # Unlike the normal approximation it is not zero if all or none are right. A word accuracy can be below 0: as 0.
    share = min(max(share, 0.0), 1.0)
    return z * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2)) / (1 + z**2 / number)


def wilson_reach(share: float, number: int) -> float:
    """Distance from a share to the farther end of its 95 % interval (Wilson 1927)."""
    # The interval's middle is nearer to a half than the share is: for 20 of 20 right it is [83.9, 100] %, and `wilson`
    # alone would give [91.9, 100].
    share = min(max(share, 0.0), 1.0)
    middle = (share + Z95**2 / (2 * number)) / (1 + Z95**2 / number)
    return abs(middle - share) + wilson(share, number)


def clearly_above(score: float, other: float, number: int, *, errors: float = 1.0) -> bool:
    """Whether a score on ``number`` examples exceeds another one by so many of its standard errors, by ``wilson``."""
    return score - other >= wilson(other, number, z=errors)


def bounds(mean: float, half: float) -> tuple[float, float]:
    """Both ends of an interval; those of a share are cut at 0 and at 1; NaN without an interval."""
    low, high = mean - half, mean + half
    if 0 <= mean <= 1:
        return max(low, 0.0), min(high, 1.0)
    return low, high


def percent(mean: float, half: float = math.nan) -> str:
    """``71.3 ± 0.9``; ``68.0 [4.3, 100.0]`` where a share would leave 0 to 100; ``71.3`` without an interval."""
    low, high = bounds(mean, half)
    if math.isnan(half):
        return f"{100 * mean:.1f}"
    if (low, high) != (mean - half, mean + half):
        return f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * mean:.1f} ± {100 * half:.1f}"


@lru_cache(maxsize=256)
def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution for ``probability`` in [0.5, 1) and at least one degree of freedom."""
    # By bisection of the distribution's closed form (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    low, high = 0.0, 1.0
    while _central(high, freedom) < 2 * probability - 1:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if _central(middle, freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _central(t: float, freedom: int) -> float:
    """Probability that a variable of Student's distribution lies within ``t`` of zero."""
    theta = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(theta) ** 2
    odd = freedom % 2
    term = total = math.cos(theta) if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * (k - 1) / k
        total += term
    if freedom == 1:
        return 2 / math.pi * theta
    if odd:
        return 2 / math.pi * (theta + math.sin(theta) * total)
    return math.sin(theta) * total


def non_dominated(points: Sequence[Sequence[float]]) -> list[int]:
    """Indices, in ascending order, of the points that no other point dominates."""
    # In descending lexicographic order a point can be dominated by earlier ones only, and then by one of the front.
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: tuple(points[index]), reverse=True):
        if not any(_dominates(points[other], points[index]) for other in front):
            front.append(index)
    return sorted(front)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a >= b for a, b in zip(one, other, strict=True))


def rank_gaussian(scores: Tensor) -> Tensor:
    """Replace scores by the normal quantiles of their ranks, ``Φ⁻¹((rank - 1/2) / n)``; equal scores stay equal.

    Ties get the mean of their ranks (Conover and Iman, 1981, rank transformations; the quantiles are Hazen's).
    """
    if scores.dim() != 1:
        raise ValueError(f"Scores of one task are a vector, not a tensor of shape {tuple(scores.shape)}.")
    if bool(torch.isnan(scores).any()):
        raise ValueError("A score is not a number (NaN): leave out the architectures that were not scored.")
    _, places, counts = torch.unique(scores.double(), sorted=True, return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0).double() - (counts.double() - 1) / 2  # the mean of the ranks, from 1, of those that tie
    return torch.special.ndtri((ranks[places] - 0.5) / max(len(scores), 1))


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """The area that two-coordinate points dominate above a reference, larger is better (Zitzler and Thiele 1999)."""
    area, height = 0.0, reference[1]
    for x, y in sorted(points, reverse=True):
        if x > reference[0] and y > height:
            area += (x - reference[0]) * (y - height)
            height = y
    return area


def widest(points: Sequence[tuple[float, float]], number: int, reference: tuple[float, float]) -> list[int]:
    """Indices of at most ``number`` points, each of which adds the most hyper-volume to those before it."""
    chosen: list[int] = []
    while len(chosen) < number:
        taken = [points[place] for place in chosen]
        areas = [hypervolume([*taken, point], reference) for point in points]
        best = max(range(len(points)), key=areas.__getitem__, default=0)
        if not points or areas[best] <= hypervolume(taken, reference):
            break
        chosen.append(best)
    return chosen


def forecast(curve: list[tuple[float, float]], trained: float) -> float:
    """The score of a network after more training, by a power law of its error (Hestness et al. 2017)."""
    # The error, 1 minus the score, goes on as a straight line of logarithms through the last two points.
    (before, low), (now, value) = curve[-2:] if len(curve) > 1 else curve * 2
    if not (0 < before < now < trained and low < value < 1):
        return value
    slope = math.log((1 - value) / (1 - low)) / math.log(now / before)
    return float(1 - (1 - value) * (trained / now) ** slope)
