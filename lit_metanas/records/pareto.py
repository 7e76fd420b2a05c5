"""The Pareto front: what nothing else beats in every respect."""

from __future__ import annotations

from collections.abc import Sequence


def non_dominated(points: Sequence[Sequence[float]]) -> list[int]:
    """Indices, in ascending order, of the points that no other point dominates.

    A point dominates another if it is at least as large in every coordinate and larger in one. In descending
    lexicographic order a point can be dominated by earlier ones only, and then by one of the front so far.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: tuple(points[index]), reverse=True):
        if not any(_dominates(points[other], points[index]) for other in front):
            front.append(index)
    return sorted(front)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a >= b for a, b in zip(one, other, strict=True))
