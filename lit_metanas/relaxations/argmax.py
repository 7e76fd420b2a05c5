"""The discretised architecture."""

from __future__ import annotations

from torch import Tensor

from lit_metanas.relaxations.choicewise import DiscreteRelaxation
from lit_metanas.relaxations.probability import hard
from lit_metanas.spaces.mixture import Gate


class Argmax(DiscreteRelaxation):
    """Compute the candidate of the largest logit, without gradient: what a search would derive now."""

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Take the best candidate; ``noise`` and ``progress`` are not used."""
        del noise, progress
        weights = hard(logits.detach())
        return Gate(weights, int(weights.argmax()))
