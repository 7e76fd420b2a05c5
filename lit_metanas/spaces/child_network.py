"""What the plain networks of all spaces have in common: features, a linear classifier, and named tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lit_metanas.spaces.supernet import inherit


def copy_leading(statistic: Tensor, own: Tensor) -> None:
    """Copy a batch-norm statistic of more or fewer channels, shape ``(channels,)``, for those that both have."""
    common = min(len(statistic), len(own))
    own[:common].copy_(statistic[:common])


class ChildNetwork(nn.Module, ABC):
    """A network of one architecture, which inherits from its space's supernet and tells what it has learned.

    Attributes:
        features: length of the feature vector.
        flops: forward multiply-adds for one input.
        head: the linear classifier.
    """

    features: int
    flops: int
    head: nn.Linear

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""

    @abstractmethod
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy what a supernet of the space holds, and the classifier where it fits."""

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics but the classifier's, under the supernet's names."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, shape ``(n, way)``, for inputs of shape ``(n, channels, height, width)``."""
        scores = self.head(self.embed(inputs))
        assert isinstance(scores, Tensor)
        return scores

    def learned(self) -> dict[str, Tensor]:
        """The inverse of ``inherit``: copies of all tensors under the supernet's names, or of leading slices there."""
        tensors = {**self._tensors(), "head.weight": self.head.weight, "head.bias": self.head.bias}
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def _leading(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a supernet of the space holds for each of ``_tensors``: leading slices of larger parameters.

        Batch-norm statistics may be missing, or be those of a narrower child: further channels keep their own.

        Raises:
            ValueError: a parameter is missing or too small.
        """
        own = self._tensors()
        statistics = {name for name in own if name.endswith((".mean", ".var"))}
        found = inherit(weights, {name: tensor for name, tensor in own.items() if name not in statistics})
        for name in statistics & weights.keys():
            found[name] = own[name].clone()
            copy_leading(weights[name], found[name])
        return found

    @torch.no_grad()
    def _inherit_head(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the classifier where it has as many classes, for the leading features."""
        head = weights.get("head.weight")
        if head is not None and head.shape[0] == self.head.out_features and head.shape[1] >= self.features:
            self.head.weight.copy_(head[:, : self.features])
            self.head.bias.copy_(weights["head.bias"])
