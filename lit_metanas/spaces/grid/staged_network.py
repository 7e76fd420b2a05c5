"""The network of the grid space, of all candidates or of one: stem, stages of blocks and readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import ImageShape, SeriesShape, Shape
from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.body_networks import BodyChild, BodySupernet
from lit_metanas.spaces.builder import Builder, Make
from lit_metanas.spaces.flop_count import LayerFlops
from lit_metanas.spaces.forward_pass import ForwardPass, Number, largest, running
from lit_metanas.spaces.grid.grid_blocks import BLOCKS, BlockQuestions
from lit_metanas.spaces.grid.normed_convolution import CHANNEL_GROUP, halve, normed_conv
from lit_metanas.spaces.mixed_layers import CountedFlops, averages
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.operations import ACTIVATIONS, padded

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
MOST_FLAT = 4
"""Height and width up to which a last map is read as it is; a larger one is averaged in patches."""


@dataclass(frozen=True, kw_only=True)
class GridLayout:
    """The candidates of each choice of a network."""

    stems: tuple[str, ...]
    stages: tuple[int, ...]
    blocks: tuple[str, ...]
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    growths: tuple[str, ...]
    downs: tuple[str, ...]
    activations: tuple[str, ...]
    norms: tuple[str, ...]
    expansions: tuple[int, ...]
    squeezes: tuple[str, ...]
    dropouts: tuple[float, ...]
    branch_dropouts: tuple[float, ...]
    readouts: tuple[str, ...]
    most_width: int


def round_channels(channels: float, divisor: int) -> int:
    """The nearest multiple of ``divisor`` that is at least 0.9 of ``channels``, as in MobileNetV2's networks."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor * (nearest < 0.9 * channels)


def stage_width(width: str, growth: str, *, place: int, most: int) -> int:
    """Channels of a stage, by the labels of both choices; places count from 1."""
    factor, limit = GROWTHS[growth]
    return min(most, round_channels(int(width) * min(limit, factor ** (place - 1)), CHANNEL_GROUP))


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

    def __init__(self, build: Builder, layout: GridLayout, features: int) -> None:
        super().__init__()
        self.readout = build.question("readout", layout.readouts)
        self.features = features if build.mixed else 0  # zeros up to there
        self.power: nn.Parameter | None = None
        if "gem" in self.readout.labels:
            self.power = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, features)``."""
        return self.readout.combine(partial(self._read, inputs))

    def _read(self, inputs: Tensor, label: str) -> Tensor:
        if label == "flat":
            sides = [-(-side // MOST_FLAT) for side in inputs.shape[2:]]
            if max(sides) > 1:
                inputs = F.avg_pool2d(inputs, sides, ceil_mode=True, count_include_pad=False)
            features = inputs.flatten(1)
        elif label == "average":
            features = averages(inputs)
        else:
            # Radenovic et al. 2019, equation 3; its p is one number for all channels.
            assert self.power is not None
            features = averages(inputs.clamp(min=1e-6).pow(self.power)).pow(1 / self.power)
        if self.features:
            return padded(features, self.features)
        return features


class StagedNetwork(nn.Module):
    """Stem, stages and readout."""

    # Stems and ways of downsampling differ in the sizes of all maps, so that a mixture of them is one of the features
    # that the whole network makes with each.

    def __init__(self, build: Builder, layout: GridLayout, shape: ImageShape | SeriesShape) -> None:
        super().__init__()
        self.layout = layout
        self.image: SeriesImage | None = None
        if isinstance(shape, SeriesShape):
            self.image = SeriesImage(shape)
            shape = self.image.shape
        self.stem = build.question("stem", layout.stems)
        self.depth = build.question("stages", layout.stages)
        self.depths = [int(label) for label in self.depth.labels]
        build.question("block", layout.blocks)
        build.question("width", layout.widths)
        build.question("growth", layout.growths)
        self.down = build.question("down", layout.downs)
        activations: dict[str, Make] = {label: ACTIVATIONS[label] for label in layout.activations}
        self.questions = BlockQuestions(
            norm=build.question("norm", layout.norms),
            down=self.down,
            activation=partial(build.choice, "activation", activations),
            expansions=layout.expansions,
            squeezes=layout.squeezes,
            branch_dropouts=layout.branch_dropouts,
        )
        width: Number = self._width(build, 1)
        self.stems = nn.ModuleDict()
        for label in self.stem.labels:
            size, stride = STEMS[label]
            self.stems[label] = normed_conv(build, self.questions, shape.channels, width, size, stride=stride, gain=1.0)
        self.activation = self.questions.activation()
        self.stages = nn.ModuleList()
        for place in range(1, max(self.depths) + 1):
            with build.where("stages", [str(number) for number in layout.stages if number >= place]):
                before, width = width, self._width(build, place)
                self.stages.append(self._stage(build, place, before, width))
        self.features = largest(width)
        if "flat" in layout.readouts:
            self.features *= min(shape.height, MOST_FLAT) * min(shape.width, MOST_FLAT)
        self.readout = GridReadout(build, layout, self.features)
        self.dropout = build.dropout("dropout", layout.dropouts, self.features)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images ``(n, channels, height, width)`` or series ``(n, features, steps)`` to features ``(n, features)``."""
        if self.image is not None:
            inputs = self.image(inputs)
        return self.dropout(self.stem.combine(lambda stem: self.down.combine(partial(self._features, inputs, stem))))

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        deepest = max(map(int, self.depth.computed_labels()))
        layers = [*(self.stems[label] for label in self.stem.computed_labels()), *list(self.stages)[:deepest]]
        return sum(map(count.computed, layers))

    def _features(self, inputs: Tensor, stem: str, down: str) -> Tensor:
        """The features with one stem and one way of downsampling."""
        with self.down.settled(down):
            outputs: Tensor = self.activation(self.stems[stem](inputs))
            found: dict[str, Tensor] = {}
            wanted = list(self.depth.computed_labels())
            for place, stage in enumerate(list(self.stages)[: max(map(int, wanted))], start=1):
                outputs = stage(outputs)
                if down != "stride":
                    outputs = halve(down, outputs)
                if str(place) in wanted:
                    found[str(place)] = self.readout(outputs)
            return self.depth.combine(found.__getitem__)

    def _width(self, build: Builder, place: int) -> Number:
        return build.joint_number(("width", "growth"), partial(stage_width, place=place, most=self.layout.most_width))

    def _stage(self, build: Builder, place: int, before: Number, width: Number) -> nn.Module:
        """The blocks of a stage, of which the first few are computed."""

        def block(number: int) -> nn.Module:
            channels, begins = (before, place > 1) if number == 1 else (width, False)
            made: dict[str, Make] = {
                label: partial(BLOCKS[label], build, self.questions, channels, width, begins=begins)
                for label in self.layout.blocks
            }
            if place == number == 1 and "conv" in made:
                made["conv"] = nn.Identity  # the stem is the first convolution
            return build.choice("block", made)

        blocks = [partial(block, number) for number in range(1, max(self.layout.depths) + 1)]
        return build.depth(f"stage{place}.depth", blocks, self.layout.depths)


class StagedSupernet(BodySupernet):
    """The supernet, whose cost is that of the network with each stem and way of downsampling that is computed."""

    body: StagedNetwork

    def __init__(self, body: StagedNetwork, shape: Shape, choices: Sequence[Choice]) -> None:
        super().__init__(body, shape, choices, features=body.features)
        self._paths: dict[tuple[str, str], LayerFlops] = {}

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        body, total = self.body, 0
        for stem in mixture["stem"].computed(body.stem.labels):
            for down in mixture["down"].computed(body.down.labels):
                path = {"stem": _only(body.stem.labels, stem), "down": _only(body.down.labels, down)}
                if (stem, down) not in self._paths:
                    gates = {name: Gate(torch.ones(len(labels))) for name, labels in self.labels.items()}
                    with running(ForwardPass({**gates, **path})):
                        self._paths[stem, down] = LayerFlops(body, self.shape)
                with running(ForwardPass({**mixture, **path})):
                    total += self._paths[stem, down].computed(body)
        return total


class StagedChild(BodyChild):
    """The child, which keeps its own weights where others have none to inherit."""

    def __init__(self, body: nn.Module, shape: Shape, way: int, *, sliced: bool = False) -> None:
        features, flops = convolved_flops(body, shape)
        super().__init__(body, shape, way, sliced=sliced, features=features, flops=flops + features * way)

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy what a supernet or another child has under the same names, the leading part that both have."""
        own = self._tensors()
        known = own.keys() & weights.keys()
        if weights and not known:
            raise ValueError("The weights hold none of this network's: they come from another space.")
        for name in known:
            given, taken = weights[name], own[name]
            if given.dim() != taken.dim():
                raise ValueError(
                    f"The weights hold '{name}' {tuple(given.shape)}, not {tuple(taken.shape)}: they come from another "
                    "space."
                )
            part = tuple(slice(min(one, other)) for one, other in zip(given.shape, taken.shape, strict=True))
            taken[part] = given[part].to(taken)
        self._inherit_head(weights)


@torch.no_grad()
def convolved_flops(body: nn.Module, shape: Shape) -> tuple[int, int]:
    """Features of a child's body, and its multiply-adds, all of which are in convolutions."""
    # `LayerFlops` counts the same in five times as long, and limits look at hundreds of networks.
    counts: list[int] = []

    def count(layer: nn.Conv2d, inputs: object, outputs: Tensor) -> None:
        counts.append(layer.weight.numel() * outputs[0, 0].numel())

    handles = [layer.register_forward_hook(count) for layer in body.modules() if isinstance(layer, nn.Conv2d)]
    try:
        found: Tensor = body.eval()(blank_inputs(1, shape).to(next(body.parameters())))
    except RuntimeError:
        layers = LayerFlops(body.train(), shape)  # which names the layer that fails
        return layers.features, layers.whole(body)
    finally:
        body.train()
        for handle in handles:
            handle.remove()
    return found.shape[1], sum(counts)


def _only(labels: Sequence[str], label: str) -> Gate:
    """The gate of one of some labels."""
    place = labels.index(label)
    return Gate(torch.eye(len(labels))[place], place)
