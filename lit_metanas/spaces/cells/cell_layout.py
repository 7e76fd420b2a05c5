"""The layout of a network of cells, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import NamedTuple

import torch
from torch import nn

from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.cells.cell_operations import OPERATIONS, Norms, convolve, halve
from lit_metanas.spaces.supernet import NetworkCost, Shape

NORMS = Norms(Builder({}, mixed=False), pools=False)
"""Those of children."""

KINDS = ("normal", "reduce")
"""Cells that keep the size of the image, and cells that halve it."""

INPUTS = 2
"""Nodes 0 and 1 of a cell are the outputs of the two cells before it."""


def edge_name(kind: str, source: int, node: int) -> str:
    """The name of an edge's choice, for instance ``normal.edge0-2``."""
    return f"{kind}.edge{source}-{node}"


def inputs_name(kind: str, node: int) -> str:
    """The name of the choice of a node's two inputs, for instance ``normal.inputs2``."""
    return f"{kind}.inputs{node}"


def pairs(node: int) -> tuple[str, ...]:
    """The pairs of a node's possible inputs, for instance ``0+1``."""
    return tuple(f"{first}+{second}" for first, second in combinations(range(node), 2))


def sources(pair: str) -> tuple[int, int]:
    """The inverse of a pair's label."""
    first, second = pair.split("+")
    return int(first), int(second)


class Site(NamedTuple):
    """One cell of a network.

    Attributes:
        kind: ``normal`` or ``reduce``.
        width: channels of each node.
        before: channels of the output of the last cell but one.
        last: channels of the output of the last cell.
        shrunk: whether the last cell has halved the image, so that the two inputs differ in size.
        size: height and width of the output.
    """

    kind: str
    width: int
    before: int
    last: int
    shrunk: bool
    size: tuple[int, int]


@dataclass(frozen=True)
class CellLayout:
    """How cells are stacked (Liu et al. 2019): at one and two thirds of the depth stands a reduction cell.

    Attributes:
        nodes: that a cell computes; its output is all of them, side by side.
        cells: of the network.
        channels: of each node before the first reduction; each reduction doubles them.
    """

    nodes: int
    cells: int
    channels: int

    @property
    def stem(self) -> int:
        """Channels of the stem."""
        return 3 * self.channels

    @property
    def second_reduction(self) -> int:
        """Place of the cell at two thirds of the depth."""
        return 2 * self.cells // 3

    def edges(self) -> list[tuple[int, int]]:
        """Source and node of each edge."""
        return [(source, node) for node in self.targets() for source in range(node)]

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


class CellCosts(NamedTuple):
    """Of a network of a cell space.

    Attributes:
        base: stem, and the convolutions at the inputs of all cells.
        edges: each operation on each edge, in all cells together, by the names of choice and label.
        features: length of the feature vector.
    """

    base: NetworkCost
    edges: dict[tuple[str, str], NetworkCost]
    features: int

    def network(self, kept: Iterable[tuple[str, str]], way: int) -> NetworkCost:
        """Of a child with these operations on edges, and a classifier."""
        head = NetworkCost((self.features + 1) * way, self.features * way)
        return _sum([self.base, head, *(self.edges[item] for item in kept if item[1] != "none")])


@cache
def cell_costs(layout: CellLayout, shape: Shape, operations: tuple[str, ...]) -> CellCosts:
    """Price all operations on all edges, for inputs of ``shape``."""
    channels, height, width = shape
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
            for label in operations:
                if label != "none":
                    price = _times(_operation(label, site.width, stride), entered)
                    terms.setdefault((edge_name(site.kind, source, node), label), []).append(price)
    edges = {key: _sum(prices) for key, prices in terms.items()}
    # A short network may have no cell of one kind.
    for kind in KINDS:
        for source, node in layout.edges():
            for label in operations:
                edges.setdefault((edge_name(kind, source, node), label), NetworkCost(0, 0))
    return CellCosts(_sum(base), edges, layout.nodes * sites[-1].width)


class _Price(NamedTuple):
    parameters: int
    kernels: int


@cache
def _operation(label: str, width: int, stride: int) -> _Price:
    with torch.device("meta"):
        return _price(OPERATIONS[label](width, stride, NORMS))


@cache
def _entry(channels: int, width: int, shrunk: bool) -> _Price:
    with torch.device("meta"):
        return _price(halve(channels, width, NORMS) if shrunk else convolve(channels, width, 1, NORMS))


def _price(module: nn.Module) -> _Price:
    """All parameters, and those of convolutions: each is one multiply-add for each output pixel."""
    kernels = sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d))
    return _Price(sum(p.numel() for p in module.parameters()), kernels)


def _times(price: _Price, pixels: int) -> NetworkCost:
    return NetworkCost(price.parameters, price.kernels * pixels)


def _sum(costs: Iterable[NetworkCost]) -> NetworkCost:
    listed = list(costs)
    return NetworkCost(sum(cost.parameters for cost in listed), sum(cost.flops for cost in listed))
