"""Random draws that a stopped and resumed study repeats exactly."""

from __future__ import annotations

from zlib import crc32

import numpy as np


class TrialGenerator:
    """Gives each trial a generator that is a function of the seed and the trial's number.

    So a resumed study draws what an uninterrupted one would have drawn, and parallel workers, which have trials of
    different numbers, never draw the same. Whoever sets the state of ``rng`` for each trial anew has these draws
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
