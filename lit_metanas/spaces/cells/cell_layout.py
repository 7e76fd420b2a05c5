"""The layout of a network of cells: its choices, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import NamedTuple

import torch
from torch import nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells.cell_operations import CELL_OPERATIONS, Norms, Operation, convolve, factorized_reduction
from lit_metanas.spaces.supernet import NetworkCost

KINDS = ("normal", "reduce")
"""Cells that keep the size of the image, and cells that halve it."""

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

    kind: str
    width: int
    before: int
    last: int
    shrunk: bool
    size: tuple[int, int]


@dataclass(frozen=True)
class CellLayout:
    """How cells are stacked (Liu et al. 2019): at one and two thirds of the depth stands a reduction cell."""

    nodes: int
    cells: int
    channels: int
    operations: tuple[str, ...]
    normalised_pools: bool
    reuse: bool = True
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
        """Those of NAS-Bench-301 (Zela et al. 2022): each node of a cell has two inputs, with an operation on each."""
        return [choice for kind in KINDS for node in self.targets() for choice in self._node(kind, node)]

    def edges(self) -> list[tuple[int, int]]:
        """Source and node of each edge."""
        return [(source, node) for node in self.targets() for source in range(node)]

    def operation(self, label: str) -> Operation:
        """What makes the operation of a label other than ``none``."""
        return CELL_OPERATIONS["separable_conv_3x3" if label == "conv_3x3" and not self.full_convolutions else label]

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
        return _sum([costs.base, head, *kept])

    def _node(self, kind: str, node: int) -> Iterator[Choice]:
        inputs = Choice(inputs_name(kind, node), pairs(node), f"inputs{node}")
        yield inputs
        for source in range(node):
            holding = frozenset(pair for pair in inputs.labels if source in sources(pair))
            yield Choice(edge_name(source, node, kind), self.operations, f"{kind}.edge", ((inputs.name, holding),))


class CellCosts(NamedTuple):
    """Of a network of a cell space."""

    base: NetworkCost
    edges: dict[tuple[str, str], NetworkCost]
    features: int


@cache
def cell_costs(layout: CellLayout, shape: Shape) -> CellCosts:
    """Price all operations on all edges, for inputs of ``shape``."""
    channels, height, width = image_shape(shape)
    stem = 9 * channels * layout.stem
    base = [NetworkCost(stem + 2 * layout.stem, stem * height * width)]
    terms: dict[tuple[str, str], list[NetworkCost]] = {}
    entered = height * width
    sites = layout.sites(height, width)
    for site in sites:
        base.append(_times(_entry(site.before, site.width, site.shrunk), entered))
        base.append(_times(_entry(site.last, site.width, False), entered))
        entered = site.size[0] * site.size[1]
        for source, node in layout.edges():
            stride = 2 if site.kind == KINDS[1] and source < INPUTS else 1
            for label in layout.operations:
                if label != "none":
                    price = _times(_operation(layout.operation(label), site.width, stride), entered)
                    terms.setdefault((edge_name(source, node, site.kind), label), []).append(price)
    edges = {key: _sum(prices) for key, prices in terms.items()}
    # A short network may have no cell of one kind.
    for kind in KINDS:
        for source, node in layout.edges():
            for label in layout.operations:
                edges.setdefault((edge_name(source, node, kind), label), NetworkCost(0, 0))
    return CellCosts(_sum(base), edges, layout.nodes * sites[-1].width)


_NORMS = Norms(Builder({}, mixed=False), pools=False)
"""Those of children; one after a pooling has no parameters."""


class _Price(NamedTuple):
    parameters: int
    kernels: int


@cache
def _operation(make: Operation, width: int, stride: int) -> _Price:
    with torch.device("meta"):
        return _price(make(width, stride, _NORMS))


@cache
def _entry(channels: int, width: int, shrunk: bool) -> _Price:
    with torch.device("meta"):
        return _price(factorized_reduction(channels, width, _NORMS) if shrunk else convolve(channels, width, 1, _NORMS))


def _price(module: nn.Module) -> _Price:
    """All parameters, and those of convolutions: each is one multiply-add for each output pixel."""
    kernels = sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d))
    return _Price(sum(p.numel() for p in module.parameters()), kernels)


def _times(price: _Price, pixels: int) -> NetworkCost:
    return NetworkCost(price.parameters, price.kernels * pixels)


def _sum(costs: Iterable[NetworkCost]) -> NetworkCost:
    listed = list(costs)
    return NetworkCost(sum(cost.parameters for cost in listed), sum(cost.flops for cost in listed))
