"""Soft pruning: a softmax that sharpens with progress."""

from __future__ import annotations

from torch import Tensor

from lit_metanas.relaxations.choicewise import ChoicewiseRelaxation
from lit_metanas.relaxations.probability import probabilities
from lit_metanas.relaxations.temperature import LinearTemperature
from lit_metanas.spaces.mixture import Gate


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
