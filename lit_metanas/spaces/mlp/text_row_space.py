"""A search space for rows of a table that have a text, and its network: a reader of the text, then a perceptron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import RowShape, Shape, TextRowShape
from lit_metanas.spaces.architecture import labels_of, restrict
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mlp.mlp_space import MLPNetwork, MLPSpace
from lit_metanas.spaces.sequence.sequence_network import SequenceNetwork
from lit_metanas.spaces.sequence.sequence_space import SequenceSpace, refuse_widths
from lit_metanas.spaces.space import SearchSpace

TEXT = "text"
"""What stands in front of the choices of the network that reads the text."""


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
        if fixed:
            self.choices = restrict(self.choices, fixed, self.name)

    def supernet(self, shape: Shape) -> BodySupernet:
        """Build the network that holds all candidates; with several widths for the text it only holds weights."""
        self.check_shape(shape)
        left = labels_of(self.choices)
        _, refusal = refuse_widths(self.name, left[f"{TEXT}.width"])
        return BodySupernet(self.body(shape, Builder(left)), shape, self.choices, refusal=refusal)

    def body(self, shape: Shape, build: Builder) -> TextRowNetwork:
        """The network for the text, and the perceptron."""
        assert isinstance(shape, TextRowShape)
        with build.part(TEXT):
            text = self.text.body(shape.text, build)
        row = self.row.body(RowShape(shape.numbers + text.width), build)
        return TextRowNetwork(text, row, shape)
