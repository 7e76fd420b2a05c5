"""The layered search space: a stack of convolution blocks with choices in each or one choice for all, and a readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import check_dropouts, check_known, check_positive, restrict
from lit_metanas.spaces.builder import Builder, LayerStack, Make, StackLayout
from lit_metanas.spaces.mixed_layers import SlicedLayerNorm, averages, statistics_of
from lit_metanas.spaces.mixture import Number, OpenChoice, computed_value, largest
from lit_metanas.spaces.operations import (
    ACTIVATIONS,
    INCREASING,
    MAP_READOUTS,
    NORMS,
    POOLS,
    ROUNDINGS,
    SKIPS,
    halve,
    leading_part,
    padded,
    rectified,
)
from lit_metanas.spaces.space import SearchSpace

Mix = Literal["merged", "normalised"]


@dataclass(frozen=True, kw_only=True)
class LayeredLayout(StackLayout):
    """The open questions of a layered network, and how a soft mixture of kernels is computed."""

    readouts: tuple[str, ...]
    roundings: tuple[str, ...]
    mix: Mix


class Shift(nn.Module):
    """A constant for each channel, where there is no norm."""

    def __init__(self, width: Number) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(largest(width)))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)``, unchanged."""
        return inputs + leading_part(self.shift, inputs.shape[1])[:, None, None]


class LayeredBlock(nn.Module):
    """Convolution and norm, what a residual skip adds, activation, pooling and dropout."""

    def __init__(self, build: Builder, layout: LayeredLayout, prefix: str, channels: Number) -> None:
        super().__init__()
        self.asked = {group: build.question(prefix + group, labels) for group, labels in layout.questions.items()}
        self.merged = layout.mix == "merged"
        self.channels = channels
        self.width = width = build.number(f"{prefix}width", layout.widths)

        def choice(group: str, makers: Mapping[str, Make | None], norm: Make | None = None) -> nn.Module:
            return build.choice(prefix + group, {label: makers[label] for label in layout.questions[group]}, norm=norm)

        def convolution(size: int, norm: Make | None = None) -> nn.Module:
            layer = build.conv(channels, width, size)
            if build.mixed:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            return layer if norm is None else nn.Sequential(layer, norm())

        # Channels are weighed behind the activation, which need not keep a zero, and not by batch-norm.
        norms: dict[str, Make] = {
            "batch": partial(build.norm, largest(width)),
            "layer": partial(SlicedLayerNorm, width),
            "none": partial(Shift, width),
        }
        norm = partial(choice, "norm", norms)
        # Kernels that each have a norm of their own are not mixed as one convolution.
        own, common = (None, norm) if self.merged else (norm, None)
        kernels = {label: partial(convolution, int(label), own) for label in layout.questions["kernel"]}
        self.conv = choice("kernel", kernels, common)
        self.skip = choice("skip", {"none": None, "residual": partial(convolution, 1)}, norm)
        self.activation = choice("activation", ACTIVATIONS)
        self.units = build.channels(width)
        self.dropout = build.dropout(f"{prefix}dropout", [float(rate) for rate in layout.questions["dropout"]], width)

    def forward(self, inputs: Tensor, up: bool) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs: Tensor = self.conv(inputs)
        if (added := self.skip(inputs)) is not None:
            outputs = outputs + added
        if min(outputs.shape[2:]) == 1:
            outputs = self._activate(outputs)
        elif self._pools_first():
            outputs = self._activate(self._pool(outputs, up))
        else:
            outputs = self._pool(self._activate(outputs), up)
        return self.dropout(self.units(outputs))

    def _pools_first(self) -> bool:
        # The maximum of increasing values is the value of the maximum, for a quarter of the activations.
        increasing = INCREASING.issuperset(self.asked["activation"].computed_labels())
        return increasing and set(self.asked["pool"].computed_labels()) == {"max"}

    def _activate(self, inputs: Tensor) -> Tensor:
        activation = self.asked["activation"]
        if activation.name and tuple(activation.computed_labels()) == ("ReLU",):
            return activation.combine(lambda label: rectified(inputs))
        return self.activation(inputs)

    def _pool(self, inputs: Tensor, up: bool) -> Tensor:
        return self.asked["pool"].combine(partial(halve, inputs=inputs, up=up))

    def computed_weights(self) -> int:
        """Those of the convolutions under the gates of the current forward pass: multiply-adds for each pixel."""
        taps = [int(label) ** 2 for label in self.asked["kernel"].computed_labels()]
        total = max(taps) if self.merged else sum(taps)
        total += "residual" in self.asked["skip"].computed_labels()
        return total * computed_value(self.channels) * computed_value(self.width)


def map_sizes(height: int, width: int, blocks: int, *, up: bool) -> list[tuple[int, int]]:
    """Height and width before each block and after the last: halved, perhaps rounded up, while larger than one."""
    result = [(height, width)]
    for _ in range(blocks):
        if min(height, width) > 1:
            height, width = (height + up) // 2, (width + up) // 2
        result.append((height, width))
    return result


class LayeredNetwork(LayerStack):
    """Blocks, of which the first few are computed; what is read from the last is padded to the largest number."""

    def __init__(self, build: Builder, layout: LayeredLayout, shape: Shape) -> None:
        super().__init__(build, layout)
        # A space without these choices has one label of each.
        self.readout, self.rounding = OpenChoice(layout.readouts), OpenChoice(layout.roundings)
        if layout.readouts != ("average",):
            self.readout = build.question("readout", layout.readouts)
        if layout.roundings != ("down",):
            self.rounding = build.question("rounding", layout.roundings)
        channels, height, width = image_shape(shape)
        widths: list[Number] = [channels]
        self.layers = nn.ModuleDict()
        for place, prefix in self.places(build, layout):
            self.layers[str(place)] = block = LayeredBlock(build, layout, prefix, widths[-1])
            widths.append(block.width)
        self.sizes = {
            label: map_sizes(height, width, max(self.depths), up=label == "up") for label in self.rounding.labels
        }
        flat = "flat" in self.readout.labels
        self.known_features = max(
            largest(widths[depth]) * prod(sizes[depth] if flat else ())
            for depth in self.depths
            for sizes in self.sizes.values()
        )

    @property
    def known_flops(self) -> int:
        """Multiply-adds for one input, under the gates of the current forward pass if there are any."""
        blocks = [layer for layer in self.computed_layers() if isinstance(layer, LayeredBlock)]
        return sum(
            block.computed_weights() * height * width
            for label in self.rounding.computed_labels()
            for block, (height, width) in zip(blocks, self.sizes[label], strict=False)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to features ``(n, features)``."""
        return self.rounding.combine(partial(self._rounded, inputs))

    def _rounded(self, inputs: Tensor, rounding: str) -> Tensor:
        part = ""
        if self.rounding.gate().index is None:
            part = f"{rounding}."  # since maps of other sizes have other means and variances
        read: dict[str, Tensor] = {}
        with statistics_of(part):
            for place, layer in enumerate(self.computed_layers(), start=1):
                inputs = layer(inputs, rounding == "up")
                if place in self.computed_depths():
                    read[str(place)] = self.readout.combine(partial(self._read, inputs))
        return self.depth.combine(read.__getitem__)

    def _read(self, inputs: Tensor, label: str) -> Tensor:
        features = inputs.flatten(1) if label == "flat" else averages(inputs)
        return padded(features, self.known_features)


class LayeredSpace(SearchSpace):
    """Blocks of convolution, normalisation, activation, pooling and dropout, and what reads the last map.

    With the default arguments and ``shared`` the space has 3 * 2 * 3 * 3 = 54 architectures. A block halves the
    image as long as it is larger than one pixel. A ``residual`` skip adds a normalised 1x1 convolution of the
    block's input before the activation.

    Args:
        kernels: sizes of the convolution, odd.
        pools: ``max``, ``avg``.
        activations: names of activations, such as ``ReLU``, ``Sigmoid``, ``Tanh``.
        dropouts: probabilities that a channel is dropped at the end of a block (Tompson et al. 2015).
        depths: numbers of blocks.
        widths: numbers of channels.
        skips: ``none``, ``residual``.
        norms: ``batch``, ``layer``, ``none``.
        readouts: what the features are: the ``average`` of each channel, or all values of the last map (``flat``). One
            choice for the network, which the space lacks where there is no other than the average.
        roundings: how an odd height or width is halved: ``down`` leaves the last row or column out, ``up`` pools it by
            itself. One choice for the network, which the space lacks where there is no other than ``down``.
        shared: one choice for the whole network instead of one a block; depth is always one choice.
        fixed: labels that single choices are restricted to, for instance ``{layer1.width: ["16"]}``.
        mix: how a soft mixture of kernels is computed: ``merged`` into one convolution before the normalisation,
            or each candidate ``normalised`` and then mixed.

    Raises:
        ValueError: a label is unknown or cannot be built.

    Example:
        >>> space = lm.LayeredSpace(kernels=(3, 5), depths=(3, 4), widths=(16,), shared=True)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    layer_questions = ("kernel", "width", "norm", "skip", "activation", "pool", "rounding", "dropout")

    def __init__(
        self,
        *,
        kernels: Sequence[int] = (3, 5, 7),
        pools: Sequence[str] = ("max", "avg"),
        activations: Sequence[str] = ("ReLU", "Sigmoid", "Tanh"),
        dropouts: Sequence[float] = (0.0, 0.2, 0.5),
        depths: Sequence[int] = (4,),
        widths: Sequence[int] = (32,),
        skips: Sequence[str] = ("none",),
        norms: Sequence[str] = ("batch",),
        readouts: Sequence[str] = ("average",),
        roundings: Sequence[str] = ("down",),
        shared: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
        mix: Mix = "merged",
    ) -> None:
        for size in kernels:
            if size < 1 or size % 2 == 0:
                raise ValueError(f"{self.name}: kernel size {size} is not odd and positive: use 1, 3, 5, 7, …")
        check_dropouts(self.name, dropouts)
        check_positive(
            self.name, {"the least depth": min(depths, default=1), "the least width": min(widths, default=1)}
        )
        check_known(self.name, "mix", (mix,), get_args(Mix))
        self.layout = LayeredLayout(
            questions={
                "kernel": tuple(map(str, kernels)),
                "width": tuple(map(str, widths)),
                "norm": check_known(self.name, "norms", norms, NORMS),
                "skip": check_known(self.name, "skips", skips, SKIPS),
                "activation": check_known(self.name, "activations", activations, ACTIVATIONS),
                "pool": check_known(self.name, "pools", pools, POOLS),
                "dropout": tuple(f"{rate:g}" for rate in dropouts),
            },
            depths=tuple(sorted(depths)),
            widths=tuple(widths),
            shared=shared,
            readouts=check_known(self.name, "readouts", readouts, MAP_READOUTS),
            roundings=check_known(self.name, "roundings", roundings, ROUNDINGS),
            mix=mix,
        )
        self.choices = restrict(self.choices, fixed or {}, self.name)

    def body(self, shape: Shape, build: Builder) -> LayeredNetwork:
        """The blocks, and what reads their last map."""
        return LayeredNetwork(build, self.layout, shape)
