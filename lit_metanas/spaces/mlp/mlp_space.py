"""A search space of multilayer perceptrons for rows of a numeric table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lit_metanas.inputs.shapes import RowShape, Shape
from lit_metanas.spaces.architecture import check_dropouts, check_given, check_known, check_positive, restrict
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.layer_stack import StackLayout
from lit_metanas.spaces.mlp.mlp_network import MLPNetwork
from lit_metanas.spaces.operations import ACTIVATIONS, SKIPS
from lit_metanas.spaces.space import SearchSpace

UNIT_NORMS = ("layer", "none")


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
        >>> import torch
        >>> import lit_metanas as lm
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

    def __init__(
        self,
        *,
        activations: Sequence[str] = ("ReLU", "Tanh", "GELU"),
        dropouts: Sequence[float] = (0.0, 0.2, 0.5),
        norms: Sequence[str] = UNIT_NORMS,
        skips: Sequence[str] = SKIPS,
        depths: Sequence[int] = (0, 1, 2, 3),
        widths: Sequence[int] = (32, 64, 128),
        shared: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        questions = {
            "norm": check_known(self.name, "norms", norms, UNIT_NORMS),
            "activation": check_known(self.name, "activations", activations, ACTIVATIONS),
            "dropout": tuple(f"{rate:g}" for rate in dropouts),
            "skip": check_known(self.name, "skips", skips, SKIPS),
        }
        check_given(self.name, {"dropouts": dropouts, "depths": depths, "widths": widths})
        check_dropouts(self.name, dropouts)
        check_positive(self.name, {"the least width": min(widths)})
        if min(depths) < 0:
            raise ValueError(f"{self.name}: the least depth is {min(depths)}; give at least 0, a linear classifier.")
        self.layout = StackLayout(
            questions=questions, depths=tuple(sorted(depths)), widths=tuple(widths), shared=shared
        )
        if fixed:
            self.choices = restrict(self.choices, fixed, self.name)

    @classmethod
    def layer_questions(cls, place: int) -> tuple[str, ...]:
        """See ``ChoiceSpace.layer_questions``."""
        return "width", "norm", "activation", "dropout", *(("skip",) if place > 1 else ())

    def body(self, shape: Shape, build: Builder) -> MLPNetwork:
        """The hidden layers."""
        assert isinstance(shape, RowShape)
        return MLPNetwork(build, self.layout, shape)
