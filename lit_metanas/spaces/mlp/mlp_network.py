"""The network of the space of multilayer perceptrons, of all candidates or of one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import RowShape
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.forward_pass import Number, OpenNumber, computed_value, largest
from lit_metanas.spaces.layer_stack import LayerStack, StackLayout
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.operations import ACTIVATIONS, layer_normalise, leading_part, padded


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
        if not isinstance(self.width, OpenNumber) or (weights := self.width.weights()) is None:
            return F.layer_norm(inputs, (units,), scale, shift, self.eps)
        return layer_normalise(inputs[:, :, None, None], scale, shift, weights).flatten(1)


class MLPLayer(nn.Module):
    """Linear map, norm, activation, dropout, and what a skip adds: nothing in the first layer."""

    def __init__(
        self, build: Builder, layout: StackLayout, prefix: str, numbers: Number, width: Number, *, first: bool
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
        linear: Tensor = self.linear(inputs)

        def normalised(label: str) -> Tensor:
            if label == "none" or self.norm is None:
                return linear
            outputs: Tensor = self.norm(linear)
            return outputs

        # Units are weighed behind the activation, which need not keep a zero.
        outputs: Tensor = self.dropout(self.units(self.activation(self.normed.combine(normalised))))
        if self.skip is None or (added := self.skip.total(lambda label: inputs)) is None:
            return outputs
        return outputs + added


class MLPNetwork(LayerStack):
    """Hidden layers, of which the first few are computed; without any, the features are the inputs."""

    def __init__(self, build: Builder, layout: StackLayout, shape: RowShape) -> None:
        super().__init__(build, layout)
        self.layers = nn.ModuleDict()
        numbers: Number = shape.numbers
        for place in range(1, max(self.depths) + 1):
            with self.asking(build, layout, place) as prefix:
                width = build.number("width", layout.widths)
                self.layers[str(place)] = MLPLayer(build, layout, prefix, numbers, width, first=place == 1)
            numbers = width

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to features ``(n, features)``: as many as the widest depth that is computed has."""
        outputs = [inputs]
        for layer in self.computed_layers():
            outputs.append(layer(outputs[-1]))
        longest = max(outputs[depth].shape[1] for depth in self.computed_depths())
        return self.depth.combine(lambda label: padded(outputs[int(label)], longest))
