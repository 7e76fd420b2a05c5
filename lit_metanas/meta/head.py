"""From features to class scores."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Head(ABC):
    """Scores classes from features, for one task at a time; a pure function of its parameters.

    Attributes:
        starts_from_support: ``start`` reads the support set's features.
        compares: ``scores`` reads the support set's features.
    """

    starts_from_support: bool = False
    compares: bool = False

    def initial(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The head's meta-parameters (``Parameters.head``) before training; none unless a head says so."""
        del features, generator
        return {}

    @abstractmethod
    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """The head with which adaptation to a task starts.

        Args:
            meta: ``Parameters.head``.
            support: features of the support set, shape ``(n, features)``; empty unless ``starts_from_support``.
            labels: its classes, shape ``(n,)``.
            way: number of classes.
        """

    @abstractmethod
    def scores(self, head: dict[str, Tensor], features: Tensor, support: Tensor, labels: Tensor, way: int) -> Tensor:
        """Score.

        Args:
            head: what ``start`` gave, or what adaptation made of it.
            features: shape ``(m, features)``.
            support: features of the support set, shape ``(n, features)``; empty unless ``compares``.
            labels: classes of the support set, shape ``(n,)``.
            way: number of classes.

        Returns:
            Scores (logits of a cross-entropy), shape ``(m, way)``.
        """


def prototypes(features: Tensor, labels: Tensor, way: int) -> Tensor:
    """Class means (Snell et al. 2017, Eq. 1): features ``(n, features)``, labels ``(n,)`` to ``(way, features)``."""
    members = (labels.unsqueeze(-1) == torch.arange(way, device=labels.device)).to(features.dtype)  # (n, way)
    return members.T @ features / members.sum(0).unsqueeze(-1)
