"""Layers that are the same in a supernet and in its children, but for how they normalise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.operations import batch_normalise

Place = Literal["stem", "operation", "pool"]
"""Where a batch-norm stands: after the stem, in an operation with weights, or after a pooling."""


class Moments(NamedTuple):
    """Means and variances of batch-norm layers, see ``Supernet.forward``: ``given`` ones, and where to ``record``."""

    given: Mapping[str, Tensor] | None = None
    record: dict[str, Tensor] | None = None


class SuperNorm(nn.Module):
    """Batch-norm of a supernet: it keeps no statistics. Fewer channels than ``width`` are the leading ones.

    Attributes:
        key: names the statistics; see ``name_norms``.
    """

    def __init__(self, width: int, *, affine: bool) -> None:
        super().__init__()
        self.key = ""
        self.scale = nn.Parameter(torch.ones(width)) if affine else None
        self.shift = nn.Parameter(torch.zeros(width)) if affine else None

    def forward(self, inputs: Tensor, moments: Moments) -> Tensor:
        """Normalise each channel of ``(n, channels, height, width)``."""
        given, record = moments
        scale, shift = (None if own is None else own[: inputs.shape[1]] for own in (self.scale, self.shift))
        return batch_normalise(inputs, scale, shift, key=self.key, statistics=given, record=record)


class Norms(Protocol):
    """Makes the batch-norm layers of a network."""

    def __call__(self, width: int, place: Place) -> nn.Module:
        """The layer for ``width`` channels at a place."""


@dataclass(frozen=True)
class SuperNorms:
    """Of a supernet: in operations without scale and shift, which would rescale the architecture's weights.

    Attributes:
        pools: whether there is one after a pooling.
    """

    pools: bool

    def __call__(self, width: int, place: Place) -> nn.Module:
        """The layer for ``width`` channels at a place."""
        return nn.Identity() if place == "pool" and not self.pools else SuperNorm(width, affine=place == "stem")


@dataclass(frozen=True)
class ChildNorms:
    """Of a child: with scale and shift, but after a pooling.

    Attributes:
        pools: whether there is one after a pooling.
    """

    pools: bool

    def __call__(self, width: int, place: Place) -> nn.Module:
        """The layer for ``width`` channels at a place."""
        return nn.Identity() if place == "pool" and not self.pools else nn.BatchNorm2d(width, affine=place != "pool")


class Stack(nn.Sequential):
    """Layers one after the other; only a supernet's have ``moments``."""

    def forward(self, inputs: Tensor, moments: Moments | None = None) -> Tensor:
        """Shape ``(n, channels, height, width)``."""
        for layer in self:
            inputs = layer(inputs, moments) if isinstance(layer, SuperNorm) else layer(inputs)
        return inputs


class Halve(nn.Module):
    """Two 1x1 convolutions of stride 2, the second one pixel off (DARTS's factorized reduction).

    DARTS takes even sizes only; beyond an odd one's last row and column there are zeros.

    Every second pixel is taken before the convolutions: with a stride, on channels-last images, oneDNN 3.12 can
    write beyond its memory on processors with AVX2 and without AVX-512.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width // 2, 1, bias=False)
        self.second = nn.Conv2d(channels, width - width // 2, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``, rounded up."""
        height, width = inputs.shape[2:]
        shifted = F.pad(inputs, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        return torch.cat([self.first(inputs[:, :, ::2, ::2]), self.second(shifted[:, :, ::2, ::2])], 1)


def name_norms(network: nn.Module) -> None:
    """Name the statistics of each ``SuperNorm`` after its place in the network."""
    for name, module in network.named_modules():
        if isinstance(module, SuperNorm):
            module.key = name


def inheritable(network: nn.Module) -> dict[str, Tensor]:
    """A child's tensors under its supernet's names: kernels; batch-norm's scale and shift, means and variances."""
    tensors: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            tensors[f"{name}.weight"] = module.weight
        elif isinstance(module, nn.BatchNorm2d):
            entries = {
                "scale": module.weight,
                "shift": module.bias,
                "mean": module.running_mean,
                "var": module.running_var,
            }
            tensors |= {f"{name}.{kind}": tensor for kind, tensor in entries.items() if tensor is not None}
    return tensors


@torch.no_grad()
def inherit_by_name(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy a supernet's kernels, and where present scales, shifts and statistics, into a child.

    A supernet's batch-norm without scale and shift has ones and zeros.

    Raises:
        ValueError: a kernel is not among ``weights``, or a tensor has another shape.
    """
    for name, own in inheritable(network).items():
        given = weights.get(name)
        kind = name.rpartition(".")[2]
        if given is None:
            if kind == "weight":
                raise ValueError(f"The weights lack '{name}': they come from another search space.")
            if kind in ("scale", "shift"):
                own.fill_(float(kind == "scale"))
            continue
        if given.shape != own.shape:
            raise ValueError(
                f"The weights hold '{name}' {tuple(given.shape)}, not {tuple(own.shape)}: "
                "they come from another search space."
            )
        own.copy_(given)
