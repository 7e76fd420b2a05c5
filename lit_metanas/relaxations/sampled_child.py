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
    chosen place. In the paper the temperature falls linearly from 10 to 0.1.

    The gate scales an output. Where all that uses it is normalised next, at once or behind maps that keep a scale
    (convolution, pooling, ReLU), the scale is cancelled, and with it this gradient: the choice is then a random walk
    until it is decided. So it is with most choices of single blocks of the layered space, whose next block begins with
    convolution and normalisation; not where blocks share their choices, nor where several gated outputs are summed, as
    in the nodes of a cell.

    Args:
        temperature: of the soft weights whose gradient is taken; at progress 0 where it changes.
        end: temperature at progress 1; None keeps it.
    """

    def __init__(self, *, temperature: float = 1.0, end: float | None = None) -> None:
        self.temperature = temperature
        self.end = end
        self._schedule = LinearTemperature(temperature, temperature if end is None else end)

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Sample one candidate."""
        scores = perturbed(logits, noise)
        soft = torch.softmax(scores / self._schedule(progress), dim=-1)
        return Gate(hard(scores) + (soft - soft.detach()), int(scores.argmax()))
