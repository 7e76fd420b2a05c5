"""One sampled candidate a choice, with a gradient to the logits."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.relaxations.choicewise import DiscreteRelaxation
from lit_metanas.relaxations.probability import hard, perturbed
from lit_metanas.relaxations.temperature import LinearTemperature
from lit_metanas.spaces.mixture import Gate


class SampledChild(DiscreteRelaxation):
    """Sample a candidate by Gumbel-max and compute only that one (Dong and Yang 2019, GDAS, Eq. 6 and 7).

    The chosen weight is exactly one; its gradient is that of ``softmax((logits + Gumbel noise) / temperature)`` at the
    chosen place. Where batch-norm follows the gate, it cancels the gate's scale and with it this gradient.

    Args:
        temperature: of the soft weights whose gradient is taken.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        self.temperature = temperature
        self._schedule = LinearTemperature(temperature, temperature)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Sample one candidate."""
        scores = perturbed(logits, noise)
        soft = torch.softmax(scores / self._schedule(progress), dim=-1)
        return Gate(hard(scores) + (soft - soft.detach()), int(scores.argmax()))
