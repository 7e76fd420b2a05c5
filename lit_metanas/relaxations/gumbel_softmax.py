"""Random soft mixtures."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.relaxations.choicewise import ChoicewiseRelaxation
from lit_metanas.relaxations.probability import perturbed
from lit_metanas.relaxations.temperature import LinearTemperature
from lit_metanas.spaces.mixture import Gate


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
