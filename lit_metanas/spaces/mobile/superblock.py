"""One block of the mobile supernet: kernels by taps, expansions by slices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import isqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.layers import Moments, SuperNorm
from lit_metanas.spaces.mobile.mobile_layout import Bottleneck
from lit_metanas.spaces.supernet import Gate, Mixture, chosen, leading


def as_taps(kernel: Tensor) -> Tensor:
    """Order a kernel's weights from the centre outwards, so that a smaller kernel's are the first ones.

    Args:
        kernel: shape ``(channels, 1, size, size)``.

    Returns:
        Shape ``(channels, size * size)``.
    """
    return kernel.flatten(1)[:, _order(kernel.shape[-1])]


def as_kernel(taps: Tensor) -> Tensor:
    """The inverse of ``as_taps``."""
    size = isqrt(taps.shape[1])
    return taps[:, _order(size).argsort()].view(-1, 1, size, size)


class Taps(nn.Module):
    """Depthwise kernels of several sizes.

    Args:
        channels: number of kernels of each size.
        sizes: of the candidates, odd.

    Attributes:
        weight: of the largest size, from the centre outwards, shape ``(channels, size * size)``.
    """

    def __init__(self, channels: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.weight = nn.Parameter(torch.randn(channels, max(sizes) ** 2) * 2**0.5 / max(sizes))
        for size in sizes:
            self.register_buffer(f"places{size}", _order(size).argsort(), persistent=False)

    def forward(self, channels: int, gate: Gate) -> Tensor:
        """The kernels of the first channels under a gate, shape ``(channels, 1, size, size)``.

        Convolutions that are summed are one convolution, of the sum of their kernels.
        """
        size = chosen(gate, self.sizes)
        taps = self.weight[:channels, : size**2]
        weights = leading((gate, [size**2 for size in self.sizes]))
        taps = taps if weights is None else taps * weights
        return taps[:, getattr(self, f"places{size}")].view(-1, 1, size, size)


@cache
def _order(size: int) -> Tensor:
    """Flat places of a kernel's weights by their distance from the centre, shape ``(size * size,)``."""
    reach = range(-(size // 2), size // 2 + 1)
    offsets = sorted(((row, column) for row in reach for column in reach), key=lambda at: (max(map(abs, at)), at))
    return torch.tensor([(row + size // 2) * size + column + size // 2 for row, column in offsets], device="cpu")


class Width(NamedTuple):
    """Candidate numbers of channels, and the choice between them; without one there is a single number."""

    numbers: tuple[int, ...]
    choice: str = ""

    def gate(self, mixture: Mixture) -> Gate:
        """How the numbers are combined."""
        return mixture[self.choice] if self.choice else Gate(torch.ones(1), 0)


class SuperConvolution(nn.Module):
    """Convolution and batch-norm, of which the leading channels are used."""

    def __init__(self, channels: int, width: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        self.norm = SuperNorm(width, affine=True)

    def forward(self, inputs: Tensor, width: int, moments: Moments) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        weight, own = self.convolution.weight[:width, : inputs.shape[1]], self.convolution
        outputs = self.norm(F.conv2d(inputs, weight, None, own.stride, own.padding), moments)
        assert isinstance(outputs, Tensor)
        return outputs


class SuperDepthwise(nn.Module):
    """Depthwise convolution of several sizes and batch-norm, of which the leading channels are used."""

    def __init__(self, channels: int, sizes: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.convolution = Taps(channels, sizes)
        self.norm = SuperNorm(channels, affine=True)
        self.stride = stride

    def forward(self, inputs: Tensor, gate: Gate, moments: Moments) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, channels, height / stride, width / stride)``."""
        channels = inputs.shape[1]
        kernel = self.convolution(channels, gate)
        convolved = F.conv2d(inputs, kernel, None, self.stride, kernel.shape[-1] // 2, groups=channels)
        outputs = self.norm(convolved, moments)
        assert isinstance(outputs, Tensor)
        return outputs


class SuperBlock(nn.Module):
    """All candidates of one block, without the sum with its input.

    Args:
        choices: by question.
        entering: channels of the input.
        leaving: channels of the output.
        stride: of the depthwise convolution.
        residual: whether its input is to be added.
    """

    def __init__(
        self, choices: Mapping[str, Choice], *, entering: Width, leaving: Width, stride: int, residual: bool
    ) -> None:
        super().__init__()
        self.kernel, self.expansion = choices["kernel"], choices["expansion"]
        self.entering, self.leaving = entering, leaving
        self.stride, self.residual = stride, residual
        self.sizes = tuple(int(label) for label in self.kernel.labels)
        self.expansions = tuple(int(label) for label in self.expansion.labels)
        channels, width = max(entering.numbers), max(leaving.numbers)
        hidden = channels * max(self.expansions)
        self.expand = SuperConvolution(channels, hidden) if self.expansions != (1,) else None
        self.depthwise = SuperDepthwise(hidden, self.sizes, stride)
        self.project = SuperConvolution(hidden, width)

    def forward(self, inputs: Tensor, mixture: Mixture, moments: Moments) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        kernel, expansion, width = mixture[self.kernel.name], mixture[self.expansion.name], self.leaving.gate(mixture)
        computed = self.computed(mixture)
        outputs = inputs if self.expand is None else F.relu6(self.expand(inputs, computed.hidden, moments))
        outputs = F.relu6(self.depthwise(outputs, kernel, moments))
        # Not before the depthwise convolution, whose batch-norm would cancel the weights of channels.
        hidden = leading((self.entering.gate(mixture), self.entering.numbers), (expansion, self.expansions))
        outputs = self.project(_weighted(outputs, hidden), computed.width, moments)
        return _weighted(outputs, leading((width, self.leaving.numbers)))

    def computed(self, mixture: Mixture) -> Bottleneck:
        """What is computed under ``mixture``."""
        channels = chosen(self.entering.gate(mixture), self.entering.numbers)
        return Bottleneck(
            channels=channels,
            hidden=channels * chosen(mixture[self.expansion.name], self.expansions),
            width=chosen(self.leaving.gate(mixture), self.leaving.numbers),
            kernel=chosen(mixture[self.kernel.name], self.sizes),
            stride=self.stride,
            expanded=self.expand is not None,
            residual=self.residual,
        )


def _weighted(inputs: Tensor, channels: Tensor | None) -> Tensor:
    return inputs if channels is None else inputs * channels[:, None, None]
