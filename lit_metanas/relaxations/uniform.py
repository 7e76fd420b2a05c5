"""Single path, uniformly sampled."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.relaxations.choicewise import DiscreteRelaxation
from lit_metanas.relaxations.probability import hard, perturbed
from lit_metanas.relaxations.relaxation import PRUNED
from lit_metanas.spaces.mixture import Gate


class Uniform(DiscreteRelaxation):
    """Sample uniformly among the candidates that are not pruned (Guo et al. 2020, single path one-shot, Section 3.1).

    The logits only say which candidates are pruned, and get no gradient.
    """

    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Sample one candidate; ``progress`` is not used."""
        del progress
        left = torch.where(logits.detach() <= PRUNED / 2, PRUNED, 0.0).to(logits.dtype)
        weights = hard(perturbed(left, noise))
        return Gate(weights, int(weights.argmax()))
