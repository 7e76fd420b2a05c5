"""The space of a search that is given none, and those of linear models."""

from __future__ import annotations

from collections.abc import Mapping

from lit_metanas.inputs.shapes import ImageShape, RowShape, SeriesShape, Shape, TextRowShape, as_shape
from lit_metanas.spaces.any_input.kernel_space import KernelSpace
from lit_metanas.spaces.any_input.ngram_space import NGramSpace
from lit_metanas.spaces.any_input.patch_space import PatchSpace
from lit_metanas.spaces.any_input.rocket_space import RocketSpace
from lit_metanas.spaces.grid import GridSpace
from lit_metanas.spaces.mlp import MLPSpace, TextRowSpace
from lit_metanas.spaces.sequence.sequence_space import SequenceSpace
from lit_metanas.spaces.space import SearchSpace

LINEAR_SPACES: Mapping[frozenset[str], type[SearchSpace]] = {
    frozenset(choice.name for choice in space().choices): space
    for space in (KernelSpace, NGramSpace, PatchSpace, RocketSpace)
}
"""The spaces of linear models by the names of their choices."""


def default_space(shape: Shape) -> SearchSpace:
    """The space of a search that is given none; for most of them the package ships records of other tasks.

    Example:
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
    texts = SequenceSpace(
        operations=(*operations, "conv_2_to_5"),
        activations=activations,
        dropouts=(0.0, 0.2, 0.5),
        widths=(32, 64, 128),
        token_scale=0.1,  # 64 intents, four epochs: 87.2 where a scale of 1 gives 80
        shared=True,
    )
    if kind is TextRowShape:
        return TextRowSpace(texts, MLPSpace(shared=True))
    return texts


def linear_space_of(architecture: Mapping[str, str]) -> SearchSpace:
    """The space of a linear model, by its choices; ValueError if none has these."""
    if (space := LINEAR_SPACES.get(frozenset(architecture))) is None:
        raise ValueError(f"no linear model has the choices {', '.join(architecture)}")
    return space()
