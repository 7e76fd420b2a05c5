"""The continuous relaxation of DARTS."""

from __future__ import annotations

from torch import Tensor

from lit_metanas.relaxations.choicewise import ChoicewiseRelaxation
from lit_metanas.relaxations.probability import probabilities
from lit_metanas.spaces.mixture import Gate


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
