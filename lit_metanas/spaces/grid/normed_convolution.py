"""Convolutions with a choice of norm: batch-norm, group norm, or none and scaled weights."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.builder import Builder, Make
from lit_metanas.spaces.forward_pass import Number, OpenChoice, OpenNumber, largest
from lit_metanas.spaces.mixed_layers import CountedFlops, MixedNorm, SlicedConv2d, weigh
from lit_metanas.spaces.operations import EPSILON, halve_by_mean, leading_part

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


def scaled_kernel(weight: Tensor, gain: Tensor, present: Tensor | None = None) -> Tensor:
    """Weights ``(out, in, k, k)`` with, for each output, a mean of 0 and squares that sum to that of its gain."""
    # `present` says in which shares of a mixture of widths the channels `(in,)` are there; None if all are.
    if present is None:
        centred = weight - weight.mean((1, 2, 3), keepdim=True)
        squares = (centred * centred).sum((1, 2, 3), keepdim=True)
    else:
        shares = present[:, None, None].to(weight).expand_as(weight[0])
        centred = weight - (weight * shares).sum((1, 2, 3), keepdim=True) / shares.sum()
        squares = (centred * centred * shares).sum((1, 2, 3), keepdim=True)
    return centred * (gain[:, None, None, None] * squares.clamp(min=LEAST_SQUARES).rsqrt())


class OpenGridConv(SlicedConv2d):
    """A convolution of a supernet, whose stride and scaling depend on choices, and whose numbers of channels may."""

    def __init__(
        self,
        questions: GridQuestions,
        channels: Number,
        width: Number,
        size: int,
        *,
        stride: int,
        strided: bool,
        depthwise: bool,
        gain: float,
    ) -> None:
        super().__init__(channels, width, size, stride=stride, depthwise=depthwise)
        self.questions, self.strided = questions, strided
        if size % 2 == 0:
            self.padding = (0, 0)
        if "none" in questions.norm.labels:
            self.gain = nn.Parameter(torch.full((largest(width),), gain))
            self.bias = nn.Parameter(torch.zeros(largest(width)))

    def forward(self, inputs: Tensor, norm: str = "") -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``, before a norm."""
        weight, bias = self.kernel(inputs.shape[1])
        if norm == "none":
            weight = scaled_kernel(weight, leading_part(self.gain, len(weight)), self._present())
        else:
            bias = None
        stride, groups = self.stride, inputs.shape[1] // weight.shape[1]
        if self.strided and list(self.questions.down.computed_labels()) == ["stride"]:
            stride = (2, 2)
        return F.conv2d(inputs, weight, bias, stride, self.padding, groups=groups)

    def _present(self) -> Tensor | None:
        if self.groups == 1 and isinstance(self.channels, OpenNumber):
            return self.channels.weights()
        return None

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``; each norm has a convolution of its own."""
        norm = self.questions.norm
        return self.share(count.whole(self)) * len(norm.computed_labels()) // len(norm.labels)


class OpenGroupNorm(nn.GroupNorm):
    """Group norm of a supernet: fewer channels are the leading groups."""

    def __init__(self, width: Number) -> None:
        super().__init__(largest(width) // CHANNEL_GROUP, largest(width), eps=EPSILON)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)``, unchanged."""
        channels = inputs.shape[1]
        scale, shift = leading_part(self.weight, channels), leading_part(self.bias, channels)
        return F.group_norm(inputs, channels // CHANNEL_GROUP, scale, shift, self.eps)


class OpenNormedConv(nn.Module):
    """A convolution of a supernet and its choice of norms, behind which the channels of an open width are weighed."""

    def __init__(self, conv: OpenGridConv, *, weighed: bool) -> None:
        super().__init__()
        self.conv, self.weighed = conv, weighed
        self.choice = conv.questions.norm
        if "batch" in self.choice.labels:
            self.norm = MixedNorm(largest(conv.width), affine=True)
        if "group" in self.choice.labels:
            self.group = OpenGroupNorm(conv.width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        outputs = self.choice.combine(lambda label: self._normed(inputs, label))
        return weigh(outputs, self.conv.width) if self.weighed else outputs

    def _normed(self, inputs: Tensor, label: str) -> Tensor:
        outputs: Tensor = self.conv(inputs, norm=label)
        if label == "batch":
            return self.norm(outputs)
        if label == "group":
            return self.group(outputs)
        return outputs


def normed_conv(
    build: Builder,
    questions: GridQuestions,
    channels: Number,
    width: Number,
    size: int,
    *,
    stride: int = 1,
    strided: bool = False,
    depthwise: bool = False,
    gain: float = ACTIVE_GAIN,
    weighed: bool = True,
) -> nn.Module:
    """A convolution and its norm: without a bias in front of a norm, with scaled weights without one."""
    if build.mixed:
        conv = OpenGridConv(
            questions, channels, width, size, stride=stride, strided=strided, depthwise=depthwise, gain=gain
        )
        return OpenNormedConv(conv, weighed=weighed)
    before, after, (norm,) = largest(channels), largest(width), questions.norm.labels
    if strided and questions.down.labels == ("stride",):
        stride = 2
    kind = partial(nn.Conv2d, bias=False) if norm != "none" else partial(ScaledConv2d, gain=gain)
    padding = size // 2 * (size % 2)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = kind(before, after, size, stride, padding, groups=before if depthwise else 1)
    if norm == "batch":
        layers["norm"] = build.norm(after)
    elif norm == "group":
        layers["group"] = nn.GroupNorm(after // CHANNEL_GROUP, after, eps=EPSILON)
    return nn.Sequential(layers)


def halve(kind: str, inputs: Tensor) -> Tensor:
    """Pool ``(n, channels, height, width)`` to half the height and width, by ``max`` or ``avg``, but not below one."""
    if min(inputs.shape[2:]) < 2:
        return inputs
    if kind == "max":
        return F.max_pool2d(inputs, 2)
    return halve_by_mean(inputs, up=False)
