"""Convolutions with a choice of norm: batch-norm, group norm, or none and scaled weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.builder import Make
from lit_metanas.spaces.forward_pass import Number, OpenChoice, largest
from lit_metanas.spaces.operations import EPSILON, halve_by_mean

GRID_NORMS = ("batch", "group", "none")
CHANNEL_GROUP = 8
"""Channels of a group of group norm, of which all numbers of channels are multiples."""
ACTIVE_GAIN = 1.7
"""What an activation takes from the deviation, which the next layer's weights give back: 1.71 for ReLU, 1.70 for GELU
and 1.79 for SiLU (Brock et al. 2021, appendix D)."""
LEAST_SQUARES = 1e-4
"""Sum of squares that weights of an output have at least."""


@dataclass(frozen=True, kw_only=True)
class GridQuestions:
    """What is asked once for a whole network."""

    norm: OpenChoice
    down: OpenChoice
    activation: Make  # makes the chosen activation, or the choice among them


class ScaledConv2d(nn.Conv2d):
    """A convolution whose weights are standardised for each output, and multiplied by a learned gain."""

    # With it a network needs no normalisation of its activations (Brock et al. 2021, section 4.1).

    def __init__(
        self, channels: int, width: int, size: int, stride: int, padding: int, *, groups: int, gain: float
    ) -> None:
        super().__init__(channels, width, size, stride, padding, groups=groups)
        self.gain = nn.Parameter(torch.full((width,), gain))
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        return self._conv_forward(inputs, scaled_kernel(self.weight, self.gain), self.bias)


def scaled_kernel(weight: Tensor, gain: Tensor) -> Tensor:
    """Weights ``(out, in, k, k)`` with, for each output, a mean of 0 and squares that sum to that of its gain."""
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    squares = (centred * centred).sum((1, 2, 3), keepdim=True)
    return centred * (gain[:, None, None, None] * squares.clamp(min=LEAST_SQUARES).rsqrt())


def normed_conv(
    questions: GridQuestions,
    channels: Number,
    width: Number,
    size: int,
    *,
    stride: int = 1,
    strided: bool = False,
    depthwise: bool = False,
    gain: float = ACTIVE_GAIN,
) -> nn.Module:
    """A convolution and its norm: without a bias in front of a norm, with scaled weights without one.

    In a supernet it holds the weights of all norms, and cannot be computed.
    """
    before, after, norms = largest(channels), largest(width), questions.norm.labels
    if strided and questions.down.labels == ("stride",):
        stride = 2
    kind: Callable[..., nn.Conv2d] = partial(nn.Conv2d, bias=False)
    if "none" in norms:
        kind = partial(ScaledConv2d, gain=gain)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = kind(before, after, size, stride, size // 2 * (size % 2), groups=before if depthwise else 1)
    if "batch" in norms:
        layers["norm"] = nn.BatchNorm2d(after)
    if "group" in norms:
        layers["group"] = nn.GroupNorm(after // CHANNEL_GROUP, after, eps=EPSILON)
    return nn.Sequential(layers)


def halve(kind: str, inputs: Tensor) -> Tensor:
    """Pool ``(n, channels, height, width)`` to half the height and width, by ``max`` or ``avg``, but not below one."""
    if min(inputs.shape[2:]) < 2:
        return inputs
    if kind == "max":
        return F.max_pool2d(inputs, 2)
    return halve_by_mean(inputs, up=False)
