"""The candidate operations of DARTS's, MetaNAS's and ENAS's networks, by label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from lit_metanas.spaces.layers import Halve, Norms, Stack

Build = Callable[[int, int, Norms], Stack]
"""Makes an operation of equally many channels in and out, from these, its stride and the batch-norm layers."""


def convolve(
    channels: int, width: int, kernel: int, norms: Norms, *, stride: int = 1, layers: tuple[nn.Module, ...] = ()
) -> Stack:
    """ReLU, convolution (or the given layers instead) and batch-norm."""
    inner = layers or (nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False),)
    return Stack(nn.ReLU(), *inner, norms(width, "operation"))


def halve(channels: int, width: int, norms: Norms) -> Stack:
    """ReLU, the factorized reduction and batch-norm."""
    return convolve(channels, width, 1, norms, layers=(Halve(channels, width),))


def _depthwise(channels: int, kernel: int, stride: int, dilation: int = 1) -> tuple[nn.Module, ...]:
    """A depthwise and a pointwise convolution."""
    margin = dilation * (kernel // 2)
    deep = nn.Conv2d(channels, channels, kernel, stride, margin, dilation, groups=channels, bias=False)
    return deep, nn.Conv2d(channels, channels, 1, bias=False)


def _separable(kernel: int, channels: int, stride: int, norms: Norms) -> Stack:
    """Twice ReLU, depthwise and pointwise convolution, batch-norm."""
    first, second = (
        convolve(channels, channels, kernel, norms, layers=_depthwise(channels, kernel, step)) for step in (stride, 1)
    )
    return Stack(*first, *second)


def _dilated(kernel: int, channels: int, stride: int, norms: Norms) -> Stack:
    return convolve(channels, channels, kernel, norms, layers=_depthwise(channels, kernel, stride, dilation=2))


def _full(kernel: int, channels: int, stride: int, norms: Norms) -> Stack:
    return convolve(channels, channels, kernel, norms, stride=stride)


def _crossed(length: int, channels: int, stride: int, norms: Norms) -> Stack:
    """A row and then a column of a kernel; the stride is the row's."""
    row = nn.Conv2d(channels, channels, (1, length), stride, (0, length // 2), bias=False)
    column = nn.Conv2d(channels, channels, (length, 1), 1, (length // 2, 0), bias=False)
    return convolve(channels, channels, length, norms, layers=(row, column))


def _skip(channels: int, stride: int, norms: Norms) -> Stack:
    """The identity, or the factorized reduction where the image is halved."""
    return Stack() if stride == 1 else halve(channels, channels, norms)


def _max_pool(channels: int, stride: int, norms: Norms) -> Stack:
    return Stack(nn.MaxPool2d(3, stride, 1), norms(channels, "pool"))


def _average_pool(channels: int, stride: int, norms: Norms) -> Stack:
    return Stack(nn.AvgPool2d(3, stride, 1, count_include_pad=False), norms(channels, "pool"))


OPERATIONS: Mapping[str, Build] = {
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _average_pool,
    "skip_connect": _skip,
    "sep_conv_3x3": partial(_separable, 3),
    "sep_conv_5x5": partial(_separable, 5),
    "dil_conv_3x3": partial(_dilated, 3),
    "dil_conv_5x5": partial(_dilated, 5),
    "conv_3x3": partial(_full, 3),
    "conv_5x5": partial(_full, 5),
    "conv_1x5_5x1": partial(_crossed, 5),
}
"""All but ``none``, which is nothing."""
