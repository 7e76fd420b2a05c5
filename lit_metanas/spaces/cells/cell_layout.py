"""The layout of a network of cells: its choices and its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import NamedTuple

import torch
from torch import nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells.cell_operations import CELL_OPERATIONS, Norms, Operation, entry
from lit_metanas.spaces.supernet import NetworkCost

STRIDES = {"normal": 1, "reduce": 2}
"""Cells that keep the size of the image, and cells that halve it."""

KINDS = tuple(STRIDES)

INPUTS = 2
"""Nodes 0 and 1 of a cell are the outputs of the two cells before it."""


def inputs_name(kind: str, node: int) -> str:
    """The name of the choice of a node's two inputs, for instance ``normal.inputs2``."""
    return f"{kind}.inputs{node}"


def is_edge(name: str) -> bool:
    """Whether a choice of this name is of an edge's operation, not of a node's inputs."""
    return ".edge" in name


def pairs(node: int) -> tuple[str, ...]:
    """The pairs of a node's possible inputs, for instance ``0+1``."""
    return tuple(f"{first}+{second}" for first, second in combinations(range(node), 2))


def sources(pair: str) -> tuple[int, int]:
    """The inverse of a pair's label."""
    first, second = pair.split("+")
    return int(first), int(second)


class Site(NamedTuple):
    """One cell of a network."""

    kind: str  # of KINDS
    width: int  # channels of each node
    before: int  # channels of the output of the last cell but one
    last: int  # channels of the output of the last cell
    shrunk: bool  # whether the last cell has halved the image, so that the two inputs differ in size
    size: tuple[int, int]  # height and width of the output


@dataclass(frozen=True)
class CellLayout:
    """How cells are stacked (Liu et al. 2019): at one and two thirds of the depth stands a reduction cell."""

    nodes: int  # that a cell computes; its output is all of them, side by side
    cells: int
    channels: int  # of each node before the first reduction; each reduction doubles them
    operations: tuple[str, ...]  # the candidates of each edge
    normalised_pools: bool
    full_convolutions: bool = False

    @property
    def stem(self) -> int:
        """Channels of the stem."""
        return 3 * self.channels

    @property
    def second_reduction(self) -> int:
        """Place of the cell at two thirds of the depth."""
        return 2 * self.cells // 3

    def choices(self) -> list[Choice]:
        """Those of NAS-Bench-301 (Zela et al. 2022): a pair of inputs for each node, and an operation for each edge."""
        return [choice for kind in KINDS for node in self.targets() for choice in self._node(kind, node)]

    def edges(self) -> list[tuple[int, int]]:
        """Source and node of each edge."""
        return [(source, node) for node in self.targets() for source in range(node)]

    def operation(self, label: str) -> Operation:
        """What makes the operation of a label other than ``none``."""
        if label == "conv_3x3" and not self.full_convolutions:
            label = "separable_conv_3x3"
        return CELL_OPERATIONS[label]

    def stride(self, kind: str, source: int) -> int:
        """That of the edges from a source: inputs of a cell are as large as its last one was."""
        return STRIDES[kind] if source < INPUTS else 1

    def targets(self) -> range:
        """The nodes that a cell computes."""
        return range(INPUTS, INPUTS + self.nodes)

    def sites(self, height: int, width: int) -> list[Site]:
        """The cells from input to output, for an image of this size."""
        size, channels, before, last, shrunk = (height, width), self.channels, self.stem, self.stem, False
        result = []
        for place in range(self.cells):
            reduces = place in (self.cells // 3, self.second_reduction)
            if reduces:
                size, channels = ((size[0] + 1) // 2, (size[1] + 1) // 2), 2 * channels
            result.append(Site(KINDS[reduces], channels, before, last, shrunk, size))
            before, last, shrunk = last, self.nodes * channels, reduces
        return result

    def cost(self, architecture: Mapping[str, str], shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of a canonical architecture's child, without an auxiliary classifier."""
        costs = cell_costs(self, shape)
        head = NetworkCost((costs.features + 1) * way, costs.features * way)
        kept = [costs.edges[name, label] for name, label in architecture.items() if is_edge(name) and label != "none"]
        return sum([head, *kept], costs.base)

    def _node(self, kind: str, node: int) -> Iterator[Choice]:
        inputs = Choice(inputs_name(kind, node), pairs(node), f"inputs{node}")
        yield inputs
        for source in range(node):
            holding = frozenset(pair for pair in inputs.labels if source in sources(pair))
            yield Choice(edge_name(source, node, kind), self.operations, f"{kind}.edge", ((inputs.name, holding),))


class CellCosts(NamedTuple):
    """The costs of the parts of a network of a cell space."""

    base: NetworkCost  # stem, and the convolutions at the inputs of all cells
    edges: dict[tuple[str, str], NetworkCost]  # by choice and label, in all cells together
    features: int  # length of the feature vector


@cache
def cell_costs(layout: CellLayout, shape: Shape) -> CellCosts:
    """Price all operations on all edges, for inputs of ``shape``."""
    channels, height, width = image_shape(shape)
    stem = 9 * channels * layout.stem
    base = NetworkCost(stem + 2 * layout.stem, stem * height * width)
    edges = {  # a short network may have no cell of one kind
        (edge_name(*edge, kind), label): NetworkCost(0, 0)
        for kind in KINDS
        for edge in layout.edges()
        for label in layout.operations
    }
    entered = height * width
    sites = layout.sites(height, width)
    for site in sites:
        base += _cost(entered, entry, site.before, site.width, site.shrunk)
        base += _cost(entered, entry, site.last, site.width, False)
        entered = site.size[0] * site.size[1]
        for source, node in layout.edges():
            stride = layout.stride(site.kind, source)
            for label in layout.operations:
                if label != "none":
                    cost = _cost(entered, layout.operation(label), site.width, stride)
                    edges[edge_name(source, node, site.kind), label] += cost
    return CellCosts(base, edges, layout.nodes * sites[-1].width)


_NORMS = Norms(Builder({}, mixed=False), pools=False)
"""Those of children; one after a pooling has no parameters."""


def _cost(pixels: int, make: Callable[..., nn.Module], *size: int) -> NetworkCost:
    """The cost of a module that is made for a size and computes so many output pixels."""
    parameters, kernels = _count(make, *size)
    return NetworkCost(parameters, kernels * pixels)


@cache
def _count(make: Callable[..., nn.Module], *size: int) -> tuple[int, int]:
    """All parameters, and those of convolutions: each is one multiply-add for each output pixel."""
    with torch.device("meta"):
        module = make(*size, _NORMS)
    kernels = sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d))
    return sum(p.numel() for p in module.parameters()), kernels
