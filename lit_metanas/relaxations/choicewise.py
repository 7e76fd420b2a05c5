"""Relaxations that treat each choice by itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.mixture import Gate, Mixture


class ChoicewiseRelaxation(Relaxation):
    """Makes one gate after another; a choice of a single label costs nothing."""

    def __call__(self, logits: Mapping[str, Tensor], noise: Mapping[str, Tensor], progress: float) -> Mixture:
        """Relax every choice."""
        missing = torch.empty(0)
        return {
            name: Gate(torch.ones_like(value), 0)
            if len(value) == 1
            else self.gate(value, noise.get(name, missing), progress)
            for name, value in logits.items()
        }

    @abstractmethod
    def gate(self, logits: Tensor, noise: Tensor, progress: float) -> Gate:
        """Relax one choice of several labels.

        Args:
            logits: shape ``(labels,)``.
            noise: uniform numbers in (0, 1), shape ``(labels,)``.
            progress: place in the schedule, from 0 to 1.
        """


class DiscreteRelaxation(ChoicewiseRelaxation):
    """Computes one candidate a choice, so that ``Gate.index`` is set.

    The index is read from the logits' values; such a relaxation runs task by task, never under ``vmap``.
    """
