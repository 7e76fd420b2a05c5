"""The child network of a NAS-Bench-101 cell, and its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.child_network import ChildNetwork, NormalisedConvolution
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import VERTEX_OPERATIONS, CellGraph, split_channels
from lit_metanas.spaces.supernet import NetworkCost


def strongest(inputs: Tensor) -> Tensor:
    """The maximum over each pixel's 3x3 neighbourhood."""
    return F.max_pool2d(inputs, 3, stride=1, padding=1)


def halve_by_maximum(inputs: Tensor) -> Tensor:
    """The maxima of 2x2 pixels; an odd last row or column, which the benchmark's images lack, is kept."""
    return F.max_pool2d(inputs, 2, ceil_mode=True)


class NASBench101Cell(nn.Module):
    """One cell: what enters a vertex is summed, what enters the output concatenated, and the input is projected."""

    def __init__(self, key: str, cell: CellGraph, names: Sequence[int], *, before: int, width: int) -> None:
        super().__init__()
        self.cell = cell
        self.names = tuple(names)
        self.widths = (before, *split_channels(cell, width), width)
        self.projections = nn.ModuleDict()
        self.operations = nn.ModuleDict()
        for vertex in range(1, cell.vertices):
            if cell.joins(0, vertex):
                name = edge_name(0, names[vertex])
                path = f"{key}.projections.{name}"
                self.projections[name] = NormalisedConvolution(path, before, self.widths[vertex], 1)
        for vertex, operation in enumerate(cell.operations, start=1):
            label, channels = VERTEX_OPERATIONS[operation], self.widths[vertex]
            if label in VERTEX_KERNELS:
                name = f"op{names[vertex]}"
                path = f"{key}.operations.{name}.{label}"
                self.operations[name] = NormalisedConvolution(path, channels, channels, VERTEX_KERNELS[label])

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, before, height, width)`` to ``(n, width, height, width)``."""
        values = [inputs]
        for vertex in range(1, self.cell.vertices - 1):
            terms = [
                values[source][:, : self.widths[vertex]]
                for source in range(1, vertex)
                if self.cell.joins(source, vertex)
            ]
            total = reduce(torch.add, terms + self._project(inputs, vertex))
            name = f"op{self.names[vertex]}"
            values.append(self.operations[name](total).relu() if name in self.operations else strongest(total))
        last = len(values)
        joined = [values[vertex] for vertex in range(1, last) if self.cell.joins(vertex, last)]
        whole = [torch.cat(joined, 1)] if joined else []
        return reduce(torch.add, whole + self._project(inputs, last))

    def _project(self, inputs: Tensor, vertex: int) -> list[Tensor]:
        name = edge_name(0, self.names[vertex])
        return [self.projections[name](inputs).relu()] if name in self.projections else []


class NASBench101Child(ChildNetwork):
    """Stem, stacks of equal cells with a max-pooling between stacks, global average and a linear classifier."""

    def __init__(
        self, cell: CellGraph, names: Sequence[int], *, shape: Shape, way: int, channels: int, stacks: int, cells: int
    ) -> None:
        super().__init__()
        self.stem = NormalisedConvolution("stem", shape[0], channels, 3)
        self.size = cells
        self.features = channels
        blocks = []
        for place in range(stacks * cells):
            width = channels * 2 ** (place // cells)
            blocks.append(NASBench101Cell(f"cells.{place}", cell, names, before=self.features, width=width))
            self.features = width
        self.cells = nn.ModuleList(blocks)
        self.head = nn.Linear(self.features, way)
        self.flops = stacks_cost(
            partial(convolutions, cell), shape=shape, channels=channels, stacks=stacks, cells=cells, way=way
        ).flops

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        outputs = self.stem(inputs).relu()
        for place, cell in enumerate(self.cells):
            outputs = cell(halve_by_maximum(outputs) if place and place % self.size == 0 else outputs)
        assert isinstance(outputs, Tensor)
        return outputs.mean((2, 3))

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the leading slices of the parameters, and where present the statistics, of a supernet of the space."""
        self._copy(weights, whole=["stem.kernel"])

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics but the classifier's, under the supernet's names."""
        layers = [module for module in self.modules() if isinstance(module, NormalisedConvolution)]
        return {name: tensor for layer in layers for name, tensor in layer.tensors().items()}


VERTEX_KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
"""Sizes of the operations that are convolutions."""


class Convolved(NamedTuple):
    """A convolution with batch-norm: channels before and after it, and the kernel's size."""

    before: int
    after: int
    kernel: int


def convolutions(cell: CellGraph, before: int, width: int) -> list[Convolved]:
    """The convolutions of a pruned cell that turns ``before`` channels into ``width``."""
    last = cell.vertices - 1
    result = [Convolved(before, width, 1)] if cell.joins(0, last) else []
    for vertex, channels in enumerate(split_channels(cell, width), start=1):
        if cell.joins(0, vertex):
            result.append(Convolved(before, channels, 1))
        kernel = VERTEX_KERNELS.get(VERTEX_OPERATIONS[cell.operations[vertex - 1]])
        if kernel is not None:
            result.append(Convolved(channels, channels, kernel))
    return result


def stacks_cost(
    convolved: Callable[[int, int], Sequence[Convolved]],
    *,
    shape: Shape,
    channels: int,
    stacks: int,
    cells: int,
    way: int,
) -> NetworkCost:
    """Parameters and multiply-adds (of convolutions and classifier) of a network."""
    _, height, width = image_shape(shape)
    parameters, flops = (9 * shape[0] + 2) * channels, 9 * shape[0] * channels * height * width
    before = channels
    for stack in range(stacks):
        after = channels * 2**stack
        if stack:
            height, width = (height + 1) // 2, (width + 1) // 2
        for _ in range(cells):
            for one in convolved(before, after):
                weights = one.before * one.after * one.kernel**2
                parameters += weights + 2 * one.after
                flops += weights * height * width
            before = after
    return NetworkCost(parameters + (before + 1) * way, flops + before * way)
