"""What the networks of a cell space cost, operation by operation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from lit_metanas.spaces.cell_layout import INPUTS, KINDS, CellLayout, edge_name
from lit_metanas.spaces.cell_operations import OPERATIONS, convolve, halve
from lit_metanas.spaces.layers import ChildNorms
from lit_metanas.spaces.space import NetworkCost, Shape


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
        return _price(OPERATIONS[label](width, stride, ChildNorms(pools=False)))


@cache
def _entry(channels: int, width: int, shrunk: bool) -> _Price:
    norms = ChildNorms(pools=False)
    with torch.device("meta"):
        return _price(halve(channels, width, norms) if shrunk else convolve(channels, width, 1, norms))


def _price(module: nn.Module) -> _Price:
    """All parameters, and those of convolutions: each is one multiply-add for each output pixel."""
    kernels = sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d))
    return _Price(sum(p.numel() for p in module.parameters()), kernels)


def _times(price: _Price, pixels: int) -> NetworkCost:
    return NetworkCost(price.parameters, price.kernels * pixels)


def _sum(costs: Iterable[NetworkCost]) -> NetworkCost:
    listed = list(costs)
    return NetworkCost(sum(cost.parameters for cost in listed), sum(cost.flops for cost in listed))
