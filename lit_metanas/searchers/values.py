"""Values of one Optuna parameter: any, another, or the ones next to a given one."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

STEPS = 10
"""Steps into which a range without steps of its own is cut, on a logarithmic scale where it has one."""


def any_value(distribution: BaseDistribution, generator: np.random.Generator) -> Any:
    """Draw uniformly, on a logarithmic scale where the distribution has one."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(generator.integers(len(distribution.choices)))]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if (number := _positions(distribution)) is not None:
        return _at(distribution, int(generator.integers(number)))
    half = 0.5 if isinstance(distribution, IntDistribution) else 0.0  # as much room for the ends as for the others
    if distribution.log:
        return _clipped(
            distribution, exp(generator.uniform(log(distribution.low - half), log(distribution.high + half)))
        )
    return _clipped(distribution, generator.uniform(distribution.low, distribution.high))


def other_value(distribution: BaseDistribution, value: Any, generator: np.random.Generator) -> Any:
    """Draw as ``any_value`` among the values that differ from ``value``; there must be one."""
    assert not distribution.single()
    if isinstance(distribution, CategoricalDistribution):
        place = int(generator.integers(len(distribution.choices) - 1))
        return distribution.choices[place + (place >= distribution.to_internal_repr(value))]
    other = value
    while other == value:
        other = any_value(distribution, generator)
    return other


def next_values(distribution: BaseDistribution, value: Any) -> list[Any]:
    """All other labels of a categorical parameter; one step down and one up of a number, within its range."""
    if isinstance(distribution, CategoricalDistribution):
        own = distribution.to_internal_repr(value)
        return [choice for place, choice in enumerate(distribution.choices) if place != own]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if (number := _positions(distribution)) is not None:
        assert distribution.step is not None
        place = round((value - distribution.low) / distribution.step)
        return [_at(distribution, near) for near in (place - 1, place + 1) if 0 <= near < number]
    if distribution.log:
        factor = (distribution.high / distribution.low) ** (1 / STEPS)
        down, up = value / factor, value * factor
    else:
        width = (distribution.high - distribution.low) / STEPS
        down, up = value - width, value + width
    if isinstance(distribution, IntDistribution):
        down, up = min(down, value - 1), max(up, value + 1)
    return [near for near in (_clipped(distribution, down), _clipped(distribution, up)) if near != value]


def _positions(distribution: IntDistribution | FloatDistribution) -> int | None:
    """Number of values of a range that has steps."""
    if distribution.log or distribution.step is None:
        return None
    return round((distribution.high - distribution.low) / distribution.step) + 1


def _at(distribution: IntDistribution | FloatDistribution, place: int) -> int | float:
    assert distribution.step is not None
    return min(distribution.low + place * distribution.step, distribution.high)


def _clipped(distribution: IntDistribution | FloatDistribution, value: float) -> int | float:
    value = min(max(value, distribution.low), distribution.high)
    return round(value) if isinstance(distribution, IntDistribution) else float(value)
