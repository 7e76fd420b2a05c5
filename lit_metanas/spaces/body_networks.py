"""A supernet and children that are built around one body, so that their weights have the same names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.spaces.layers import Moments, inherit_by_name, inheritable, name_norms
from lit_metanas.spaces.supernet import Mixture, Supernet


class BodySupernet(Supernet):
    """A body of all candidates, and the global average of what it returns last.

    Args:
        body: inputs, mixture and moments to a list of tensors, the last of shape ``(n, features, height, width)``.
        features: length of the feature vector.
    """

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body = body
        self.features = features
        name_norms(self)

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Embed inputs: see ``Supernet.forward``. There is no dropout, so that ``noise`` does nothing."""
        del noise
        features = self.body(inputs, mixture, Moments(statistics, record))[-1].mean((2, 3))
        assert isinstance(features, Tensor)
        return features

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Nothing: there is no dropout."""
        del examples, generator
        return {}


class BodyChild(ChildNetwork):
    """A body of one candidate a choice, the global average and a linear classifier.

    Args:
        body: inputs to a list of tensors, the last of shape ``(n, features, height, width)``.
        features: length of the feature vector.
        way: number of classes.
        flops: forward multiply-adds for one input.
    """

    def __init__(self, body: nn.Module, *, features: int, way: int, flops: int) -> None:
        super().__init__()
        self.body = body
        self.features = features
        self.flops = flops
        self.head = nn.Linear(features, way)

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        features = self.body(inputs)[-1].mean((2, 3))
        assert isinstance(features, Tensor)
        return features

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the kernels, and where present scales, shifts and statistics, of a supernet of the space.

        Classifiers are copied where they fit.

        Raises:
            ValueError: a tensor that this network needs is not among ``weights``, or has another shape.
        """
        inherit_by_name(self.body, {n.removeprefix("body."): w for n, w in weights.items() if n.startswith("body.")})
        for name, own in self._classifiers().items():
            given = weights.get(name)
            if given is not None and given.shape == own.shape:
                own.copy_(given)

    def _tensors(self) -> dict[str, Tensor]:
        """Those of the body and of all classifiers, under the supernet's names."""
        body = {f"body.{name}": tensor for name, tensor in inheritable(self.body).items()}
        return {**body, **self._classifiers()}

    def _classifiers(self) -> dict[str, Tensor]:
        tensors = self.state_dict(keep_vars=True)
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("body.")}
