"""Search spaces for rows of a table: of multilayer perceptrons, and of these behind a network for the row's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import RowShape, Shape, TextRowShape
from lit_metanas.spaces.architecture import (
    check_dropouts,
    check_given,
    check_known,
    check_positive,
    labels_of,
    restrict,
)
from lit_metanas.spaces.builder import Builder, LayerStack, StackLayout
from lit_metanas.spaces.mixed_layers import CountedFlops, SlicedLayerNorm
from lit_metanas.spaces.mixture import Number, computed_value, largest
from lit_metanas.spaces.operations import ACTIVATIONS, LAYER_NORMS, SKIPS, leading_part, padded
from lit_metanas.spaces.sequence.sequence_network import SequenceNetwork
from lit_metanas.spaces.sequence.sequence_space import SequenceSpace, refuse_widths
from lit_metanas.spaces.space import SearchSpace


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
        self.activation = build.choice(
            f"{prefix}activation", {label: ACTIVATIONS[label] for label in questions["activation"]}
        )
        self.units = build.channels(width)
        self.dropout = build.dropout(f"{prefix}dropout", [float(rate) for rate in questions["dropout"]], width)
        self.skip = None if first else build.question(f"{prefix}skip", questions["skip"])

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers)`` to ``(n, width)``."""
        linear: Tensor = self.linear(inputs)

        def normalised(label: str) -> Tensor:
            if label == "none" or self.norm is None:
                return linear
            return self.norm(linear)

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
        for place, prefix in self.places(build, layout):
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


class MLPSpace(SearchSpace):
    """Multilayer perceptrons for rows of numbers.

    A hidden layer is a linear map, layer normalisation, an activation and a dropout of single units. A ``residual``
    skip adds the layer's input to it, from the second layer on. Without any hidden layer (depth 0) the network is a
    linear classifier, so that the best of the space is no worse than logistic regression where there are few rows.

    Args:
        activations: names of activations, such as ``ReLU``, ``Sigmoid``, ``Tanh``, ``GELU``.
        dropouts: probabilities that a unit is dropped.
        norms: ``layer``, ``none``.
        skips: ``none``, ``residual``.
        depths: numbers of hidden layers; 0 is a linear classifier.
        widths: numbers of units of each hidden layer, the same in all.
        shared: one choice for all layers instead of one a layer.
        fixed: labels that single choices are restricted to, for instance ``{layer1.activation: [ReLU, GELU]}``.

    Raises:
        ValueError: a label is unknown or cannot be built.

    Example:
        >>> space = lm.MLPSpace(shared=True)
        >>> space.size
        432
        >>> linear = space.canonical({"depth": "0"})
        >>> space.cost(linear, lm.RowShape(4), way=3)
        NetworkCost(parameters=15, flops=12)
        >>> space.child(linear, lm.RowShape(4), way=3)(torch.rand(2, 4)).shape
        torch.Size([2, 3])
    """

    shapes = (RowShape,)
    layer_questions = ("width", "norm", "activation", "dropout", "skip")
    first_skip = 2

    def __init__(
        self,
        *,
        activations: Sequence[str] = ("ReLU", "Tanh", "GELU"),
        dropouts: Sequence[float] = (0.0, 0.2, 0.5),
        norms: Sequence[str] = LAYER_NORMS,
        skips: Sequence[str] = SKIPS,
        depths: Sequence[int] = (0, 1, 2, 3),
        widths: Sequence[int] = (32, 64, 128),
        shared: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.layout = StackLayout(
            questions={
                "norm": check_known(self.name, "norms", norms, LAYER_NORMS),
                "activation": check_known(self.name, "activations", activations, ACTIVATIONS),
                "dropout": tuple(f"{rate:g}" for rate in dropouts),
                "skip": check_known(self.name, "skips", skips, SKIPS),
            },
            depths=tuple(sorted(depths)),
            widths=tuple(widths),
            shared=shared,
        )
        check_given(self.name, {"dropouts": dropouts, "depths": depths, "widths": widths})
        check_dropouts(self.name, dropouts)
        check_positive(self.name, {"the least width": min(widths)})
        if min(depths) < 0:
            raise ValueError(f"{self.name}: the least depth is {min(depths)}; give at least 0, a linear classifier.")
        self.choices = restrict(self.choices, fixed or {}, self.name)

    def body(self, shape: Shape, build: Builder) -> MLPNetwork:
        """The hidden layers."""
        return MLPNetwork(build, self.layout, RowShape(*shape))


TEXT = "text"  # what stands in front of the choices of the network that reads the text


class TextRowNetwork(nn.Module):
    """The features of a text, behind the numbers of its row as the inputs of a perceptron."""

    def __init__(self, text: SequenceNetwork, row: MLPNetwork, shape: TextRowShape) -> None:
        super().__init__()
        self.text = text
        self.row = row
        self.shape = shape

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, numbers + steps)`` to features ``(n, features)``."""
        numbers, tokens = self.shape.split(inputs)
        return self.row(torch.cat([numbers, self.text(tokens).to(numbers)], 1))


class TextRowSpace(SearchSpace):
    """Networks for rows of a table that have a text: one of a sequence space reads it, and a perceptron both.

    What the text's network makes of it stands behind the numbers of the row. A perceptron without hidden layers
    (depth 0) is a linear classifier of both, one with hidden layers also learns what they say together.

    Args:
        text: the space of the network for the text, of one readout an input. Its choices have ``text.`` in front.
        row: the space of the perceptron.
        fixed: labels that single choices are restricted to, for instance ``{text.operation: [conv_3, gru]}``.

    Raises:
        ValueError: the text's network scores steps, or a label is unknown.

    Example:
        >>> text = lm.SequenceSpace(operations=("conv_3", "attention_4"), widths=(16,), shared=True)
        >>> space = lm.spaces.TextRowSpace(text, lm.MLPSpace(shared=True))
        >>> architecture = space.sample(torch.Generator())
        >>> architecture["text.operation"], architecture["depth"]
        ('conv_3', '1')
        >>> shape = lm.inputs.TextRowShape(numbers=2, vocabulary=50, steps=3)
        >>> space.child(architecture, shape, way=4)(torch.tensor([[0.5, -1.0, 7.0, 49.0, 0.0]])).shape
        torch.Size([1, 4])
    """

    shapes = (TextRowShape,)

    def __init__(self, text: SequenceSpace, row: MLPSpace, *, fixed: Mapping[str, Sequence[str]] | None = None) -> None:
        if text.scored != "input":
            raise ValueError(f"{self.name}: 'text' scores each step, as of readout 'each': give it other readouts.")
        self.text = text
        self.row = row
        self.choices = restrict(self.choices, fixed or {}, self.name)

    def _refusal(self) -> str:
        return refuse_widths(self.name, labels_of(self.choices)[f"{TEXT}.width"])

    def body(self, shape: Shape, build: Builder) -> TextRowNetwork:
        """The network for the text, and the perceptron."""
        assert isinstance(shape, TextRowShape)
        with build.part(TEXT):
            text = self.text.body(shape.text, build)
        return TextRowNetwork(text, self.row.body(RowShape(shape.numbers + text.width), build), shape)
