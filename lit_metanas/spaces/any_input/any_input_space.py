"""The same choices for images, series and sequences of tokens, and the space of a search that is given none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Self

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import ImageShape, RowShape, SeriesShape, Shape, TokenShape, as_shape
from lit_metanas.spaces.architecture import Architecture, check_known, check_positive, labels_of
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.builder import Builder, LayerStack, Make
from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.spaces.forward_pass import largest
from lit_metanas.spaces.grid import GridSpace
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.mlp import MLPSpace
from lit_metanas.spaces.operations import POOLS
from lit_metanas.spaces.sequence.sequence_network import SequenceLayer, SequenceLayout, make_readout
from lit_metanas.spaces.sequence.sequence_space import SequenceSpace, refuse_widths
from lit_metanas.spaces.sequence.step_context import Steps, telling_steps
from lit_metanas.spaces.sequence.step_operations import OPERATIONS
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Supernet

ANY_READOUTS = ("mean", "max", "attention")
"""That mean the same for the pixels of an image as for the steps of a sequence."""


class OnGrid(nn.Module):
    """A layer from images to images, on steps that are the pixels of one, row by row."""

    def __init__(self, layer: nn.Module, height: int, width: int) -> None:
        super().__init__()
        self.layer = layer
        self.size = (height, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height * width)`` to the pixels of what the layer makes."""
        outputs: Tensor = self.layer(inputs.unflatten(2, self.size))
        return outputs.flatten(2)


def _convolution(width: int, *, size: int, dilation: int = 1) -> nn.Module:
    return nn.Conv2d(width, width, size, padding=size // 2 * dilation, dilation=dilation)


def _separable(width: int, *, size: int) -> nn.Module:
    depthwise = nn.Conv2d(width, width, size, padding=size // 2, groups=width, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(width, width, 1))


IMAGE_OPERATIONS: Mapping[str, Callable[[int], nn.Module]] = {
    **{f"conv_{size}": partial(_convolution, size=size) for size in (3, 5, 7)},
    **{f"sep_conv_{size}": partial(_separable, size=size) for size in (3, 5, 7)},
    "dil_conv_3": partial(_convolution, size=3, dilation=2),
    "max_pool_3": lambda width: nn.MaxPool2d(3, 1, 1),
    "avg_pool_3": lambda width: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
}
"""Operations that look at neighbours, as they are for images; all others take the pixels as steps."""


class GridNetwork(LayerStack):
    """The sequence space's layers on images: stem, layers on pixels, and a readout behind each number of layers."""

    def __init__(self, build: Builder, layout: SequenceLayout, shape: ImageShape, patch: int) -> None:
        super().__init__(build, layout)
        width = largest(build.number("width", layout.widths))
        self.stem = nn.Conv2d(shape.channels, width, patch, patch)
        self.layers, self.readouts = nn.ModuleDict(), nn.ModuleDict()
        size = (shape.height // patch, shape.width // patch)
        if min(size) < 1:
            raise ValueError(
                f"Images of {shape.height}x{shape.width} pixels are smaller than 'patch', {patch}: lower it."
            )
        for place in range(1, max(self.depths) + 1):
            operations: dict[str, Make] = {
                label: partial(make, width, prod(size), layout.positions) for label, make in OPERATIONS.items()
            }
            operations |= {label: partial(_on_grid, size, make, width) for label, make in IMAGE_OPERATIONS.items()}
            pools = {label: partial(_on_grid, size, kind, 2, 2, ceil_mode=True) for label, kind in POOLS.items()}
            with self.asking(build, layout, place) as prefix:
                layer = SequenceLayer(build, layout, prefix, operations=operations, pools=pools, width=width)
            self.layers[str(place)] = layer
            size = (-(-size[0] // layer.stride), -(-size[1] // layer.stride))
            if place in self.depths:
                self.readouts[str(place)] = make_readout(build, layout, width, prod(size))

    def forward(self, inputs: Tensor) -> Tensor:
        """Images ``(n, channels, height, width)`` to features ``(n, width)``."""
        outputs: Tensor = self.stem(inputs).flatten(2)
        features: dict[str, Tensor] = {}
        for place, layer in enumerate(self.computed_layers(), start=1):
            with telling_steps(_all_steps(outputs)):
                outputs = layer(outputs)
            if place in self.computed_depths():
                with telling_steps(_all_steps(outputs)):
                    features[str(place)] = self.readouts[str(place)](outputs)
        return self.depth.combine(features.__getitem__)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        readouts = (self.readouts[str(depth)] for depth in self.computed_depths())
        return super().computed_flops(count) + sum(map(count.computed, (self.stem, *readouts)))


def _on_grid(size: tuple[int, int], make: Callable[..., nn.Module], *arguments: int, **options: bool) -> nn.Module:
    return OnGrid(make(*arguments, **options), *size)


def _all_steps(outputs: Tensor) -> Steps:
    return Steps(torch.ones_like(outputs[:, 0], dtype=torch.bool))


class AnyInputSpace(SearchSpace):
    """One set of choices for images, series and tokens, so that what is learned on one kind serves another.

    An architecture is one of ``SequenceSpace``. For series and tokens it is the network there. For images a convolution
    of ``patch`` times ``patch`` pixels makes the first channels; convolutions and pools look at neighbours in both
    directions; attention and recurrent units take the pixels as steps, row by row.

    Args:
        operations: candidates of each layer, as in ``SequenceSpace``.
        activations: names of activations.
        dropouts: probabilities that a channel is dropped.
        skips: ``none``, ``residual``.
        pools: ``max`` and ``avg``, which halve the steps, or height and width; or ``none`` alone.
        depths: numbers of layers.
        widths: numbers of channels.
        readouts: ``mean``, ``max``, ``attention``, over steps or pixels.
        patch: pixels a side of an image that become one.
        shared: one choice for all layers instead of one a layer.

    Raises:
        ValueError: a label is unknown or cannot be built.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.spaces.AnyInputSpace(widths=(16,))
        >>> architecture = space.sample(torch.Generator())
        >>> shapes = [lm.ImageShape(3, 32, 32), lm.SeriesShape(6, 40), lm.TokenShape(100, 20)]
        >>> [space.cost(architecture, shape, way=5).parameters > 0 for shape in shapes]
        [True, True, True]
    """

    shapes = (ImageShape, SeriesShape, TokenShape)

    def __init__(
        self,
        *,
        operations: Sequence[str] = ("conv_3", "conv_5", "sep_conv_5", "gated_linear", "attention_4", "gru"),
        activations: Sequence[str] = ("ReLU", "Tanh", "GELU"),
        dropouts: Sequence[float] = (0.0, 0.2, 0.5),
        skips: Sequence[str] = ("none", "residual"),
        pools: Sequence[str] = ("max", "avg"),
        depths: Sequence[int] = (1, 2, 3, 4),
        widths: Sequence[int] = (16, 32, 64),
        readouts: Sequence[str] = ANY_READOUTS,
        patch: int = 2,
        shared: bool = True,
    ) -> None:
        check_positive(self.name, {"patch": patch})
        check_known(self.name, "readouts", readouts, ANY_READOUTS)
        self.patch = patch
        self.sequences = SequenceSpace(
            operations=operations, activations=activations, dropouts=dropouts, skips=skips, pools=pools, depths=depths,
            widths=widths, readouts=readouts, shared=shared,
        )  # fmt: skip
        self.choices = self.sequences.choices

    @classmethod
    def layer_questions(cls, place: int) -> tuple[str, ...]:
        """See ``ChoiceSpace.layer_questions``."""
        return SequenceSpace.layer_questions(place)

    def body(self, shape: Shape, build: Builder) -> nn.Module:
        """The network of the kind of input."""
        found = as_shape(shape)
        if isinstance(found, ImageShape):
            return GridNetwork(build, self.sequences.layout, found, self.patch)
        return self.sequences.body(found, build)

    def supernet(self, shape: Shape) -> Supernet:
        """Build the network that holds all candidates; where several widths are left, it refuses to compute."""
        if not isinstance(as_shape(shape), ImageShape):
            return self.sequences.supernet(shape)
        left = labels_of(self.choices)
        features, refusal = refuse_widths(self.name, left["width"])
        return BodySupernet(self.body(shape, Builder(left)), shape, self.choices, features=features, refusal=refusal)

    def build(self, architecture: Architecture, shape: Shape, way: int) -> ChildNetwork:
        """The child with newly initialised weights: see ``child``."""
        if isinstance(as_shape(shape), ImageShape):
            return super().build(architecture, shape, way)
        return self.sequences.build(self.canonical(architecture), shape, way)

    def restricted(self, labels: Mapping[str, str]) -> Self:
        """The space in which the named choices have just the given label."""
        space = super().restricted(labels)
        space.sequences = self.sequences.restricted(labels)
        return space


def default_space(shape: Shape) -> SearchSpace:
    """The space of a search that is given none; for most of them the package ships records of other tasks.

    Example:
        >>> import lit_metanas as lm
        >>> lm.default_space((3, 32, 32)).name, lm.default_space(lm.TokenShape(100, 20)).name
        ('GridSpace', 'SequenceSpace')
    """
    kind = type(as_shape(shape))
    if kind is RowShape:
        return MLPSpace(shared=True)
    if kind is ImageShape:
        return GridSpace()
    operations, activations = ("conv_3", "conv_5", "sep_conv_7", "gated_linear", "attention_4", "gru"), ("ReLU", "GELU")
    if kind is SeriesShape:
        return SequenceSpace(
            operations=operations,
            activations=activations,
            dropouts=(0.0, 0.2),
            pools=("max", "avg"),
            widths=(32, 64),
            shared=True,
        )
    return SequenceSpace(
        operations=(*operations, "conv_2_to_5"),
        activations=activations,
        dropouts=(0.0, 0.2, 0.5),
        widths=(32, 64, 128),
        token_scale=0.1,  # 64 intents, four epochs: 87.2 where a scale of 1 gives 80
        shared=True,
    )
