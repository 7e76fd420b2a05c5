"""Random draws that a stopped and resumed study repeats exactly."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

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


class TrialGenerator:
    """Gives each trial a generator that is a function of the seed and the trial's number.

    So a resumed study draws what an uninterrupted one would have drawn, and parallel workers, which have trials of
    different numbers, never draw the same. Code that sets the state of ``rng`` for each trial gets these draws
    instead.

    Args:
        seed: of all draws; None takes one from the operating system.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self._own = self.rng.bit_generator.state

    def of(self, number: int, name: str = "") -> np.random.Generator:
        """The generator of one trial, or of one parameter in it."""
        state = self.rng.bit_generator.state
        if state != self._own:
            return self.rng
        return np.random.default_rng([state["state"]["state"], number, crc32(name.encode())])
