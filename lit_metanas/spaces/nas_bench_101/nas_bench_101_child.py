"""The child network of a NAS-Bench-101 cell, and its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.child_network import ChildNetwork, NormalisedConvolution
from lit_metanas.spaces.mixture import sum_of
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import VERTEX_OPERATIONS, CellGraph, split_channels
from lit_metanas.spaces.supernet import NetworkCost

VERTEX_KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
"""Sizes of the operations that are convolutions."""


def strongest(inputs: Tensor) -> Tensor:
    """The maximum over each pixel's 3x3 neighbourhood."""
    return F.max_pool2d(inputs, 3, stride=1, padding=1)


def halve_by_maximum(inputs: Tensor) -> Tensor:
    """The maxima of 2x2 pixels; an odd last row or column, which the benchmark's images lack, is kept."""
    return F.max_pool2d(inputs, 2, ceil_mode=True)


def compute_cell_graph(
    cell: CellGraph,
    inputs: Tensor,
    width: int,
    *,
    project: Callable[[int, int], Tensor],
    operate: Callable[[int, Tensor], Tensor],
    along: Callable[[int, int, Tensor], Tensor] = lambda source, target, value: value,
) -> Tensor:
    """The output of a pruned cell, given projections of its input, operations, and what happens ``along`` an edge."""
    values = [inputs]
    last = cell.vertices - 1
    for vertex, own in enumerate((*split_channels(cell, width), width), start=1):
        terms = []
        for source in range(1, vertex):
            if cell.joins(source, vertex):
                value = values[source] if vertex == last else values[source][:, :own]
                terms.append(along(source, vertex, value))
        if vertex == last and terms:
            terms = [torch.cat(terms, 1)]
        if cell.joins(0, vertex):
            terms.append(along(0, vertex, project(vertex, own)))
        total = sum_of(terms)
        assert total is not None
        values.append(total if vertex == last else operate(vertex, total))
    return values[last]


class NASBench101Cell(nn.Module):
    """One cell; ``key`` is its name in the supernet, and ``names`` are the numbers of its vertices there."""

    def __init__(self, key: str, cell: CellGraph, names: Sequence[int], *, before: int, width: int) -> None:
        super().__init__()
        self.cell, self.names, self.width = cell, tuple(names), width
        widths = (before, *split_channels(cell, width), width)
        self.projections = nn.ModuleDict()
        self.operations = nn.ModuleDict()
        for vertex in range(1, cell.vertices):
            if cell.joins(0, vertex):
                name = edge_name(0, names[vertex])
                path = f"{key}.projections.{name}"
                self.projections[name] = NormalisedConvolution(path, before, widths[vertex], 1)
        for vertex, operation in enumerate(cell.operations, start=1):
            label, channels = VERTEX_OPERATIONS[operation], widths[vertex]
            if label in VERTEX_KERNELS:
                name = f"op{names[vertex]}"
                path = f"{key}.operations.{name}.{label}"
                self.operations[name] = NormalisedConvolution(path, channels, channels, VERTEX_KERNELS[label])

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, before, height, width)`` to ``(n, width, height, width)``."""

        def project(vertex: int, width: int) -> Tensor:
            projected: Tensor = self.projections[edge_name(0, self.names[vertex])](inputs)
            return projected.relu()

        return compute_cell_graph(self.cell, inputs, self.width, project=project, operate=self._operate)

    def _operate(self, vertex: int, inputs: Tensor) -> Tensor:
        name = f"op{self.names[vertex]}"
        if name not in self.operations:
            return strongest(inputs)
        outputs: Tensor = self.operations[name](inputs)
        return outputs.relu()


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
        self.flops = cell_cost(cell, shape=shape, channels=channels, stacks=stacks, cells=cells, way=way).flops

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        outputs: Tensor = self.stem(inputs).relu()
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                outputs = halve_by_maximum(outputs)
            outputs = cell(outputs)
        return outputs.mean((2, 3))

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """See ``ChildNetwork``: leading slices of larger parameters, but for the stem's, which is of one size."""
        self._refuse_other_sizes(weights, {"stem.kernel": self.stem.convolution.weight})
        self._copy(weights)

    def _tensors(self) -> dict[str, Tensor]:
        layers = [module for module in self.modules() if isinstance(module, NormalisedConvolution)]
        return {name: tensor for layer in layers for name, tensor in layer.tensors().items()}


class Convolved(NamedTuple):
    """A convolution with batch-norm: channels before and after it, and the kernel's size."""

    before: int
    after: int
    kernel: int


def convolutions(cell: CellGraph, before: int, width: int) -> list[Convolved]:
    """The convolutions of a pruned cell that turns ``before`` channels into ``width``."""
    widths = (*split_channels(cell, width), width)
    result = [Convolved(before, own, 1) for vertex, own in enumerate(widths, start=1) if cell.joins(0, vertex)]
    for own, operation in zip(widths, cell.operations, strict=False):
        if kernel := VERTEX_KERNELS.get(VERTEX_OPERATIONS[operation]):
            result.append(Convolved(own, own, kernel))
    return result


def cell_cost(cell: CellGraph, *, shape: Shape, channels: int, stacks: int, cells: int, way: int) -> NetworkCost:
    """Parameters and multiply-adds (of convolutions and classifier) of a network of a pruned cell."""
    sizes = {"channels": channels, "stacks": stacks, "cells": cells}
    return stacks_cost(lambda before, width: convolutions(cell, before, width), shape=shape, way=way, **sizes)


def stacks_cost(
    convolved: Callable[[int, int], Sequence[Convolved]],
    *,
    shape: Shape,
    channels: int,
    stacks: int,
    cells: int,
    way: int,
) -> NetworkCost:
    """The same, given the convolutions of a cell for its channels before and after; ``way`` 0 is no classifier."""
    _, height, width = image_shape(shape)
    stem = 9 * shape[0] * channels
    cost = NetworkCost(stem + 2 * channels, stem * height * width)
    before = channels
    for stack in range(stacks):
        after = channels * 2**stack
        if stack:
            height, width = (height + 1) // 2, (width + 1) // 2
        for _ in range(cells):
            for one in convolved(before, after):
                weights = one.before * one.after * one.kernel**2
                cost += NetworkCost(weights + 2 * one.after, weights * height * width)
            before = after
    return cost + NetworkCost((before + 1) * way, before * way)
