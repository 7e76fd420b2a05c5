"""One sampled candidate a choice, for score-function estimators."""

from __future__ import annotations

from torch import Tensor

from lit_metanas.relaxations.choicewise import DiscreteRelaxation
from lit_metanas.relaxations.probability import hard, perturbed
from lit_metanas.spaces.mixture import Gate


class Categorical(DiscreteRelaxation):
    """Sample a candidate from ``softmax(logits)`` by Gumbel-max; the gate passes no gradient to the logits."""

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Sample one candidate; ``progress`` is not used."""
        del progress
        weights = hard(perturbed(logits.detach(), noise))
        return Gate(weights, int(weights.argmax()))
