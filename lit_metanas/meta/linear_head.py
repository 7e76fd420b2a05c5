"""A meta-learned linear head for one number of classes."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.meta.head import Head


class LinearHead(Head):
    """Linear with meta-learned start, as in MAML (Finn et al. 2017).

    Args:
        way: the number of classes of every task.
    """

    def __init__(self, *, way: int) -> None:
        self.way = way

    def initial(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Weight ``(way, features)``, uniform within ``1 / sqrt(features)``, and bias ``(way,)`` of zeros."""
        weight = (2 * torch.rand(self.way, features, generator=generator) - 1) / features**0.5
        return {"weight": weight, "bias": torch.zeros(self.way)}

    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """The meta-learned parameters.

        Raises:
            ValueError: the task has another number of classes.
        """
        del support, labels
        if way != self.way:
            raise ValueError(f"LinearHead has {self.way} classes and the task {way}: use PrototypeLinearHead.")
        return meta

    def scores(self, head: dict[str, Tensor], features: Tensor, support: Tensor, labels: Tensor, way: int) -> Tensor:
        """Apply the linear map."""
        del support, labels, way
        return features @ head["weight"].T + head["bias"]
