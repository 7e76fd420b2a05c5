"""The candidate operations of DARTS's, MetaNAS's and ENAS's networks, by label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.builder import Builder

Place = Literal["stem", "operation", "pool"]
"""Where a batch-norm stands: after the stem, in an operation with weights, or after a pooling."""


@dataclass(frozen=True)
class Norms:
    """Makes the batch-norm layers of a network.

    A supernet's have no scale and shift in operations, where these would rescale the architecture's weights.

    Attributes:
        build: says whether the network is a supernet.
        pools: whether there is one after a pooling, without scale and shift.
    """

    build: Builder
    pools: bool

    def __call__(self, width: int, place: Place) -> nn.Module:
        """The layer for ``width`` channels at a place."""
        if place == "pool":
            return self.build.norm(width, affine=False) if self.pools else nn.Identity()
        return self.build.norm(width, shared=place == "stem")


Operation = Callable[[int, int, Norms], nn.Sequential]
"""Makes an operation of equally many channels in and out, from these, its stride and the batch-norm layers."""


class FactorizedReduction(nn.Module):
    """Two 1x1 convolutions of stride 2, the second one pixel off, as in DARTS.

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


def convolve(
    channels: int, width: int, kernel: int, norms: Norms, *, stride: int = 1, layers: tuple[nn.Module, ...] = ()
) -> nn.Sequential:
    """ReLU, convolution (or the given layers instead) and batch-norm."""
    inner = layers or (nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False),)
    return nn.Sequential(nn.ReLU(), *inner, norms(width, "operation"))


def factorized_reduction(channels: int, width: int, norms: Norms) -> nn.Sequential:
    """ReLU, a factorized reduction and batch-norm."""
    return convolve(channels, width, 1, norms, layers=(FactorizedReduction(channels, width),))


def _depthwise(channels: int, kernel: int, stride: int, dilation: int = 1) -> tuple[nn.Module, ...]:
    """A depthwise and a pointwise convolution."""
    margin = dilation * (kernel // 2)
    deep = nn.Conv2d(channels, channels, kernel, stride, margin, dilation, groups=channels, bias=False)
    return deep, nn.Conv2d(channels, channels, 1, bias=False)


def _separable(kernel: int, channels: int, stride: int, norms: Norms) -> nn.Sequential:
    """Twice ReLU, depthwise and pointwise convolution, batch-norm."""
    first, second = (
        convolve(channels, channels, kernel, norms, layers=_depthwise(channels, kernel, step)) for step in (stride, 1)
    )
    return nn.Sequential(*first, *second)


def _dilated_convolution(kernel: int, channels: int, stride: int, norms: Norms) -> nn.Sequential:
    return convolve(channels, channels, kernel, norms, layers=_depthwise(channels, kernel, stride, dilation=2))


def _full(kernel: int, channels: int, stride: int, norms: Norms) -> nn.Sequential:
    return convolve(channels, channels, kernel, norms, stride=stride)


def _row_and_column(length: int, channels: int, stride: int, norms: Norms) -> nn.Sequential:
    """A row and then a column of a kernel; the stride is the row's."""
    row = nn.Conv2d(channels, channels, (1, length), stride, (0, length // 2), bias=False)
    column = nn.Conv2d(channels, channels, (length, 1), 1, (length // 2, 0), bias=False)
    return convolve(channels, channels, length, norms, layers=(row, column))


def _skip(channels: int, stride: int, norms: Norms) -> nn.Sequential:
    """The identity, or the factorized reduction where the image is halved."""
    return nn.Sequential() if stride == 1 else factorized_reduction(channels, channels, norms)


def _max_pool(channels: int, stride: int, norms: Norms) -> nn.Sequential:
    return nn.Sequential(nn.MaxPool2d(3, stride, 1), norms(channels, "pool"))


def _average_pool(channels: int, stride: int, norms: Norms) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), norms(channels, "pool"))


CELL_OPERATIONS: Mapping[str, Operation] = {
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _average_pool,
    "skip_connect": _skip,
    "sep_conv_3x3": partial(_separable, 3),
    "sep_conv_5x5": partial(_separable, 5),
    "dil_conv_3x3": partial(_dilated_convolution, 3),
    "dil_conv_5x5": partial(_dilated_convolution, 5),
    "conv_3x3": partial(_full, 3),
    "conv_5x5": partial(_full, 5),
    "conv_1x5_5x1": partial(_row_and_column, 5),
}
"""All but ``none``, which is nothing."""
