"""The network of the sequence space, of all candidates or of one: stem, layers and readout."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import step_mask, trim_steps
from lit_metanas.inputs.shapes import SeriesShape, Shape, TokenShape
from lit_metanas.objectives.objective import NEVER
from lit_metanas.spaces.body_networks import BodyChild, BodySupernet
from lit_metanas.spaces.builder import Builder, Make
from lit_metanas.spaces.forward_pass import largest
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.operations import ACTIVATIONS, POOLS, combine, total
from lit_metanas.spaces.sequence.attention import Positions
from lit_metanas.spaces.sequence.readouts import READOUTS
from lit_metanas.spaces.sequence.step_context import Steps, current_steps, telling_steps
from lit_metanas.spaces.sequence.step_operations import OPERATIONS, StepPool
from lit_metanas.spaces.supernet import Statistics


@dataclass(frozen=True)
class SequenceLayout:
    """What is open in a network for sequences, and what is not."""

    questions: Mapping[str, tuple[str, ...]]
    depths: tuple[int, ...]
    readouts: tuple[str, ...]
    widths: tuple[int, ...]
    positions: Positions
    stride: int
    token_scale: float
    shared: bool


class Stem(nn.Module):
    """From features or tokens to channels: a linear map, or a vector for each token; and a stride."""

    def __init__(self, shape: SeriesShape | TokenShape, width: int, stride: int, token_scale: float) -> None:
        super().__init__()
        self.stride = stride
        self.embedding = nn.Embedding(shape.vocabulary, width) if isinstance(shape, TokenShape) else None
        if self.embedding is not None:
            self.embedding.weight.data.mul_(token_scale)
        channels = width if isinstance(shape, TokenShape) else shape.features
        joined = self.embedding is None or stride > 1
        self.linear = nn.Conv1d(channels, width, stride, stride, bias=False) if joined else None
        if self.linear is not None:
            nn.init.orthogonal_(self.linear.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Series ``(n, features, steps)`` or tokens ``(n, steps)`` to ``(n, width, steps / stride)``."""
        if self.embedding is not None:
            inputs = self.embedding(inputs).transpose(1, 2)
        if self.linear is None:
            return inputs
        missing = -inputs.shape[2] % self.stride
        inputs = current_steps().blank(inputs)
        outputs: Tensor = self.linear(F.pad(inputs, (0, missing)) if missing else inputs)
        return outputs


class NormalisedOperation(nn.Module):
    """An operation, and layer normalisation of each step over its channels, or none."""

    def __init__(self, build: Builder, name: str, norms: tuple[str, ...], make: Make, *, width: int) -> None:
        super().__init__()
        self.operation = make()
        self.question = build.question(name, norms)
        self.norm = nn.LayerNorm(width) if "layer" in self.question.labels else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)``, unchanged."""
        outputs: Tensor = self.operation(inputs)

        def normalised(label: str) -> Tensor:
            if label == "none" or self.norm is None:
                return outputs
            found: Tensor = self.norm(outputs.transpose(1, 2)).transpose(1, 2)
            return found

        return combine(self.question.gate(), [partial(normalised, label) for label in self.question.labels])


class SequenceLayer(nn.Module):
    """Operation, norm, activation, dropout, what a skip adds, and pooling."""

    def __init__(
        self,
        build: Builder,
        layout: SequenceLayout,
        prefix: str,
        *,
        operations: Mapping[str, Make],
        pools: Mapping[str, Make],
        width: int,
    ) -> None:
        super().__init__()
        questions = layout.questions
        build.question(f"{prefix}norm", questions["norm"])  # whatever the operation is
        normalised = partial(NormalisedOperation, build, f"{prefix}norm", questions["norm"], width=width)
        self.operation = build.choice(
            f"{prefix}operation", {label: partial(normalised, operations[label]) for label in questions["operation"]}
        )
        self.activation = build.choice(
            f"{prefix}activation", {label: ACTIVATIONS[label] for label in questions["activation"]}
        )
        self.dropout = build.dropout(f"{prefix}dropout", [float(rate) for rate in questions["dropout"]], width)
        self.skip = build.question(f"{prefix}skip", questions["skip"])
        self.stride = 1 if questions["pool"] == ("none",) else 2
        self.pool = build.choice(
            f"{prefix}pool", {label: nn.Identity if label == "none" else pools[label] for label in questions["pool"]}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)`` to ``(n, width, steps / stride)``."""
        inputs = current_steps().blank(inputs)
        outputs = self.dropout(self.activation(self.operation(inputs)))
        added = total(self.skip.gate(), self.skip.labels, lambda label: inputs)
        outputs = self.pool(outputs if added is None else outputs + added)
        assert isinstance(outputs, Tensor)
        return outputs


STEP_POOLINGS: Mapping[str, Make] = {kind: partial(StepPool, kind, 2, 2) for kind in POOLS}
"""What makes each pooling that halves the number of steps, by label."""


class SequenceLayers(nn.Module):
    """Stem, and layers of which the first few are computed."""

    def __init__(self, build: Builder, layout: SequenceLayout, shape: SeriesShape | TokenShape) -> None:
        super().__init__()
        self.shape = shape
        self.depth = build.question("depth", layout.depths)
        self.width = largest(build.number("width", layout.widths))
        self.stem = Stem(shape, self.width, layout.stride, layout.token_scale)
        self.layers = nn.ModuleDict()
        self.depths = [int(label) for label in self.depth.labels]
        self.stride = layout.stride
        self.steps: dict[int, int] = {}
        steps = -(-shape.steps // layout.stride)
        for place in range(1, max(self.depths) + 1):
            with build.where("depth", [str(depth) for depth in layout.depths if depth >= place]):
                prefix = "" if layout.shared else f"layer{place}."
                operations = {
                    label: partial(make, self.width, steps, layout.positions) for label, make in OPERATIONS.items()
                }
                layer = SequenceLayer(
                    build, layout, prefix, operations=operations, pools=STEP_POOLINGS, width=self.width
                )
            self.layers[str(place)] = layer
            steps, self.stride = -(-steps // layer.stride), self.stride * layer.stride
            self.steps[place] = steps

    def layer_outputs(self, inputs: Tensor, wanted: Collection[int]) -> dict[int, tuple[Tensor, Steps]]:
        """The outputs of some layers, and their steps."""
        if not torch.compiler.is_compiling():
            with suppress(RuntimeError):  # under vmap no value can be looked at
                inputs = trim_steps(inputs)
        if inputs.shape[-1] > self.shape.steps:
            raise ValueError(
                f"An input has {inputs.shape[-1]} steps, and the network is for up to {self.shape.steps}: cut it."
            )
        steps = Steps(step_mask(inputs))
        with telling_steps(steps):
            outputs: Tensor = self.stem(inputs)
        steps = steps.every(self.stem.stride)
        found: dict[int, tuple[Tensor, Steps]] = {}
        for place in range(1, max(wanted) + 1):
            layer = self.layers[str(place)]
            with telling_steps(steps):
                outputs = layer(outputs)
            assert isinstance(layer, SequenceLayer)
            steps = steps.every(layer.stride)
            if place in wanted:
                found[place] = outputs, steps
        return found

    def computed_depths(self) -> list[int]:
        """The numbers of layers that are computed: the sampled one, or all."""
        return [int(label) for label in self.depth.computed_labels()]

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        layers = (self.layers[str(place)] for place in range(1, max(self.computed_depths()) + 1))
        return sum(count.computed(layer) for layer in (self.stem, *layers))


class SequenceNetwork(SequenceLayers):
    """Stem, layers, and a readout behind each number of layers."""

    def __init__(self, build: Builder, layout: SequenceLayout, shape: SeriesShape | TokenShape) -> None:
        super().__init__(build, layout, shape)
        self.readouts = nn.ModuleDict()
        self.per_step = layout.readouts == ("each",)
        for depth in self.depths:
            size = (self.width, self.steps[depth], layout.positions)
            readouts = {label: partial(READOUTS[label], *size) for label in layout.readouts}
            self.readouts[str(depth)] = build.choice("readout", readouts)

    def forward(self, inputs: Tensor) -> Tensor:
        """Series ``(n, features, steps)`` or tokens ``(n, steps)`` to features ``(n, width)``, or of each step."""
        features: dict[int, Tensor] = {}
        for place, (outputs, steps) in self.layer_outputs(inputs, self.computed_depths()).items():
            with telling_steps(steps):
                features[place] = self.readouts[str(place)](outputs)
        return combine(self.depth.gate(), [partial(features.__getitem__, depth) for depth in self.depths])

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        readouts = (self.readouts[str(depth)] for depth in self.computed_depths())
        return super().computed_flops(count) + sum(count.computed(layer) for layer in readouts)


class SequenceChild(BodyChild):
    """A sequence network of one candidate a choice, with scores for a whole input or for each of its steps."""

    def __init__(self, body: nn.Module, shape: Shape, way: int, *, sliced: bool = False) -> None:
        super().__init__(body, shape, way, sliced=sliced)
        assert isinstance(body, SequenceNetwork)
        self.per_step, self.stride = body.per_step, body.stride
        if self.per_step:
            self.flops += self.features * way * (-(-body.shape.steps // self.stride) - 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of series ``(n, features, steps)`` or tokens ``(n, steps)``."""
        if not self.per_step:
            return super().forward(inputs)
        scores: Tensor = self.head(self.body(inputs).transpose(1, 2))
        return silenced(scores, ~step_mask(inputs)[:, :: self.stride][:, : scores.shape[1], None])


class StepSupernet(BodySupernet):
    """A sequence network of all candidates, with features and scores of each step."""

    averaged: ClassVar[bool] = False

    def scores(
        self,
        outputs: Mapping[str, Tensor],
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """See ``Supernet.scores``."""
        features = self(inputs, mixture, noise, statistics).transpose(1, 2)
        scores = F.linear(features, outputs["head.weight"], outputs["head.bias"])
        return silenced(scores, ~step_mask(inputs)[:, :: self._network.stride][:, : scores.shape[1], None])

    def output_flops(self, way: int) -> int:
        """Of each step."""
        network = self._network
        return self.features * way * -(-network.shape.steps // network.stride)

    @property
    def _network(self) -> SequenceNetwork:
        assert isinstance(self.body, SequenceNetwork)
        return self.body


def silenced(scores: Tensor, outside: Tensor) -> Tensor:
    """Scores ``(n, steps, outputs)`` that say for certain that there is nothing where ``outside`` holds."""
    nothing, others = scores[:, :, :1], scores[:, :, 1:]
    return torch.cat([nothing.masked_fill(outside, 0.0), others.masked_fill(outside, NEVER)], dim=2)
