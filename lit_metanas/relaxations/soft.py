"""Soft relaxations: all candidates are computed and mixed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lit_metanas.relaxations.relaxation import ChoicewiseRelaxation, hard, perturbed, probabilities
from lit_metanas.spaces.supernet import Gate


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


class Softmax(ChoicewiseRelaxation):
    """Mix all candidates by the softmax of their logits (Liu et al. 2019, DARTS, Eq. 2).

    Args:
        temperature: divides the logits; smaller is closer to one candidate.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        if temperature <= 0:
            raise ValueError(f"Softmax temperature {temperature} is not positive: give a number above 0.")
        self.temperature = temperature

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Mix; ``noise`` and ``progress`` are not used."""
        del noise, progress
        return Gate(probabilities(logits, self.temperature))


class AnnealedSoftmax(ChoicewiseRelaxation):
    """Mix all candidates by a softmax whose temperature falls linearly (Elsken et al. 2020, MetaNAS, Section 3.3).

    An inner loop that restarts progress for every task gives MetaNAS's soft pruning: nearly one candidate is left
    when the task is learned.

    Args:
        start: temperature at progress 0.
        end: temperature at progress 1.
    """

    def __init__(self, *, start: float = 1.0, end: float = 0.1) -> None:
        self.start = start
        self.end = end
        self.temperature = LinearTemperature(start, end)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Mix; ``noise`` is not used."""
        del noise
        return Gate(probabilities(logits, self.temperature(progress)))


class GumbelSoftmax(ChoicewiseRelaxation):
    """Mix by the softmax of logits plus Gumbel noise (Jang et al. 2017, Eq. 2; Xie et al. 2019, SNAS).

    Args:
        start: temperature at progress 0.
        end: temperature at progress 1.
    """

    def __init__(self, *, start: float = 1.0, end: float = 0.1) -> None:
        self.start = start
        self.end = end
        self.temperature = LinearTemperature(start, end)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Mix all candidates."""
        return Gate(torch.softmax(perturbed(logits, noise) / self.temperature(progress), dim=-1))


class StraightThrough(ChoicewiseRelaxation):
    """Straight-through Gumbel-softmax (Jang et al. 2017, Section 2.2).

    The weights are exactly one-hot; their gradient is that of ``softmax((logits + Gumbel noise) / temperature)``. All
    candidates are computed, so that each one's weight gets its gradient: this costs as much as a soft mixture.

    Args:
        temperature: of the soft weights whose gradient is taken.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        self.temperature = temperature
        self._schedule = LinearTemperature(temperature, temperature)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Choose one candidate, and compute all."""
        scores = perturbed(logits, noise)
        soft = torch.softmax(scores / self._schedule(progress), dim=-1)
        return Gate(hard(scores) + (soft - soft.detach()))
