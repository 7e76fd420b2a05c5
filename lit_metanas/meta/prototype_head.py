"""The nearest class mean."""

from __future__ import annotations

from torch import Tensor

from lit_metanas.meta.head import Head, prototypes


class PrototypeHead(Head):
    """Negative scaled squared distances to the class means of the support set (Snell et al. 2017, Eq. 2).

    It has no parameters. In an inner loop its loss compares support examples with means that contain them: at one shot
    each distance to the own class is zero, and adaptation only drives classes apart.

    Args:
        scale: multiplies the distances.
    """

    compares = True

    def __init__(self, *, scale: float = 0.1) -> None:
        self.scale = scale

    def start(self, meta: dict[str, Tensor], support: Tensor, labels: Tensor, way: int) -> dict[str, Tensor]:
        """Nothing to adapt."""
        del meta, support, labels, way
        return {}

    def scores(self, head: dict[str, Tensor], features: Tensor, support: Tensor, labels: Tensor, way: int) -> Tensor:
        """Compare with the class means."""
        del head
        means = prototypes(support, labels, way)
        return -self.scale * (features.unsqueeze(1) - means.unsqueeze(0)).square().sum(-1)
