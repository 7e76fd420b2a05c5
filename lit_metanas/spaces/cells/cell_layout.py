"""The layout of a network of cells, and its choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.cells.cell_operations import CELL_OPERATIONS, Operation

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
        if label == "conv_3x3":  # as in MetaNAS's published space
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

    def _node(self, kind: str, node: int) -> Iterator[Choice]:
        inputs = Choice(inputs_name(kind, node), pairs(node), f"inputs{node}")
        yield inputs
        for source in range(node):
            holding = frozenset(pair for pair in inputs.labels if source in sources(pair))
            yield Choice(edge_name(source, node, kind), self.operations, f"{kind}.edge", ((inputs.name, holding),))
