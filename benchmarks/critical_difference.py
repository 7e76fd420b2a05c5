"""Methods compared over data sets by their ranks, after Demšar 2006: tests, and a diagram of critical differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, f, rankdata, studentized_range, wilcoxon

from lit_metanas.callbacks.figures import INK, figure, save

LEVEL = 0.05


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of methods over data sets, 1 for the best, and what tests say of them.

    Attributes:
        means: of each method.
        data_sets: their number.
        statistic: Friedman's, of ``methods - 1`` degrees of freedom.
        chance: how probable one as large is where all methods are equally good.
        less_conservative: Iman and Davenport's statistic, and how probable one as large is.
        critical: Nemenyi's critical difference of mean ranks at ``LEVEL``.
    """

    means: Mapping[str, float]
    data_sets: int
    statistic: float
    chance: float
    less_conservative: tuple[float, float]
    critical: float


def ranks_of(scores: Mapping[str, Sequence[float]]) -> Ranks:
    """Rank the methods on each data set; equal ones share the mean of their ranks.

    Args:
        scores: of each method, the higher the better, one a data set, in the same order.
    """
    values = np.array(list(scores.values()))
    methods, number = values.shape
    means: NDArray[np.float64] = rankdata(-values, axis=0).mean(1)
    square = 12 * number / (methods * (methods + 1)) * (float((means**2).sum()) - methods * (methods + 1) ** 2 / 4)
    rest = number * (methods - 1) - square
    ratio = (number - 1) * square / rest if rest > 0 else inf
    return Ranks(
        dict(zip(scores, means.tolist(), strict=True)),
        number,
        square,
        float(chi2.sf(square, methods - 1)),
        (ratio, float(f.sf(ratio, methods - 1, (methods - 1) * (number - 1)))),
        critical_difference(methods, number),
    )


def critical_difference(methods: int, data_sets: int) -> float:
    """By how much mean ranks of two methods must differ (Nemenyi 1963; Demšar 2006, section 3.2.2)."""
    quantile = float(studentized_range.ppf(1 - LEVEL, methods, inf)) / sqrt(2)
    return quantile * sqrt(methods * (methods + 1) / (6 * data_sets))


def holm(chances: Sequence[float]) -> list[float]:
    """Probabilities of several tests, corrected for their number (Holm 1979), in the order in which they came."""
    corrected, least = [0.0] * len(chances), 0.0
    for done, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        least = max(least, min(1.0, (len(chances) - done) * chances[place]))
        corrected[place] = least
    return corrected


def against(scores: Mapping[str, Sequence[float]], method: str) -> dict[str, float]:
    """Of each other method, Holm's probability that it is as good as ``method`` (Wilcoxon's signed ranks, 1945)."""
    others = [name for name in scores if name != method]
    chances = []
    for name in others:
        differences = np.subtract(scores[method], scores[name])
        chances.append(float(wilcoxon(differences).pvalue) if differences.any() else 1.0)
    return dict(zip(others, holm(chances), strict=True))


def wins_and_losses(mine: Sequence[float], theirs: Sequence[float]) -> tuple[int, int, int]:
    """On how many data sets the first is better, equal and worse."""
    differences = np.subtract(mine, theirs)
    return int((differences > 0).sum()), int((differences == 0).sum()), int((differences < 0).sum())


def not_told_apart(ranks: Ranks) -> list[tuple[str, ...]]:
    """The largest groups of methods whose mean ranks differ by less than the critical difference, the best first."""
    ordered = sorted(ranks.means, key=ranks.means.__getitem__)
    groups = [
        tuple(ordered[first : last + 1])
        for first, last in combinations(range(len(ordered)), 2)
        if ranks.means[ordered[last]] - ranks.means[ordered[first]] < ranks.critical
    ]
    return [group for group in groups if not any(set(group) < set(other) for other in groups)]


def draw(ranks: Ranks, path: Path, title: str) -> None:
    """Methods on an axis of mean ranks, the best on the left; a bar joins those that the test cannot distinguish."""
    ordered = sorted(ranks.means, key=ranks.means.__getitem__)
    groups, most = not_told_apart(ranks), len(ordered)
    half = (most + 1) // 2
    below = 0.35 + 0.22 * len(groups)
    drawn = figure(7.2, 1.5 + 0.22 * len(groups) + 0.26 * half)
    axes = drawn.add_axes((0.02, 0.02, 0.96, 0.84))
    axes.set_xlim(1 - 0.6 * (most - 1), most + 0.6 * (most - 1))
    axes.set_ylim(-(below + 0.4 * half), 1.0)
    axes.axis("off")
    drawn.text(0.5, 0.93, title, ha="center", fontsize=10, color=INK)
    axes.plot([1, most], [0, 0], color=INK, linewidth=1)
    for place in range(1, most + 1):
        axes.plot([place, place], [0, 0.1], color=INK, linewidth=1)
        axes.text(place, 0.16, str(place), ha="center", fontsize=8, color=INK)
    axes.plot([1, 1 + ranks.critical], [0.72, 0.72], color=INK, linewidth=1.6)
    axes.text(1 + ranks.critical + 0.05, 0.72, f"critical difference {ranks.critical:.2f}", va="center", fontsize=8)
    for place, group in enumerate(groups):
        low, high = (ranks.means[group[end]] for end in (0, -1))
        height = -0.2 - 0.22 * place
        axes.plot([low - 0.04, high + 0.04], [height] * 2, color=INK, linewidth=3.5, solid_capstyle="butt")
    for place, name in enumerate(ordered):
        left, mean = place < half, ranks.means[name]
        row = place if left else most - 1 - place
        height = -(below + 0.4 * row)
        edge = 1 - 0.08 * (most - 1) if left else most + 0.08 * (most - 1)
        axes.plot([mean, mean, edge], [0, height, height], color=INK, linewidth=0.8)
        label = f"{name}  {mean:.2f} " if left else f" {mean:.2f}  {name}"
        axes.text(edge, height, label, ha="right" if left else "left", va="center", fontsize=9, color=INK)
    save(drawn, path)
