"""A linear head that starts as the nearest class mean."""

from __future__ import annotations

from torch import Tensor

from lit_metanas.meta.head import Head, prototypes


class PrototypeLinearHead(Head):
    """Linear, initialised from class means, then adapted (Triantafillou et al. 2020, Proto-MAML, Section 3).

    ``-scale * |x - c|^2`` is, up to what all classes share, linear in ``x`` with weight ``2 * scale * c`` and bias
    ``-scale * |c|^2``. One meta-training serves every way and shot.

    Args:
        scale: multiplies the squared distances (1 in the paper).
    """

    starts_from_support = True

    def __init__(self, *, scale: float = 0.1) -> None:
        self.scale = scale

    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """Weight ``(way, features)`` and bias ``(way,)`` from the class means."""
        del meta
        means = prototypes(support, labels, way)
        return {"weight": 2 * self.scale * means, "bias": -self.scale * means.square().sum(-1)}

    def scores(self, head: dict[str, Tensor], features: Tensor, support: Tensor, labels: Tensor, way: int) -> Tensor:
        """Apply the linear map."""
        del support, labels, way
        return features @ head["weight"].T + head["bias"]
