"""ENAS's macro search space: a whole network of layers, any two of which may be connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lit_metanas.spaces.architecture import Architecture, Choice, restrict
from lit_metanas.spaces.body_networks import BodyChild
from lit_metanas.spaces.enas_macro.enas_macro_networks import (
    MacroLayout,
    MacroNetwork,
    MacroSupernet,
    operation_name,
    skip_name,
)
from lit_metanas.spaces.layers import ChildNorms
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost, Shape

OPERATIONS = ("conv_3x3", "conv_5x5", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
SKIPS = ("none", "skip_connect")


class ENASMacro(SearchSpace):
    """Layers in a row, an operation for each and a connection or none to each earlier layer (Pham et al. 2018).

    With 12 layers these are 6^12 * 2^66 architectures. Layer ``k`` is the normalised sum of its operation on layer
    ``k - 1`` and of the earlier layers that are connected to it; layer 0 is the stem. The paper's Section 2.3
    concatenates what comes in and reduces it by a 1x1 convolution; a sum has no weights that depend on the
    connections. The image is halved after one and two thirds of the layers, by means of 2x2 pixels; all layers have
    equally many channels.

    Args:
        layers: of the network.
        channels: of each layer.
        fixed: labels that single choices are restricted to, for instance ``{layer3.skip1: [skip_connect]}``.

    Raises:
        ValueError: a number is not positive, or a choice or label is unknown.
    """

    def __init__(
        self, *, layers: int = 12, channels: int = 24, fixed: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        for what, number in (("layers", layers), ("channels", channels)):
            if number < 1:
                raise ValueError(f"ENASMacro: {what} is {number}; give at least 1.")
        self.layers = layers
        self.channels = channels
        choices = []
        for layer in range(1, layers + 1):
            choices.append(Choice(operation_name(layer), OPERATIONS, "operation"))
            choices += [Choice(skip_name(layer, source), SKIPS, "skip") for source in range(layer - 1)]
        self.choices = restrict(choices, fixed or {}, self.name)

    def supernet(self, shape: Shape) -> MacroSupernet:
        """Build the network that holds all candidates."""
        return MacroSupernet(self._layout(shape), {choice.name: choice.labels for choice in self.choices})

    def build(self, architecture: Architecture, shape: Shape, way: int) -> BodyChild:
        """The child with newly initialised weights."""
        labels = {name: (label,) for name, label in self.canonical(architecture).items()}
        body = MacroNetwork(self._layout(shape), labels, ChildNorms(pools=True))
        flops = self.cost(architecture, shape, way).flops
        return BodyChild(body, features=self.channels, way=way, flops=flops)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child: convolutions and the classifier."""
        full = self.canonical(architecture)
        return self._layout(shape).cost([(full[operation_name(k)],) for k in range(1, self.layers + 1)], way)

    def _layout(self, shape: Shape) -> MacroLayout:
        return MacroLayout(self.layers, self.channels, shape)
