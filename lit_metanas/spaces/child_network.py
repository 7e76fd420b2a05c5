"""Layers of children, and the base of the plain networks: features, a linear classifier, and named tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.supernet import inherit


class NormalisedConvolution(nn.Module):
    """Convolution and batch-norm; ``key`` is their name in the supernet."""

    def __init__(self, key: str, channels: int, width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.key = key
        self.convolution = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        return self.norm(self.convolution(inputs))

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics under the supernet's names."""
        return {f"{self.key}.kernel": self.convolution.weight, **norm_tensors(self.key, self.norm)}


class UnsharedScale(nn.BatchNorm2d):
    """Batch-norm of a child whose supernet has no scale and shift there."""


class ChannelDropout(nn.Dropout2d):
    """Drops whole channels of images, or of series, or numbers of a vector, in a child."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged."""
        if inputs.dim() == 2:
            return F.dropout(inputs, self.p, self.training)
        if inputs.dim() == 3:
            return F.dropout1d(inputs, self.p, self.training)
        return super().forward(inputs)


class BranchDropout(nn.Dropout):
    """Drops all that some examples have, in a child; the others are scaled up, so that the mean stays."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, ...)``, unchanged."""
        if not self.training or not self.p:
            return inputs
        return inputs * F.dropout(inputs.new_ones(len(inputs), *[1] * (inputs.dim() - 1)), self.p)


def norm_tensors(key: str, norm: nn.Module) -> dict[str, Tensor]:
    """Scale, shift, means and variances of a norm, those that it has, which the supernet has under the name ``key``."""
    own = {"scale": "weight", "shift": "bias", "mean": "running_mean", "var": "running_var"}
    found = {f"{key}.{kind}": getattr(norm, name, None) for kind, name in own.items()}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


class ChildNetwork(nn.Module, ABC):
    """A network of one architecture, which inherits from its space's supernet and can give back what it learned."""

    features: int  # length of the feature vector
    flops: int  # forward multiply-adds for one input
    head: nn.Linear
    family: str = ""  # of a union of spaces

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""

    @abstractmethod
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy a supernet's parameters, batch-norm statistics where present, and the classifier where it fits."""

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics but the classifier's, under the supernet's names."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, shape ``(n, way)``, for inputs of shape ``(n, channels, height, width)``."""
        return self.head(self.embed(inputs))

    def supernet_weights(self) -> dict[str, Tensor]:
        """The inverse of ``inherit``: copies of all tensors under the supernet's names, or of leading slices there."""
        tensors = {**self._tensors(), "head.weight": self.head.weight, "head.bias": self.head.bias}
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def _copy(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy leading slices for all of ``_tensors``, which are returned, and the classifier where it fits."""
        own, found = self._tensors(), self._leading(weights)
        for name, value in found.items():
            own[name].copy_(value)
        self._inherit_head(weights)
        return found

    @torch.no_grad()
    def _copy_common(self, weights: Mapping[str, Tensor]) -> None:
        """Copy what another child has under the same names, the leading part that both have, and the classifier."""
        own = self._tensors()
        known = own.keys() & weights.keys()
        if weights and not known:
            raise ValueError("The weights hold none of this network's: they come from another space.")
        for name in known:
            given, taken = weights[name], own[name]
            if given.dim() != taken.dim():
                raise ValueError(
                    f"The weights hold '{name}' {tuple(given.shape)}, not {tuple(taken.shape)}: they come from another "
                    "space."
                )
            part = tuple(slice(min(one, other)) for one, other in zip(given.shape, taken.shape, strict=True))
            taken[part] = given[part].to(taken)
        self._inherit_head(weights)

    def _refuse_other_sizes(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse weights of which a slice would fit, but that are another network's."""
        for name, tensor in self._tensors().items():
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
        for name in statistics & weights.keys():  # perhaps a narrower child's: further channels keep their own
            common = min(len(weights[name]), len(own[name]))
            found[name] = torch.cat([weights[name][:common].to(own[name]), own[name][common:]])
        return found

    @torch.no_grad()
    def _inherit_head(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the classifier where it has as many classes, for the leading features."""
        head = weights.get("head.weight")
        if head is not None and head.shape[0] == self.head.out_features and head.shape[1] >= self.features:
            self.head.weight.copy_(head[:, : self.features])
            self.head.bias.copy_(weights["head.bias"])
