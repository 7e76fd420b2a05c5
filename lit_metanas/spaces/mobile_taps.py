"""Depthwise kernels whose sizes share weights: a small one is the centre of a large one."""

from __future__ import annotations

from functools import cache
from math import isqrt

import torch
from torch import Tensor, nn

from lit_metanas.spaces.mixture import Gate
from lit_metanas.spaces.nested import chosen, leading


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
