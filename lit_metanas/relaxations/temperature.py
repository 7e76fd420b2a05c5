"""The temperature schedule that annealed relaxations share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LinearTemperature:
    """A temperature that goes linearly from ``start`` to ``end`` while progress goes from 0 to 1.

    Args:
        start: temperature at progress 0, above 0.
        end: temperature at progress 1, above 0.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        if self.start <= 0 or self.end <= 0:
            raise ValueError(f"Temperature from {self.start} to {self.end} is not positive: give numbers above 0.")

    def __call__(self, progress: float) -> float:
        """The temperature at ``progress``; values outside [0, 1] count as the nearer end."""
        return self.start + (self.end - self.start) * min(max(progress, 0.0), 1.0)
