"""The blocks of networks for grids: convolution, residual, inverted bottleneck, ConvNeXt-like; and their norms."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from lit_metanas.spaces.builder import Builder, Make
from lit_metanas.spaces.operations import ACTIVATIONS, EPSILON

GRID_NORMS = ("batch", "group", "none")
CHANNEL_GROUP = 8  # channels of a group of group norm, of which all numbers of channels are multiples
ACTIVE_GAIN = 1.7
"""What an activation takes from the deviation, which the next layer's weights give back: 1.71 for ReLU, 1.70 for GELU
and 1.79 for SiLU (Brock et al. 2021, appendix D)."""
LEAST_SQUARES = 1e-4  # sum of squares that weights of an output have at least
SQUEEZES = ("none", "se")
SQUEEZED = 4  # channels for each one of a squeeze
MLP_EXPANSION = 4  # hidden channels of the two-layer network of a ConvNeXt-like block, for each channel


Questions = Mapping[str, tuple[str, ...]]
"""The candidates of each choice of a network: ``stem``, ``stages``, ``block``, ``depth``, ``width`` and so on."""


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
    build: Builder,
    questions: Questions,
    channels: int,
    width: int,
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
    norms = build.question("norm", questions["norm"]).labels
    if strided and build.question("down", questions["down"]).labels == ("stride",):
        stride = 2
    kind: Callable[..., nn.Conv2d] = partial(nn.Conv2d, bias=False)
    if "none" in norms:
        kind = partial(ScaledConv2d, gain=gain)
    conv = kind(channels, width, size, stride, size // 2 * (size % 2), groups=channels if depthwise else 1)
    layers = OrderedDict[str, nn.Module](conv=conv)
    if "batch" in norms:
        layers["norm"] = nn.BatchNorm2d(width)
    if "group" in norms:
        layers["group"] = nn.GroupNorm(width // CHANNEL_GROUP, width, eps=EPSILON)
    return nn.Sequential(layers)


def activation(build: Builder, questions: Questions) -> nn.Module:
    """The activation, which is one choice for the whole network."""
    return build.choice("activation", {label: ACTIVATIONS[label] for label in questions["activation"]})


class Branch(nn.Module):
    """The sum of a block's input and its branch, which a training may drop, and which starts at zero without norms."""

    def __init__(self, build: Builder, questions: Questions) -> None:
        super().__init__()
        self.drop = build.branch_dropout("branch_dropout", list(map(float, questions["branch_dropout"])))
        self.gain: nn.Parameter | None = None
        if "none" in build.question("norm", questions["norm"]).labels:  # SkipInit (De and Smith 2020)
            self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, branch: Tensor, inputs: Tensor) -> Tensor:
        """Both of shape ``(n, channels, height, width)``, as is their sum."""
        if self.gain is not None:
            branch = branch * self.gain.to(branch.dtype)  # in the branch's precision, as its sum has to be
        return self.drop(branch) + inputs


def plain_block(build: Builder, questions: Questions, channels: int, width: int, *, begins: bool) -> nn.Module:
    """3x3 convolution, norm, activation."""
    layer = normed_conv(build, questions, channels, width, 3, strided=begins)
    return nn.Sequential(OrderedDict(layer=layer, activation=activation(build, questions)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016), projected where a stage begins."""

    def __init__(self, build: Builder, questions: Questions, channels: int, width: int, *, begins: bool) -> None:
        super().__init__()
        self.first = normed_conv(build, questions, channels, width, 3, strided=begins)
        self.inner = activation(build, questions)
        self.second = normed_conv(build, questions, width, width, 3)
        self.shortcut: nn.Module = nn.Identity()
        if begins:
            self.shortcut = normed_conv(build, questions, channels, width, 1, strided=True, gain=1.0)
        self.branch = Branch(build, questions)
        self.activation = activation(build, questions)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        branch = self.second(self.inner(self.first(inputs)))
        return self.activation(self.branch(branch, self.shortcut(inputs)))


class SqueezeExcitation(nn.Module):
    """Weighs channels by a network of their means (Hu et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, width // SQUEEZED, 1)
        self.expand = nn.Conv2d(width // SQUEEZED, width, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)``, unchanged."""
        return inputs * self.expand(self.reduce(inputs.mean((2, 3), keepdim=True)).relu()).sigmoid()


class InvertedBlock(nn.Module):
    """1x1 expansion, 3x3 depthwise convolution and 1x1 projection (MobileNetV2, Sandler et al. 2018)."""

    def __init__(self, build: Builder, questions: Questions, channels: int, width: int, *, begins: bool) -> None:
        super().__init__()
        hidden = channels * max(map(int, build.question("expansion", questions["expansion"]).labels))
        self.expand = normed_conv(build, questions, channels, hidden, 1, gain=1.0)
        self.inner = activation(build, questions)
        self.depthwise = normed_conv(build, questions, hidden, hidden, 3, strided=begins, depthwise=True)
        self.activation = activation(build, questions)
        makers: dict[str, Make] = {"none": nn.Identity, "se": partial(SqueezeExcitation, hidden)}
        self.squeeze = build.choice("squeeze", {label: makers[label] for label in questions["squeeze"]})
        self.project = normed_conv(build, questions, hidden, width, 1)
        self.branch = None if begins else Branch(build, questions)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        hidden = self.activation(self.depthwise(self.inner(self.expand(inputs))))
        outputs: Tensor = self.project(self.squeeze(hidden))
        if self.branch is None:
            return outputs
        return self.branch(outputs, inputs)


class ConvNeXtBlock(nn.Module):
    """7x7 depthwise convolution, norm, and a two-layer network of each pixel, beside a shortcut (Liu et al. 2022)."""

    # Departures from the paper: the norm is a choice, there is no scale of the branch with norms, and a 3x3 convolution
    # leads into a later stage instead of a 2x2 one, so that it is the same with pooling.

    def __init__(self, build: Builder, questions: Questions, channels: int, width: int, *, begins: bool) -> None:
        super().__init__()
        self.enter: nn.Module = nn.Identity()
        if begins:
            self.enter = normed_conv(build, questions, channels, width, 3, strided=True, gain=1.0)
        self.depthwise = normed_conv(build, questions, width, width, 7, depthwise=True, gain=1.0)
        hidden = MLP_EXPANSION * width
        self.expand = nn.Conv2d(width, hidden, 1)
        self.activation = activation(build, questions)
        self.project = nn.Conv2d(hidden, width, 1)
        self.branch = Branch(build, questions)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        inputs = self.enter(inputs)
        return self.branch(self.project(self.activation(self.expand(self.depthwise(inputs)))), inputs)


BLOCKS: Mapping[str, Callable[..., nn.Module]] = {
    "conv": plain_block,
    "residual": ResidualBlock,
    "inverted": InvertedBlock,
    "convnext": ConvNeXtBlock,
}
"""What makes each block, by label: from ``channels`` to ``width``; the first one of a later stage ``begins`` it."""
