"""ENAS's macro search space: a whole network of layers, any two of which may be connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice, check_positive, restrict
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells.cell_operations import CELL_OPERATIONS, Norms
from lit_metanas.spaces.mixture import OpenChoice, sum_of
from lit_metanas.spaces.operations import halve_by_mean
from lit_metanas.spaces.space import SearchSpace

LAYER_OPERATIONS = ("conv_3x3", "conv_5x5", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
CONNECTIONS = ("none", "skip_connect")


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

    Example:
        >>> space = lm.spaces.ENASMacro(layers=4, channels=8)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self, *, layers: int = 12, channels: int = 24, fixed: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        check_positive(self.name, {"layers": layers, "channels": channels})
        self.layers = layers
        self.channels = channels
        choices = []
        for layer in range(1, layers + 1):
            choices.append(Choice(f"layer{layer}.operation", LAYER_OPERATIONS, "operation"))
            choices += [Choice(f"layer{layer}.skip{source}", CONNECTIONS, "skip") for source in range(layer - 1)]
        self.choices = restrict(choices, fixed or {}, self.name)

    def body(self, shape: Shape, build: Builder) -> MacroNetwork:
        """Stem and layers."""
        return MacroNetwork(self.layers, self.channels, shape, build)


class MacroNetwork(nn.Module):
    """Stem and layers: each is the normalised sum of its operation on the layer before, and of earlier layers."""

    def __init__(self, layers: int, channels: int, shape: Shape, build: Builder) -> None:
        super().__init__()
        norms = Norms(build, pools=True)
        self.stem = nn.Sequential(nn.Conv2d(shape[0], channels, 3, padding=1, bias=False), norms(channels, "stem"))
        makes = {label: partial(CELL_OPERATIONS[label], channels, 1, norms) for label in LAYER_OPERATIONS}
        numbers = range(1, layers + 1)
        self.layers = nn.ModuleList(build.choice(f"layer{layer}.operation", makes) for layer in numbers)
        self.norms = nn.ModuleList(norms(channels, "operation") for _ in numbers)
        self.skips = [
            [build.question(f"layer{layer}.skip{source}", CONNECTIONS) for source in range(layer - 1)]
            for layer in numbers
        ]
        self.halved_after = {layers // 3, 2 * layers // 3} - {0, layers}

    def forward(self, inputs: Tensor) -> Tensor:
        """The last layer, for ``(n, channels, height, width)``."""
        outputs = [self.stem(inputs)]
        for layer, (operation, norm, skips) in enumerate(zip(self.layers, self.norms, self.skips, strict=True), 1):
            added = (_skipped(*pair) for pair in zip(skips, outputs, strict=False))
            outputs.append(norm(sum_of([operation(outputs[-1]), *added])))
            if layer in self.halved_after:
                outputs = [halve_by_mean(output) for output in outputs]
        return outputs[-1]


def _skipped(skip: OpenChoice, source: Tensor) -> Tensor | None:
    return skip.total(lambda label: source)
