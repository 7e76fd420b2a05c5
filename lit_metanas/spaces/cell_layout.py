"""Cells of two inputs as words: their nodes, edges, pairs of inputs, and where they stand in the network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

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
