"""The space of a search that is given none."""

from __future__ import annotations

from lit_metanas.spaces.layered import LayeredSpace
from lit_metanas.spaces.mlp import MLPSpace
from lit_metanas.spaces.sequence import SequenceSpace
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.inputs import ImageShape, RowShape, Shape, TokenShape, as_shape


def default_space(shape: Shape) -> SearchSpace:
    """What a search without a space has to choose from.

    But for that of rows of a table the package ships records of other tasks in it.

    Example:
        >>> import lit_metanas as lm
        >>> lm.default_space((3, 32, 32)).name, lm.default_space(lm.TokenShape(100, 20)).name
        ('LayeredSpace', 'SequenceSpace')
    """
    found = as_shape(shape)
    if isinstance(found, RowShape):
        return MLPSpace(shared=True)
    if not isinstance(found, ImageShape):
        return SequenceSpace(
            operations=("conv_3", "conv_5", "sep_conv_7", "gated_linear", "attention_4", "gru"),
            activations=("ReLU", "GELU"),
            dropouts=(0.0, 0.2),
            pools=("none",) if isinstance(found, TokenShape) else ("max", "avg"),
            widths=(32, 64),
            shared=True,
        )
    return LayeredSpace(
        kernels=(3, 5),
        activations=("ReLU", "GELU"),
        dropouts=(0.0, 0.2),
        depths=(2, 3, 4),
        widths=(16, 32, 64),
        skips=("none", "residual"),
        norms=("batch", "layer"),
        readouts=("average", "flat"),
        roundings=("down", "up"),
        shared=True,
    )
