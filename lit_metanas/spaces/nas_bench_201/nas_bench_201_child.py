"""The child network of a NAS-Bench-201 cell, and its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.child_network import ChildNetwork, NormalisedConvolution, norm_tensors
from lit_metanas.spaces.nas_bench_201.nas_bench_201_cells import EDGES, compute_cell, compute_edge
from lit_metanas.spaces.operations import halve_by_mean
from lit_metanas.spaces.supernet import NetworkCost

EDGE_KERNELS: Mapping[str, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
"""Sizes of the operations that are convolutions."""

STAGES = 3


class NASBench201Cell(nn.Module):
    """The sum of its incoming edges at each node; a node without any is zero."""

    def __init__(self, key: str, operations: Sequence[str], width: int) -> None:
        super().__init__()
        self.operations = {edge_name(*edge): label for edge, label in zip(EDGES, operations, strict=True)}
        self.convolutions = nn.ModuleDict(
            {
                name: NormalisedConvolution(f"{key}.{name}.{label}", width, width, EDGE_KERNELS[label])
                for name, label in self.operations.items()
                if label in EDGE_KERNELS
            }
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node, of the inputs' shape."""
        return compute_cell(inputs, self._along)

    def _along(self, name: str, inputs: Tensor) -> Tensor | None:
        operation = self.operations[name]
        if operation == "none":
            return None
        return compute_edge(operation, inputs, lambda activated: self.convolutions[name](activated))


class Reduction(nn.Module):
    """A basic residual block (He et al. 2016) that halves the image."""

    def __init__(self, key: str, channels: int, width: int) -> None:
        super().__init__()
        self.key = key
        self.first = NormalisedConvolution(f"{key}.first", channels, width, 3, stride=2)
        self.second = NormalisedConvolution(f"{key}.second", width, width, 3)
        self.projection = nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs: Tensor = self.projection(halve_by_mean(inputs)) + self.second(self.first(inputs.relu()).relu())
        return outputs


class NASBench201Child(ChildNetwork):
    """Stem, three stages of equal cells with reductions between them, global average and a linear classifier."""

    def __init__(self, operations: Sequence[str], *, shape: Shape, way: int, channels: int, cells: int) -> None:
        super().__init__()
        self.stem = NormalisedConvolution("stem", shape[0], channels, 3)
        blocks: list[nn.Module] = []
        for stage in range(STAGES):
            width = channels * 2**stage
            if stage:
                blocks.append(Reduction(f"reductions.{stage - 1}", width // 2, width))
            blocks += [NASBench201Cell(f"cells.{stage * cells + place}", operations, width) for place in range(cells)]
        self.blocks = nn.Sequential(*blocks)
        self.features = channels * 2 ** (STAGES - 1)
        self.last = nn.BatchNorm2d(self.features)
        self.head = nn.Linear(self.features, way)
        self.flops = stages_cost(operations, shape=shape, channels=channels, cells=cells, way=way).flops

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        outputs: Tensor = self.last(self.blocks(self.stem(inputs))).relu().mean((2, 3))
        return outputs

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """See ``ChildNetwork``."""
        self._refuse_other_sizes(weights, self._tensors())
        self._copy(weights)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = norm_tensors("last", self.last)
        for module in self.modules():
            if isinstance(module, NormalisedConvolution):
                tensors |= module.tensors()
            elif isinstance(module, Reduction):
                tensors[f"{module.key}.projection"] = module.projection.weight
        return tensors


def stages_cost(labels: Sequence[str], *, shape: Shape, channels: int, cells: int, way: int) -> NetworkCost:
    """Parameters and multiply-adds of a network with these operations in each cell; ``way`` 0 is no classifier."""
    kernels = [EDGE_KERNELS[label] for label in labels if label in EDGE_KERNELS]
    taps = sum(kernel**2 for kernel in kernels)
    _, height, width = image_shape(shape)
    stem = 9 * shape[0] * channels
    cost = NetworkCost(stem + 2 * channels, stem * height * width)
    for stage in range(STAGES):
        out = channels * 2**stage
        if stage:  # twice the channels at half the height and width
            height, width = (height + 1) // 2, (width + 1) // 2
            reduction = out // 2 * out * 10 + 9 * out**2
            cost += NetworkCost(reduction + 4 * out, reduction * height * width)
        weights = cells * taps * out**2
        cost += NetworkCost(weights + cells * 2 * out * len(kernels), weights * height * width)
    return cost + NetworkCost(2 * out + (out + 1) * way, out * way)
