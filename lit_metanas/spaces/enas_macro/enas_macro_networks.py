"""What the supernet and the children of ENAS's macro space have in common, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.cells.cell_operations import OPERATIONS
from lit_metanas.spaces.layers import ChildNorms, Moments, Norms, Stack, SuperNorm, SuperNorms
from lit_metanas.spaces.operations import total
from lit_metanas.spaces.supernet import Gate, Mixture, NetworkCost, Shape

ONLY = Gate(torch.ones(1), 0)
"""The gate of a child's choice, which has one candidate."""


def operation_name(layer: int) -> str:
    """The name of the choice of a layer's operation, for instance ``layer3.operation``."""
    return f"layer{layer}.operation"


def skip_name(layer: int, source: int) -> str:
    """The name of the choice whether an earlier layer is added to a later one, for instance ``layer3.skip1``."""
    return f"layer{layer}.skip{source}"


@dataclass(frozen=True)
class MacroLayout:
    """Layers in a row; the image is halved after one and two thirds of them.

    Attributes:
        layers: how many.
        channels: of each.
        shape: channels, height and width of an input.
    """

    layers: int
    channels: int
    shape: Shape

    def halved_after(self, layer: int) -> bool:
        """Whether the image is halved between a layer and the next; layer 0 is the stem."""
        return 0 < layer < self.layers and layer in (self.layers // 3, 2 * self.layers // 3)

    def pixels(self) -> list[int]:
        """Pixels of the output of each layer."""
        _, height, width = self.shape
        result = []
        for layer in range(1, self.layers + 1):
            result.append(height * width)
            if self.halved_after(layer):
                height, width = (height + 1) // 2, (width + 1) // 2
        return result

    def cost(self, operations: Sequence[Sequence[str]], way: int) -> NetworkCost:
        """Of a network that computes these operations in each layer; 0 classes leave the classifier out."""
        channels, height, width = self.shape
        stem = 9 * channels * self.channels
        prices = _prices(self.channels)
        # Stem and layers have a batch-norm each.
        parameters = stem + 2 * self.channels * (1 + self.layers) + (self.channels + 1) * way
        flops = stem * height * width + self.channels * way
        for labels, pixels in zip(operations, self.pixels(), strict=True):
            parameters += sum(prices[label][0] for label in labels)
            flops += sum(prices[label][1] for label in labels) * pixels
        return NetworkCost(parameters, flops)


class MacroNetwork(nn.Module):
    """Stem and layers: each is the normalised sum of its operation on the layer before, and of earlier layers.

    Args:
        layout: the layers.
        labels: the candidates by the name of the choice.
        norms: makes the batch-norm layers.
    """

    def __init__(self, layout: MacroLayout, labels: Mapping[str, Sequence[str]], norms: Norms) -> None:
        super().__init__()
        self.layout = layout
        self.labels = {name: tuple(candidates) for name, candidates in labels.items()}
        channels = layout.channels
        kernel = nn.Conv2d(layout.shape[0], channels, 3, padding=1, bias=False)
        self.stem = Stack(kernel, norms(channels, "stem"))
        layers = range(1, layout.layers + 1)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {label: OPERATIONS[label](channels, 1, norms) for label in self.labels[operation_name(layer)]}
            )
            for layer in layers
        )
        self.norms = nn.ModuleList(norms(channels, "operation") for _ in layers)

    def forward(self, inputs: Tensor, mixture: Mixture | None = None, moments: Moments | None = None) -> list[Tensor]:
        """The output of each layer, those before a halving halved, for ``(n, channels, height, width)``."""
        outputs = [self.stem(inputs, moments)]
        for layer in range(1, self.layout.layers + 1):
            outputs.append(self._layer(layer, outputs, mixture, moments))
            if self.layout.halved_after(layer):
                outputs = [F.avg_pool2d(output, 2, ceil_mode=True) for output in outputs]
        return outputs

    def _layer(self, layer: int, outputs: Sequence[Tensor], mixture: Mixture | None, moments: Moments | None) -> Tensor:
        operations = self.layers[layer - 1]
        assert isinstance(operations, nn.ModuleDict)

        def compute(label: str) -> Tensor:
            output = operations[label](outputs[-1], moments)
            assert isinstance(output, Tensor)
            return output

        name = operation_name(layer)
        joined = total(ONLY if mixture is None else mixture[name], self.labels[name], compute)
        assert joined is not None
        for source in range(layer - 1):
            name = skip_name(layer, source)
            term = total(ONLY if mixture is None else mixture[name], self.labels[name], partial(_same, outputs[source]))
            joined = joined if term is None else joined + term
        norm = self.norms[layer - 1]
        normalised = norm(joined, moments) if isinstance(norm, SuperNorm) else norm(joined)
        assert isinstance(normalised, Tensor)
        return normalised


class MacroSupernet(BodySupernet):
    """All operations of all layers.

    Args:
        layout: the layers.
        labels: the candidates by the name of the choice.
    """

    def __init__(self, layout: MacroLayout, labels: Mapping[str, Sequence[str]]) -> None:
        super().__init__(MacroNetwork(layout, labels, SuperNorms(pools=True)), layout.channels)
        self.layout = layout
        self.labels = dict(labels)

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        computed = []
        for layer in range(1, self.layout.layers + 1):
            name = operation_name(layer)
            index = mixture[name].index
            computed.append(self.labels[name] if index is None else (self.labels[name][index],))
        return self.layout.cost(computed, 0).flops


@cache
def _prices(channels: int) -> dict[str, tuple[int, int]]:
    """Parameters, and multiply-adds for one pixel, of each operation of a layer."""
    prices = {}
    for label, build in OPERATIONS.items():
        with torch.device("meta"):
            operation = build(channels, 1, ChildNorms(pools=True))
        kernels = sum(m.weight.numel() for m in operation.modules() if isinstance(m, nn.Conv2d))
        prices[label] = sum(p.numel() for p in operation.parameters()), kernels
    return prices


def _same(value: Tensor, label: str) -> Tensor:
    del label
    return value
