"""The blocks of networks for grids: convolution, residual, inverted bottleneck, ConvNeXt-like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lit_metanas.spaces.builder import Builder, Make
from lit_metanas.spaces.forward_pass import Number
from lit_metanas.spaces.grid.normed_convolution import GridQuestions, normed_conv

SQUEEZES = ("none", "se")
SQUEEZED = 4
"""Channels for each one of a squeeze."""
MLP_EXPANSION = 4
"""Hidden channels of the two-layer network of a ConvNeXt-like block, for each channel."""


@dataclass(frozen=True, kw_only=True)
class BlockQuestions(GridQuestions):
    """What is asked for blocks, too."""

    expansions: Sequence[int]
    squeezes: Sequence[str]
    branch_dropouts: Sequence[float]


class Branch(nn.Module):
    """The sum of a block's input and its branch, which a training may drop, and which starts at zero without norms."""

    def __init__(self, build: Builder, questions: BlockQuestions) -> None:
        super().__init__()
        self.drop = build.branch_dropout("branch_dropout", questions.branch_dropouts)
        self.gain: nn.Parameter | None = None
        if "none" in questions.norm.labels:  # SkipInit (De and Smith 2020)
            self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, branch: Tensor, inputs: Tensor) -> Tensor:
        """Both of shape ``(n, channels, height, width)``, as is their sum."""
        if self.gain is not None:
            branch = branch * self.gain.to(branch.dtype)  # in the branch's precision, as its sum has to be
        return self.drop(branch) + inputs


class PlainBlock(nn.Module):
    """3x3 convolution, norm, activation."""

    def __init__(self, build: Builder, questions: BlockQuestions, channels: int, width: int, *, begins: bool) -> None:
        super().__init__()
        self.layer = normed_conv(questions, channels, width, 3, strided=begins)
        self.activation = questions.activation()

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        return self.activation(self.layer(inputs))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016), projected where a stage begins."""

    def __init__(self, build: Builder, questions: BlockQuestions, channels: int, width: int, *, begins: bool) -> None:
        super().__init__()
        self.first = normed_conv(questions, channels, width, 3, strided=begins)
        self.inner = questions.activation()
        self.second = normed_conv(questions, width, width, 3)
        self.shortcut: nn.Module | None = None
        if begins:
            self.shortcut = normed_conv(questions, channels, width, 1, strided=True, gain=1.0)
        self.branch = Branch(build, questions)
        self.activation = questions.activation()

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        branch = self.second(self.inner(self.first(inputs)))
        if self.shortcut is not None:
            inputs = self.shortcut(inputs)
        return self.activation(self.branch(branch, inputs))


class SqueezeExcitation(nn.Module):
    """Weighs channels by a network of their means (Hu et al. 2018)."""

    def __init__(self, build: Builder, width: Number) -> None:
        super().__init__()
        squeezed = width // SQUEEZED
        self.reduce = build.conv(width, squeezed, 1, bias=True)
        self.expand = build.conv(squeezed, width, 1, bias=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)``, unchanged."""
        means = inputs.mean((2, 3), keepdim=True)
        return inputs * self.expand(self.reduce(means).relu()).sigmoid()


class InvertedBlock(nn.Module):
    """1x1 expansion, 3x3 depthwise convolution and 1x1 projection (MobileNetV2, Sandler et al. 2018)."""

    def __init__(self, build: Builder, questions: BlockQuestions, channels: int, width: int, *, begins: bool) -> None:
        super().__init__()
        hidden = channels * build.number("expansion", questions.expansions)
        self.expand = normed_conv(questions, channels, hidden, 1, gain=1.0)
        self.inner = questions.activation()
        self.depthwise = normed_conv(questions, hidden, hidden, 3, strided=begins, depthwise=True)
        self.activation = questions.activation()
        makers: dict[str, Make] = {"none": nn.Identity, "se": partial(SqueezeExcitation, build, hidden)}
        self.squeeze = build.choice("squeeze", {label: makers[label] for label in questions.squeezes})
        self.project = normed_conv(questions, hidden, width, 1)
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

    def __init__(self, build: Builder, questions: BlockQuestions, channels: int, width: int, *, begins: bool) -> None:
        super().__init__()
        self.enter: nn.Module | None = None
        if begins:
            self.enter = normed_conv(questions, channels, width, 3, strided=True, gain=1.0)
        self.depthwise = normed_conv(questions, width, width, 7, depthwise=True, gain=1.0)
        hidden = MLP_EXPANSION * width
        self.expand = build.conv(width, hidden, 1, bias=True)
        self.activation = questions.activation()
        self.project = build.conv(hidden, width, 1, bias=True)
        self.branch = Branch(build, questions)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        if self.enter is not None:
            inputs = self.enter(inputs)
        hidden = self.activation(self.expand(self.depthwise(inputs)))
        return self.branch(self.project(hidden), inputs)


BLOCKS: Mapping[str, Callable[..., nn.Module]] = {
    "conv": PlainBlock,
    "residual": ResidualBlock,
    "inverted": InvertedBlock,
    "convnext": ConvNeXtBlock,
}
"""What makes each block, by label: from ``channels`` to ``width``; the first one of a later stage ``begins`` it."""
