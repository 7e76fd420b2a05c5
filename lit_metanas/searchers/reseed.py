"""Samplers that draw the same in a resumed study as in an uninterrupted one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from optuna.samplers import BaseSampler


def reseed(sampler: BaseSampler, *numbers: int) -> None:
    """Set every random generator of a sampler, and of the samplers inside it, from numbers such as (seed, trial).

    Optuna does not store a sampler's generator, and its own ``reseed_rng`` seeds from the operating system.
    """
    sequence = np.random.SeedSequence(numbers)
    for child, generator in zip(sequence.spawn(len(found := list(_generators(sampler, set())))), found, strict=True):
        if isinstance(generator, np.random.RandomState):
            generator.seed(child.generate_state(4))
        else:
            generator.bit_generator.state = type(generator.bit_generator)(child).state


def _generators(value: object, seen: set[int]) -> Iterator[np.random.RandomState | np.random.Generator]:
    """Walk the attributes of a sampler, in their order, for numpy's generators."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.random.RandomState | np.random.Generator):
        yield value
    elif isinstance(value, BaseSampler):
        for attribute in vars(value).values():
            yield from _generators(attribute, seen)
    else:  # Optuna wraps its generator into an object with a property that makes it at first use
        inner = getattr(value, "rng", None)
        if isinstance(inner, np.random.RandomState | np.random.Generator):
            yield from _generators(inner, seen)
