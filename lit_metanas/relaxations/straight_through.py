"""Hard forward, soft backward, all candidates computed."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.relaxations.choicewise import ChoicewiseRelaxation
from lit_metanas.relaxations.probability import hard, perturbed
from lit_metanas.relaxations.temperature import LinearTemperature
from lit_metanas.spaces.mixture import Gate


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
