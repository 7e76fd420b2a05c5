"""The macro search space for images and other grids, and its network: stem, stages of blocks, readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import ImageShape, SeriesShape, Shape, as_shape
from lit_metanas.spaces.architecture import (
    Architecture,
    check_dropouts,
    check_given,
    check_known,
    check_positive,
    labels_of,
    restrict,
)
from lit_metanas.spaces.body_networks import UnsharedChild
from lit_metanas.spaces.builder import Builder, Make
from lit_metanas.spaces.grid.grid_blocks import (
    BLOCKS,
    CHANNEL_GROUP,
    GRID_NORMS,
    SQUEEZES,
    Questions,
    activation,
    normed_conv,
)
from lit_metanas.spaces.mixed_layers import averages
from lit_metanas.spaces.operations import ACTIVATIONS, halve, padded
from lit_metanas.spaces.space import ONE_BY_ONE, SearchSpace

STEMS: Mapping[str, tuple[int, int]] = {"conv": (3, 1), "conv_2": (3, 2), "patch_2": (2, 2), "patch_4": (4, 4)}
"""Size and stride of the first convolution, by label."""
GROWTHS: Mapping[str, tuple[float, float]] = {
    "1": (1.0, 1.0),
    "1.5": (1.5, float("inf")),
    "2": (2.0, float("inf")),
    "2_to_4": (2.0, 4.0),
}
"""How many times as wide a stage is as the one before, and the most that the last is to the first, by label."""
DOWNS = ("max", "avg", "stride")
GRID_READOUTS = ("flat", "average", "gem")
MOST_FLAT = 4  # height and width up to which a last map is read as it is; a larger one is averaged in patches


def stage_width(width: str, growth: str, *, place: int, most: int) -> int:
    """Channels of a stage, by the labels of both choices; places count from 1."""
    factor, limit = GROWTHS[growth]
    channels = int(width) * min(limit, factor ** (place - 1))
    # The nearest multiple that is at least 0.9 of the channels, as in MobileNetV2's networks.
    nearest = max(CHANNEL_GROUP, int(channels + CHANNEL_GROUP / 2) // CHANNEL_GROUP * CHANNEL_GROUP)
    return min(most, nearest + CHANNEL_GROUP * (nearest < 0.9 * channels))


class SeriesImage(nn.Module):
    """Series as images: steps from top to bottom, features from left to right."""

    # A long series has several neighbouring steps in one row, as channels, so that there are no more rows than columns,
    # and an image of 250 steps costs little more than one of 32. The last channel is the share of a row's steps that
    # lie within the example.

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__()
        columns, self.joined = max(1, shape.features - 1), 1
        while shape.steps > self.joined * columns:
            self.joined *= 2
        self.steps = shape.steps
        self.shape = ImageShape(self.joined + 1, -(-shape.steps // self.joined), columns)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, features, steps)`` to ``(n, channels, height, width)``; channels last."""
        if inputs.shape[2] > self.steps:
            raise ValueError(
                f"An input has {inputs.shape[2]} steps, and the network is for up to {self.steps}: cut it."
            )
        inputs = padded(inputs, self.shape.height * self.joined)
        rows = inputs.unflatten(2, (self.shape.height, self.joined)).transpose(1, 2)  # (n, height, features, joined)
        within = rows[:, :, -1:].mean(3, keepdim=True).expand(-1, -1, self.shape.width, -1)
        return torch.cat([rows[:, :, :-1], within], 3).permute(0, 3, 1, 2)


class GridReadout(nn.Module):
    """The features of a last map: means of channels, generalised means (GeM), or all of a small map."""

    def __init__(self, readouts: Sequence[str]) -> None:
        super().__init__()
        self.readouts = readouts
        self.power = nn.Parameter(torch.full((1,), 3.0)) if "gem" in readouts else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, features)``, by the one readout of a child."""
        (label,) = self.readouts
        if label == "average":
            return averages(inputs)
        if self.power is not None:
            # Radenovic et al. 2019, equation 3; its p is one number for all channels.
            return averages(inputs.clamp(min=1e-6).pow(self.power)).pow(1 / self.power)
        sides = [-(-side // MOST_FLAT) for side in inputs.shape[2:]]
        if max(sides) > 1:
            inputs = F.avg_pool2d(inputs, sides, ceil_mode=True, count_include_pad=False)
        return inputs.flatten(1)


class StagedNetwork(nn.Module):
    """Stem, stages and readout: with several candidates it holds the weights of all, and cannot be computed."""

    def __init__(self, build: Builder, questions: Questions, shape: ImageShape | SeriesShape, most: int) -> None:
        super().__init__()
        self.questions = questions
        self.image: SeriesImage | None = None
        if isinstance(shape, SeriesShape):
            self.image = SeriesImage(shape)
            shape = self.image.shape
        self.stem = build.question("stem", questions["stem"])
        depths = build.question("stages", questions["stages"])
        build.question("block", questions["block"])
        widths = build.question("width", questions["width"])
        growths = build.question("growth", questions["growth"])
        self.down = build.question("down", questions["down"])

        def width(place: int) -> int:
            return max(stage_width(*pair, place=place, most=most) for pair in product(widths.labels, growths.labels))

        channels = width(1)
        stem = partial(normed_conv, build, questions, shape.channels, channels, gain=1.0)
        sizes = {label: STEMS[label] for label in self.stem.labels}
        self.stems = nn.ModuleDict({label: stem(size, stride=stride) for label, (size, stride) in sizes.items()})
        self.activation = activation(build, questions)
        self.stages = nn.ModuleList()
        for place in range(1, max(map(int, depths.labels)) + 1):
            with build.where("stages", [label for label in questions["stages"] if int(label) >= place]):
                before, channels = channels, width(place)
                self.stages.append(self._stage(build, place, before, channels))
        self.known_features = channels
        if "flat" in questions["readout"]:
            self.known_features *= min(shape.height, MOST_FLAT) * min(shape.width, MOST_FLAT)
        self.readout = GridReadout(build.question("readout", questions["readout"]).labels)
        self.dropout = build.dropout("dropout", list(map(float, questions["dropout"])), self.known_features)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images ``(n, channels, height, width)`` or series ``(n, features, steps)`` to features ``(n, features)``."""
        if self.image is not None:
            inputs = self.image(inputs)
        (stem,), (down,) = self.stem.labels, self.down.labels
        outputs: Tensor = self.activation(self.stems[stem](inputs))
        for stage in self.stages:
            outputs = stage(outputs)
            if down != "stride" and min(outputs.shape[2:]) > 1:
                outputs = halve(down, outputs, up=False)
        return self.dropout(self.readout(outputs))

    def _stage(self, build: Builder, place: int, before: int, width: int) -> nn.Module:

        def block(number: int) -> nn.Module:
            channels, begins = (before, place > 1) if number == 1 else (width, False)
            made: dict[str, Make] = {
                label: partial(BLOCKS[label], build, self.questions, channels, width, begins=begins)
                for label in self.questions["block"]
            }
            if place == number == 1 and "conv" in made:
                made["conv"] = nn.Identity  # the stem is the first convolution
            return build.choice("block", made)

        depths = list(map(int, self.questions["depth"]))
        blocks = [partial(block, number) for number in range(1, max(depths) + 1)]
        return build.depth(f"stage{place}.depth", blocks, depths)


class GridSpace(SearchSpace):
    """Networks in stages for images, and for spectrograms as images: what a good engineer would try.

    A stem of one convolution is followed by stages of equal blocks, each stage at half the resolution of the one
    before, and by a readout. VGG and Conv-4 (Vinyals et al. 2016), ResNet (He et al. 2016), MobileNetV2 (Sandler et
    al. 2018) and ConvNeXt (Liu et al. 2022) are points of the space, in small. Labels that do not matter are dropped:
    those of other blocks, and of stages that are not there. Where two growths give the same widths, the architecture
    has the first one.

    With pooling each stage ends in it, as in VGG, so that there are as many as stages. With strides each stage but the
    first begins with one, as in ResNet. Narrow networks have the leading channels of wide ones.

    Searches that share weights need another space: networks of such different structure share no computation.

    Series, such as spectra, are images with a row for each step and a column for each feature. Where they are long,
    several neighbouring steps are one row, as channels.

    Args:
        stems: the first convolution: ``conv`` of 3x3 pixels, ``conv_2`` with stride 2, or ``patch_2`` and ``patch_4``
            for patches of that many pixels. For ``conv`` blocks it is the first block.
        stages: numbers of stages.
        blocks: ``conv`` is a 3x3 convolution with norm and activation; ``residual`` has two of them and a shortcut;
            ``inverted`` expands, convolves each channel and projects; ``convnext`` convolves each channel by 7x7 pixels
            and has a two-layer network of each pixel.
        depths: numbers of blocks of a stage, one choice for each.
        widths: channels of the first stage, multiples of 8.
        growths: how widths grow from stage to stage: ``1`` stays, ``1.5``, ``2``, and ``2_to_4`` doubles up to four
            times the first. They are rounded to multiples of 8.
        downs: how the resolution is halved: ``max`` and ``avg`` pool, ``stride`` is one of convolutions.
        activations: names of activations, such as ``ReLU``, ``GELU``, ``SiLU``.
        norms: ``batch``, ``group`` of 8 channels, or ``none`` with weights that are standardised and scaled (Brock et
            al. 2021).
        expansions: hidden channels of ``inverted`` blocks, for each channel.
        squeezes: whether ``inverted`` blocks weigh channels by their means: ``none``, ``se``.
        dropouts: probabilities that a feature is dropped.
        branch_dropouts: probabilities that an example loses a residual branch (Huang et al. 2016).
        readouts: ``average`` over the last map; all of it (``flat``), after it was averaged to 4x4 where it is larger;
            or generalised means with a learned power (``gem``, Radenovic et al. 2019).
        most_width: the most channels of a stage.
        fixed: labels that single choices are restricted to, for instance ``{stage1.depth: ["1"]}``.

    Raises:
        ValueError: a label is unknown or cannot be built.

    Example:
        >>> space = lm.GridSpace(blocks=["residual"], widths=[16, 32], norms=["batch"])
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    shapes = (ImageShape, SeriesShape)
    child_class = UnsharedChild

    def __init__(
        self,
        *,
        stems: Sequence[str] = tuple(STEMS),
        stages: Sequence[int] = (2, 3, 4, 5),
        blocks: Sequence[str] = tuple(BLOCKS),
        depths: Sequence[int] = (1, 2, 3),
        widths: Sequence[int] = (8, 16, 24, 32, 48, 64),
        growths: Sequence[str] = tuple(GROWTHS),
        downs: Sequence[str] = DOWNS,
        activations: Sequence[str] = ("ReLU", "GELU", "SiLU"),
        norms: Sequence[str] = GRID_NORMS,
        expansions: Sequence[int] = (2, 4),
        squeezes: Sequence[str] = SQUEEZES,
        dropouts: Sequence[float] = (0.0, 0.2),
        branch_dropouts: Sequence[float] = (0.0, 0.1),
        readouts: Sequence[str] = GRID_READOUTS,
        most_width: int = 256,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        numbers = {"stages": stages, "depths": depths, "widths": widths, "expansions": expansions}
        check_given(self.name, {**numbers, "dropouts": dropouts, "branch_dropouts": branch_dropouts})
        check_positive(self.name, {f"the least of '{name}'": min(given) for name, given in numbers.items()})
        for width in (*widths, most_width):
            if width % CHANNEL_GROUP:
                raise ValueError(f"{self.name}: width {width} is no multiple of {CHANNEL_GROUP}: give one, such as 32.")
        check_dropouts(self.name, (*dropouts, *branch_dropouts))
        self.most_width = most_width
        self.questions = {
            "stem": check_known(self.name, "stems", stems, STEMS),
            "stages": tuple(map(str, sorted(stages))),
            "block": check_known(self.name, "blocks", blocks, BLOCKS),
            "depth": tuple(map(str, sorted(depths))),
            "width": tuple(map(str, widths)),
            "growth": check_known(self.name, "growths", growths, GROWTHS),
            "down": check_known(self.name, "downs", downs, DOWNS),
            "activation": check_known(self.name, "activations", activations, ACTIVATIONS),
            "norm": check_known(self.name, "norms", norms, GRID_NORMS),
            "expansion": tuple(map(str, expansions)),
            "squeeze": check_known(self.name, "squeezes", squeezes, SQUEEZES),
            "dropout": tuple(map(str, dropouts)),
            "branch_dropout": tuple(map(str, branch_dropouts)),
            "readout": check_known(self.name, "readouts", readouts, GRID_READOUTS),
        }
        self.choices = restrict(self.choices, fixed or {}, self.name)

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """Drop inactive choices, and take the first of the growths that give the same widths."""
        kept = dict(super().canonical(labels))
        known = labels_of(self.choices)["growth"]
        kept["growth"] = next(one for one in known if self._widths(kept, one) == self._widths(kept, kept["growth"]))
        return Architecture(kept)

    def body(self, shape: Shape, build: Builder) -> StagedNetwork:
        """Stem, stages and readout."""
        found = as_shape(shape)
        assert isinstance(found, ImageShape | SeriesShape)
        return StagedNetwork(build, self.questions, found, self.most_width)

    def _refusal(self) -> str:
        # Of the whole space a supernet holds some 25 million weights.
        return f"{self.name}: a supernet only holds weights: take LayeredSpace, or {ONE_BY_ONE}."

    def first_weights(self, shape: Shape) -> dict[str, Tensor]:
        """None: each child draws weights as large as its own layers need them."""
        return {}

    def _widths(self, labels: Mapping[str, str], growth: str) -> list[int]:
        most, stages = self.most_width, int(labels["stages"])
        return [stage_width(labels["width"], growth, place=place, most=most) for place in range(1, stages + 1)]
