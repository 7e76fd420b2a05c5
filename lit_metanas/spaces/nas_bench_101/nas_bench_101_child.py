"""The child network of a NAS-Bench-101 cell, and its cost."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.child_network import ChildNetwork, NormalisedConvolution
from lit_metanas.spaces.mixture import sum_of
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import VERTEX_OPERATIONS, CellGraph, split_channels
from lit_metanas.spaces.supernet import NetworkCost

VERTEX_KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
"""Sizes of the operations that are convolutions."""


class NASBench101Cell(nn.Module):
    """One pruned cell; ``key`` stands in front of the names of its weights."""

    def __init__(self, key: str, cell: CellGraph, *, before: int, width: int) -> None:
        super().__init__()
        self.cell = cell
        self.widths = (before, *split_channels(cell, width), width)
        self.projections = nn.ModuleDict()
        self.operations = nn.ModuleDict()
        for vertex in range(1, cell.vertices):
            if cell.joins(0, vertex):
                path = f"{key}.projections.{vertex}"
                self.projections[str(vertex)] = NormalisedConvolution(path, before, self.widths[vertex], 1)
        for vertex, operation in enumerate(cell.operations, start=1):
            label, channels = VERTEX_OPERATIONS[operation], self.widths[vertex]
            if label in VERTEX_KERNELS:
                path = f"{key}.operations.{vertex}.{label}"
                self.operations[str(vertex)] = NormalisedConvolution(path, channels, channels, VERTEX_KERNELS[label])

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, before, height, width)`` to ``(n, width, height, width)``."""
        values = [inputs]
        last = self.cell.vertices - 1
        for vertex in range(1, last + 1):
            terms = [values[source] for source in range(1, vertex) if self.cell.joins(source, vertex)]
            if vertex < last:
                terms = [term[:, : self.widths[vertex]] for term in terms]
            elif terms:
                terms = [torch.cat(terms, 1)]
            if self.cell.joins(0, vertex):
                terms.append(self.projections[str(vertex)](inputs).relu())
            total = sum_of(terms)
            assert total is not None
            values.append(total if vertex == last else self._operate(vertex, total))
        return values[last]

    def _operate(self, vertex: int, inputs: Tensor) -> Tensor:
        if str(vertex) not in self.operations:
            return F.max_pool2d(inputs, 3, stride=1, padding=1)
        outputs: Tensor = self.operations[str(vertex)](inputs)
        return outputs.relu()


class NASBench101Child(ChildNetwork):
    """Stem, stacks of equal cells with a max-pooling between stacks, global average and a linear classifier."""

    def __init__(self, cell: CellGraph, *, shape: Shape, way: int, channels: int, stacks: int, cells: int) -> None:
        super().__init__()
        self.stem = NormalisedConvolution("stem", shape[0], channels, 3)
        self.size = cells
        self.features = channels
        blocks = []
        for place in range(stacks * cells):
            width = channels * 2 ** (place // cells)
            blocks.append(NASBench101Cell(f"cells.{place}", cell, before=self.features, width=width))
            self.features = width
        self.cells = nn.ModuleList(blocks)
        self.head = nn.Linear(self.features, way)
        self.flops = cell_cost(cell, shape=shape, channels=channels, stacks=stacks, cells=cells, way=way).flops

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        outputs: Tensor = self.stem(inputs).relu()
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                # An odd last row or column, which the benchmark's images lack, is kept.
                outputs = F.max_pool2d(outputs, 2, ceil_mode=True)
            outputs = cell(outputs)
        return outputs.mean((2, 3))

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """See ``ChildNetwork``: what another child has under the same names."""
        self._copy_common(weights)

    def _tensors(self) -> dict[str, Tensor]:
        layers = [module for module in self.modules() if isinstance(module, NormalisedConvolution)]
        return {name: tensor for layer in layers for name, tensor in layer.tensors().items()}


def cell_cost(cell: CellGraph, *, shape: Shape, channels: int, stacks: int, cells: int, way: int) -> NetworkCost:
    """Parameters and multiply-adds (of convolutions and classifier) of a network of a pruned cell."""
    _, height, width = image_shape(shape)
    stem = 9 * shape[0] * channels
    cost = NetworkCost(stem + 2 * channels, stem * height * width)
    before = channels
    for stack in range(stacks):
        after = channels * 2**stack
        if stack:
            height, width = (height + 1) // 2, (width + 1) // 2
        for _ in range(cells):
            for into, out, kernel in _convolutions(cell, before, after):
                weights = into * out * kernel**2
                cost += NetworkCost(weights + 2 * out, weights * height * width)
            before = after
    return cost + NetworkCost((before + 1) * way, before * way)


def _convolutions(cell: CellGraph, before: int, width: int) -> list[tuple[int, int, int]]:
    """Channels before and after each convolution of a cell, and the kernel's size."""
    widths = (*split_channels(cell, width), width)
    found = [(before, own, 1) for vertex, own in enumerate(widths, start=1) if cell.joins(0, vertex)]
    for own, operation in zip(widths, cell.operations, strict=False):
        if kernel := VERTEX_KERNELS.get(VERTEX_OPERATIONS[operation]):
            found.append((own, own, kernel))
    return found
