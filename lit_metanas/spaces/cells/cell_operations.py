"""The candidate operations of DARTS's, MetaNAS's and ENAS's networks, by label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mixed_layers import MixedNorm, WeighedLayers, weighed_outputs
from lit_metanas.spaces.mixture import current


@dataclass(frozen=True)
class Norms:
    """Makes batch-norms; a scale in a supernet's operations would rescale the weights of the architecture."""

    build: Builder
    pools: bool  # whether there is one after a pooling, without scale and shift

    def __call__(self, width: int, place: Literal["stem", "operation", "pool"]) -> nn.Module:
        """The layer for ``width`` channels after the stem, in an operation with weights, or after a pooling."""
        if place == "pool" and not self.pools:
            return nn.Identity()
        if place == "pool":
            return self.build.norm(width, affine=False)
        return self.build.norm(width, shared=place == "stem")


class CellState:
    """A state of a cell, and what operations on it begin with: all that have it in hand compute it once."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self._pooled: dict[tuple[type[nn.Module], object], Tensor] = {}
        self._normalised: dict[tuple[type[nn.Module], object], tuple[str, Tensor]] = {}

    @classmethod
    def of(cls, inputs: Tensor | CellState) -> CellState:
        """Inputs that may be a state already."""
        if isinstance(inputs, CellState):
            return inputs
        return cls(inputs)

    @cached_property
    def active(self) -> Tensor:
        """After a ReLU."""
        return F.relu(self.value)

    @cached_property
    def even(self) -> Tensor:
        """Every second pixel after a ReLU, from the first."""
        return F.relu(even_pixels(self.value))

    @cached_property
    def odd(self) -> Tensor:
        """Every second pixel after a ReLU, from the second."""
        return F.relu(odd_pixels(self.value))

    def pooled(self, pool: nn.MaxPool2d | nn.AvgPool2d, norm: nn.Module) -> Tensor:
        """After a pooling and what normalises it, which has no parameters."""
        key = type(pool), pool.stride
        if key not in self._pooled:
            self._pooled[key] = pool(self.value)
        # Given statistics may differ between the edges that a state has.
        if not isinstance(norm, MixedNorm) or current().statistics is not None:
            return norm(self._pooled[key])
        if key not in self._normalised:
            self._normalised[key] = norm.key, norm(self._pooled[key])
        first, outputs = self._normalised[key]
        record = current().record
        if record is not None:
            record |= {f"{norm.key}.{kind}": record[f"{first}.{kind}"] for kind in ("mean", "var")}
        return outputs


class SkipOperation(WeighedLayers):
    """The identity."""

    def forward(self, inputs: Tensor | CellState, weight: Tensor | None = None) -> Tensor:
        """The inputs, times ``weight``."""
        return weighed_outputs(None, CellState.of(inputs).value, weight)


class PoolOperation(WeighedLayers):
    """A pooling, and what normalises it."""

    def forward(self, inputs: Tensor | CellState, weight: Tensor | None = None) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, channels, height / stride, width / stride)``."""
        pool, norm = self
        assert isinstance(pool, nn.MaxPool2d | nn.AvgPool2d)
        return weighed_outputs(None, CellState.of(inputs).pooled(pool, norm), weight)


class ConvolutionOperation(WeighedLayers):
    """A ReLU, one or more convolutions, batch-norm."""

    def forward(self, inputs: Tensor | CellState, weight: Tensor | None = None) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        state = CellState.of(inputs)
        _, first, *rest, norm = self
        if isinstance(first, FactorizedReduction):
            outputs = first(state.even, state.odd)
        elif isinstance(first, DilatedConv2d) and first.halves:
            outputs = first(state.even)
        else:
            outputs = first(state.active)
        for layer in rest:
            outputs = layer(outputs)
        return weighed_outputs(norm, outputs, weight)


Operation = Callable[[int, int, Norms], WeighedLayers]
"""Makes an operation of equally many channels in and out, from these, its stride and the batch-norm layers."""


class FactorizedReduction(nn.Module):
    """Two 1x1 convolutions of stride 2, the second one pixel off, as in DARTS, which takes even sizes only."""

    # Every second pixel is taken before the convolutions: with a stride, on channels-last images, oneDNN 3.12 can
    # write beyond its memory on processors with AVX2 and without AVX-512.

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width // 2, 1, bias=False)
        self.second = nn.Conv2d(channels, width - width // 2, 1, bias=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Both convolutions, side by side, of every second pixel from the first and from the second."""
        return torch.cat([self.first(first), self.second(second)], 1)


class DilatedConv2d(nn.Conv2d):
    """A depthwise convolution of dilation 2 that keeps the image's size, or halves it."""

    # If it halves it, it looks at every second pixel only, on which it is a convolution without stride and dilation:
    # oneDNN has no kernel for both together and takes ten times as long.

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride, kernel - 1, 2, groups=channels, bias=False)
        self.halves = stride == 2

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)``, unchanged: if it halves, of every second pixel of its input."""
        if not self.halves:
            return super().forward(inputs)
        return F.conv2d(inputs, self.weight, padding=self.kernel_size[0] // 2, groups=self.groups)


def even_pixels(inputs: Tensor) -> Tensor:
    """Every second pixel of ``(n, channels, height, width)`` from the first."""
    return inputs[:, :, ::2, ::2]


def odd_pixels(inputs: Tensor) -> Tensor:
    """As many pixels as ``even_pixels``, from the second; beyond the last row and column there are zeros."""
    height, width = inputs.shape[2:]
    return F.pad(inputs[:, :, 1::2, 1::2], (0, width % 2, 0, height % 2))


def convolve(width: int, norms: Norms, *layers: nn.Module) -> ConvolutionOperation:
    """ReLU, some layers and batch-norm of ``width`` channels."""
    return ConvolutionOperation(nn.ReLU(), *layers, norms(width, "operation"))


def _full(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)


def entry(channels: int, width: int, shrunk: bool, norms: Norms) -> ConvolutionOperation:
    """What brings an input of a cell to its width, and to half its size if the cell before has ``shrunk`` the image."""
    if shrunk:
        return convolve(width, norms, FactorizedReduction(channels, width))
    return convolve(width, norms, _full(channels, width, 1))


def _depthwise(channels: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    deep = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    return deep, _full(channels, channels, 1)


def _separable(kernel: int, channels: int, stride: int, norms: Norms) -> WeighedLayers:
    first, second = (convolve(channels, norms, *_depthwise(channels, kernel, step)) for step in (stride, 1))
    return ConvolutionOperation(*first, *second)


def _dilated(kernel: int, channels: int, stride: int, norms: Norms) -> WeighedLayers:
    return convolve(channels, norms, DilatedConv2d(channels, kernel, stride), _full(channels, channels, 1))


def _row_and_column(channels: int, stride: int, norms: Norms) -> WeighedLayers:
    row = nn.Conv2d(channels, channels, (1, 5), stride, (0, 2), bias=False)
    return convolve(channels, norms, row, nn.Conv2d(channels, channels, (5, 1), 1, (2, 0), bias=False))


def _skip(channels: int, stride: int, norms: Norms) -> WeighedLayers:
    if stride == 1:
        return SkipOperation()
    return entry(channels, channels, True, norms)


CELL_OPERATIONS: Mapping[str, Operation] = {
    "max_pool_3x3": lambda channels, stride, norms: PoolOperation(nn.MaxPool2d(3, stride, 1), norms(channels, "pool")),
    "avg_pool_3x3": lambda channels, stride, norms: PoolOperation(
        nn.AvgPool2d(3, stride, 1, count_include_pad=False), norms(channels, "pool")
    ),
    "skip_connect": _skip,
    "sep_conv_3x3": partial(_separable, 3),
    "sep_conv_5x5": partial(_separable, 5),
    "dil_conv_3x3": partial(_dilated, 3),
    "dil_conv_5x5": partial(_dilated, 5),
    "separable_conv_3x3": lambda channels, stride, norms: convolve(channels, norms, *_depthwise(channels, 3, stride)),
    "conv_3x3": lambda channels, stride, norms: convolve(channels, norms, _full(channels, channels, 3, stride)),
    "conv_5x5": lambda channels, stride, norms: convolve(channels, norms, _full(channels, channels, 5, stride)),
    "conv_1x5_5x1": _row_and_column,
}
"""All but ``none``, which is nothing."""
