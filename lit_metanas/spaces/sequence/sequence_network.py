"""The network of the sequence space, of all candidates or of one: stem, layers and readout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import shortened, step_mask
from lit_metanas.inputs.shapes import SeriesShape, TokenShape
from lit_metanas.objectives.objective import NEVER
from lit_metanas.spaces.body_networks import BodyChild, BodySupernet
from lit_metanas.spaces.builder import Builder, LayerStack, Make, StackLayout
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.mixture import largest
from lit_metanas.spaces.operations import ACTIVATIONS, padded
from lit_metanas.spaces.sequence.step_operations import (
    OPERATIONS,
    READOUTS,
    StepPool,
    Steps,
    current_steps,
    telling_steps,
)


@dataclass(frozen=True, kw_only=True)
class SequenceLayout(StackLayout):
    """The open questions of a network for sequences, and what is fixed."""

    readouts: tuple[str, ...]
    stride: int  # of the stem
    token_scale: float  # standard deviation of the vectors that tokens begin with


class Stem(nn.Module):
    """From features or tokens to channels: a linear map or a vector for each token, and a map that joins some steps."""

    def __init__(self, shape: SeriesShape | TokenShape, width: int, stride: int, token_scale: float) -> None:
        super().__init__()
        self.stride = stride
        self.embedding: nn.Embedding | None = None
        self.linear: nn.Conv1d | None = None
        if isinstance(shape, TokenShape):
            self.embedding = nn.Embedding(shape.vocabulary, width)
            self.embedding.weight.data.mul_(token_scale)
        if isinstance(shape, SeriesShape) or stride > 1:
            channels = shape.features if isinstance(shape, SeriesShape) else width
            self.linear = nn.Conv1d(channels, width, stride, stride, bias=False)
            # It keeps the distances between steps of no more features than channels.
            nn.init.orthogonal_(self.linear.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Series ``(n, features, steps)`` or tokens ``(n, steps)`` to ``(n, width, steps / stride)``."""
        if self.embedding is not None:
            inputs = self.embedding(inputs).transpose(1, 2)
        if self.linear is None:
            return inputs
        length = -(-inputs.shape[2] // self.stride) * self.stride
        return self.linear(padded(current_steps().blank(inputs), length))


STEP_POOLINGS: Mapping[str, Make] = {
    "none": nn.Identity,
    "max": partial(StepPool, "max", 2, 2),
    "avg": partial(StepPool, "avg", 2, 2),
}
"""What makes each pooling that halves the number of steps, or none, by label."""


class NormalisedOperation(nn.Module):
    """An operation, and layer normalisation of each step: before the gate of a candidate, which it would cancel."""

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
            return self.norm(outputs.transpose(1, 2)).transpose(1, 2)

        return self.question.combine(normalised)


class SequenceLayer(nn.Module):
    """Operation, norm, activation, dropout, what a skip adds, and pooling."""

    def __init__(
        self, build: Builder, layout: StackLayout, prefix: str, *, operations: Mapping[str, Make], width: int
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
        self.pool = build.choice(f"{prefix}pool", {label: STEP_POOLINGS[label] for label in questions["pool"]})

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)`` to ``(n, width, steps / stride)``."""
        inputs = current_steps().blank(inputs)
        outputs: Tensor = self.dropout(self.activation(self.operation(inputs)))
        if (added := self.skip.total(lambda label: inputs)) is not None:
            outputs = outputs + added
        return self.pool(outputs)


class SequenceLayers(LayerStack):
    """Stem, and layers of which the first few are computed."""

    def __init__(self, build: Builder, layout: SequenceLayout, shape: SeriesShape | TokenShape) -> None:
        super().__init__(build, layout)
        self.shape = shape
        self.width = self.known_features = largest(build.number("width", layout.widths))
        self.stem = Stem(shape, self.width, layout.stride, layout.token_scale)
        self.layers = nn.ModuleDict()
        self.stride = layout.stride  # steps of an input that become one behind all layers
        steps = -(-shape.steps // layout.stride)
        for place, prefix in self.places(build, layout):
            operations = {label: partial(make, self.width, steps) for label, make in OPERATIONS.items()}
            layer = SequenceLayer(build, layout, prefix, operations=operations, width=self.width)
            self.layers[str(place)] = layer
            steps, self.stride = -(-steps // layer.stride), self.stride * layer.stride

    def layer_outputs(self, inputs: Tensor) -> dict[int, tuple[Tensor, Steps]]:
        """Behind each number of layers that is computed, outputs ``(n, width, steps)``, and their steps."""
        wanted, inputs = self.computed_depths(), shortened(inputs)
        if inputs.shape[-1] > self.shape.steps:
            raise ValueError(
                f"An input has {inputs.shape[-1]} steps, and the network is for up to {self.shape.steps}: cut it."
            )
        steps = Steps(step_mask(inputs))
        with telling_steps(steps):
            outputs: Tensor = self.stem(inputs)
        steps = steps.every(self.stem.stride)
        found: dict[int, tuple[Tensor, Steps]] = {}
        for place, layer in enumerate(self.computed_layers(), start=1):
            with telling_steps(steps):
                outputs = layer(outputs)
            assert isinstance(layer, SequenceLayer)
            steps = steps.every(layer.stride)
            if place in wanted:
                found[place] = outputs, steps
        return found

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return count.computed(self.stem) + super().computed_flops(count)


class SequenceNetwork(SequenceLayers):
    """Stem, layers, and a readout behind each number of layers."""

    def __init__(self, build: Builder, layout: SequenceLayout, shape: SeriesShape | TokenShape) -> None:
        super().__init__(build, layout, shape)
        self.per_step = layout.readouts == ("each",)  # whether the features are those of each step
        self.scored_steps = -(-shape.steps // self.stride) if self.per_step else 1
        makers = {label: partial(READOUTS[label], self.width) for label in layout.readouts}
        self.readouts = nn.ModuleDict({str(depth): build.choice("readout", makers) for depth in self.depths})

    def forward(self, inputs: Tensor) -> Tensor:
        """Series ``(n, features, steps)`` or tokens ``(n, steps)`` to features ``(n, width)``, or of each step."""
        features: dict[str, Tensor] = {}
        for place, (outputs, steps) in self.layer_outputs(inputs).items():
            with telling_steps(steps):
                features[str(place)] = self.readouts[str(place)](outputs)
        return self.depth.combine(features.__getitem__)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        readouts = (self.readouts[str(depth)] for depth in self.computed_depths())
        return super().computed_flops(count) + sum(map(count.computed, readouts))


class SequenceChild(BodyChild):
    """A sequence network of one candidate a choice, with scores for a whole input or for each of its steps."""

    body: SequenceNetwork

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores ``(n, way)`` or ``(n, steps / stride, way)`` of series ``(n, features, steps)`` or tokens."""
        if not self.body.per_step:
            return super().forward(inputs)
        return silenced_behind(inputs, self.body.stride, self.head(self.body(inputs).transpose(1, 2)))


class StepSupernet(BodySupernet):
    """A sequence network of all candidates, with features and scores of each step: see ``SequenceChild``."""

    averaged: ClassVar[bool] = False
    body: SequenceNetwork

    def _score(self, outputs: Mapping[str, Tensor], inputs: Tensor, targets: Tensor | None) -> Tensor:
        scores = F.linear(self._embed(inputs).transpose(1, 2), outputs["head.weight"], outputs["head.bias"])
        return silenced_behind(inputs, self.body.stride, scores)


def silenced_behind(inputs: Tensor, stride: int, scores: Tensor) -> Tensor:
    """Scores ``(n, steps / stride, outputs)``, ``silenced`` behind the ends of inputs."""
    return silenced(scores, ~step_mask(inputs)[:, ::stride][:, : scores.shape[1], None])


def silenced(scores: Tensor, outside: Tensor) -> Tensor:
    """Scores ``(n, steps, outputs)`` that say for certain that there is nothing (``BLANK``) where ``outside`` holds."""
    # So objectives need not know where an example ends.
    nothing, others = scores[:, :, :1], scores[:, :, 1:]
    return torch.cat([nothing.masked_fill(outside, 0.0), others.masked_fill(outside, NEVER)], dim=2)
