"""What the plain networks of the spaces have in common: features, a linear classifier, and named tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from lit_metanas.spaces.supernet import inherit


def copy_leading(statistic: Tensor, own: Tensor) -> None:
    """Copy a batch-norm statistic of more or fewer channels, shape ``(channels,)``, for those that both have."""
    common = min(len(statistic), len(own))
    own[:common].copy_(statistic[:common])


class NormalisedConvolution(nn.Module):
    """Convolution and batch-norm; ``key`` is their name in the supernet."""

    def __init__(self, key: str, channels: int, width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.key = key
        self.convolution = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        outputs = self.norm(self.convolution(inputs))
        assert isinstance(outputs, Tensor)
        return outputs

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics under the supernet's names."""
        return {f"{self.key}.kernel": self.convolution.weight, **norm_tensors(self.key, self.norm)}


def norm_tensors(key: str, norm: nn.BatchNorm2d) -> dict[str, Tensor]:
    """Scale, shift, means and variances of a batch-norm that the supernet has under the name ``key``."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return {
        f"{key}.scale": norm.weight,
        f"{key}.shift": norm.bias,
        f"{key}.mean": norm.running_mean,
        f"{key}.var": norm.running_var,
    }


class ChildNetwork(nn.Module, ABC):
    """A network of one architecture, which inherits from its space's supernet and tells what it has learned."""

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

    def supernet_weights(self) -> dict[str, Tensor]:
        """The inverse of ``inherit``: copies of all tensors under the supernet's names, or of leading slices there."""
        tensors = {**self._tensors(), "head.weight": self.head.weight, "head.bias": self.head.bias}
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def _copy(self, weights: Mapping[str, Tensor], whole: Iterable[str]) -> None:
        """Copy leading slices for all of ``_tensors``, and the classifier where it fits."""
        own = self._tensors()
        self._refuse_other_sizes(weights, {name: own[name] for name in whole})
        for name, value in self._leading(weights).items():
            own[name].copy_(value)
        self._inherit_head(weights)

    def _refuse_other_sizes(self, weights: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> None:
        """Refuse weights of which a slice would fit, but that are another network's."""
        for name, tensor in whole.items():
            if name in weights and weights[name].shape != tensor.shape:
                raise ValueError(
                    f"The weights hold '{name}' {tuple(weights[name].shape)}, not {tuple(tensor.shape)}: they come "
                    "from another space."
                )

    @torch.no_grad()
    def _leading(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a supernet of the space holds for each of ``_tensors``: leading slices of larger parameters."""
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
