"""The network of the space of multilayer perceptrons, of all candidates or of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import RowShape
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.forward_pass import Number, OpenNumber, computed_value, largest
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.operations import ACTIVATIONS, combine, layer_normalise, leading_part, total


@dataclass(frozen=True)
class MLPLayout:
    """What is open in a multilayer perceptron, and what is not."""

    questions: Mapping[str, tuple[str, ...]]
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    shared: bool


class SlicedLinear(nn.Linear):
    """A linear map whose sizes may be open: the leading units of the largest are computed."""

    def __init__(self, numbers: Number, width: Number) -> None:
        super().__init__(largest(numbers), largest(width))
        self.numbers, self.width = numbers, width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to ``(n, width)``."""
        out = computed_value(self.width)
        return F.linear(inputs, leading_part(self.weight, out, inputs.shape[1]), leading_part(self.bias, out))

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return computed_value(self.numbers) * computed_value(self.width)


class SlicedLayerNorm(nn.LayerNorm):
    """Layer normalisation of as many units as are computed, each counted as much as it is weighed."""

    def __init__(self, width: Number) -> None:
        super().__init__(largest(width))
        self.width = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width)``, unchanged."""
        units = inputs.shape[1]
        scale, shift = leading_part(self.weight, units), leading_part(self.bias, units)
        weights = self.width.weights() if isinstance(self.width, OpenNumber) else None
        if weights is None:
            return F.layer_norm(inputs, (units,), scale, shift, self.eps)
        return layer_normalise(inputs[:, :, None, None], scale, shift, weights).flatten(1)


class MLPLayer(nn.Module):
    """Linear map, norm, activation, dropout, and what a skip adds."""

    def __init__(
        self, build: Builder, layout: MLPLayout, prefix: str, numbers: Number, width: Number, *, first: bool
    ) -> None:
        super().__init__()
        questions = layout.questions
        self.linear = SlicedLinear(numbers, width)
        self.normed = build.question(f"{prefix}norm", questions["norm"])
        self.norm = SlicedLayerNorm(width) if "layer" in self.normed.labels else None
        activations = {label: ACTIVATIONS[label] for label in questions["activation"]}
        self.activation = build.choice(f"{prefix}activation", activations)
        self.units = build.channels(width)
        self.dropout = build.dropout(f"{prefix}dropout", [float(rate) for rate in questions["dropout"]], width)
        self.skip = None if first else build.question(f"{prefix}skip", questions["skip"])

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to ``(n, width)``."""
        outputs: Tensor = self.linear(inputs)
        outputs = combine(self.normed.gate(), [partial(self._normalised, outputs, one) for one in self.normed.labels])
        # Units are weighed behind the activation, which need not keep a zero.
        outputs = self.dropout(self.units(self.activation(outputs)))
        added = None if self.skip is None else total(self.skip.gate(), self.skip.labels, lambda label: inputs)
        return outputs if added is None else outputs + added

    def _normalised(self, outputs: Tensor, label: str) -> Tensor:
        if label == "none" or self.norm is None:
            return outputs
        found: Tensor = self.norm(outputs)
        return found


class MLPNetwork(nn.Module):
    """Hidden layers, of which the first few are computed; without any, the features are the inputs."""

    def __init__(self, build: Builder, layout: MLPLayout, shape: RowShape) -> None:
        super().__init__()
        self.depth = build.question("depth", layout.depths)
        self.depths = [int(label) for label in self.depth.labels]
        self.layers = nn.ModuleDict()
        numbers: Number = shape.numbers
        for place in range(1, max(self.depths) + 1):
            with build.where("depth", [str(depth) for depth in layout.depths if depth >= place]):
                width = build.number("width", layout.widths)
                prefix = "" if layout.shared else f"layer{place}."
                layer = MLPLayer(build, layout, prefix, numbers, width, first=place == 1)
            self.layers[str(place)] = layer
            numbers = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to features ``(n, features)``: as many as the widest depth that is computed has."""
        wanted = self._computed_depths()
        outputs = {0: inputs}
        for place in range(1, max(wanted) + 1):
            outputs[place] = self.layers[str(place)](outputs[place - 1])
        longest = max(outputs[depth].shape[1] for depth in wanted)

        def features(depth: int) -> Tensor:
            missing = longest - outputs[depth].shape[1]
            return F.pad(outputs[depth], (0, missing)) if missing else outputs[depth]

        return combine(self.depth.gate(), [partial(features, depth) for depth in self.depths])

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(count.computed(self.layers[str(place)]) for place in range(1, max(self._computed_depths()) + 1))

    def _computed_depths(self) -> list[int]:
        return [int(label) for label in self.depth.computed_labels()]
