"""From architecture logits to a mixture over candidates, or one sampled candidate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from lit_metanas.spaces.mixture import Mixture

PRUNED = -1e4
"""A logit at or below half of this value belongs to a pruned candidate: never mixed, never sampled."""


class Relaxation(ABC):
    """Turns architecture logits into a mixture; a pure function of its arguments."""

    @abstractmethod
    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        """Relax.

        Args:
            logits: for each choice, shape ``(labels,)``.
            noise: for each choice, uniform numbers in (0, 1), shape ``(labels,)``; unused by deterministic ones.
            progress: place in the (inner or outer) schedule, from 0 to 1.
        """

    def draw_noise(self, logits: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the uniform numbers that ``__call__`` takes."""
        tiny = torch.finfo(torch.float32).tiny
        return {
            name: torch.rand(value.shape, generator=generator).clamp_(min=tiny).to(value.device)
            for name, value in logits.items()
        }
