"""The search space of NAS-Bench-201, one cell of four nodes, stacked, and its encoding."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import product

from torch import Tensor

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Architecture, Choice, check_positive, restrict
from lit_metanas.spaces.body_networks import BodyChild
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.encodings import Encoding, count_features
from lit_metanas.spaces.nas_bench_201.nas_bench_201_networks import (
    CELL_NODES,
    EDGE_OPERATIONS,
    EDGES,
    NAMES,
    NASBench201Network,
    stages_cost,
)
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost, Supernet

COMPUTING = tuple(operation for operation in EDGE_OPERATIONS if operation not in ("none", "skip_connect"))
PATHS = {path: place for place, path in enumerate(p for n in range(CELL_NODES) for p in product(COMPUTING, repeat=n))}
"""What a path from input to output can compute, in the order of its length."""


CellLabels = tuple[str, ...]  # a cell: the operation of each edge of `EDGES`


class NASBench201(SearchSpace):
    """Six edges of a cell, each with one of five operations (Dong and Yang 2020): 15,625 architectures.

    ``from_index``, ``to_index``, ``from_string`` and ``to_string`` read and write the benchmark's index and notation;
    they keep isomorphic cells apart. The 341 cells without a path from input to output are architectures like the
    others: they can be built, and the benchmark has trained them.

    Args:
        channels: of the first of three stages; each further one has twice as many.
        cells: in each stage.
        merge_isomorphs: whether cells that the benchmark's authors count as one graph (skips are identities, ``none``
            is no edge) are one architecture: that of the lowest index. 6,466 are left. A supernet needs ``false``:
            it has other weights for each isomorph.
        fixed: labels that single choices are restricted to, for instance ``{edge0-1: [nor_conv_3x3]}``.

    Raises:
        ValueError: a number is not positive, or a choice or label is unknown.

    Example:
        >>> space = lm.spaces.NASBench201(channels=8, cells=1)
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        cells: int = 5,
        merge_isomorphs: bool = True,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        check_positive(self.name, {"channels": channels, "cells": cells})
        self.channels = channels
        self.cells = cells
        self.merge_isomorphs = merge_isomorphs
        self.choices = restrict([Choice(name, EDGE_OPERATIONS, "edge") for name in NAMES], fixed or {}, self.name)

    def from_index(self, index: int) -> Architecture:
        """The architecture of an index of NAS-Bench-201 and NATS-Bench (topology).

        Raises:
            ValueError: the index is not between 0 and 15,624.
        """
        cells = official_cells()
        if not 0 <= index < len(cells):
            raise ValueError(f"NAS-Bench-201 has no index {index}: use 0 to {len(cells) - 1}.")
        return _architecture(cells[index])

    def to_index(self, architecture: Mapping[str, str]) -> int:
        """The inverse of ``from_index``."""
        return official_indices()[self._cell(architecture)]

    def from_string(self, text: str) -> Architecture:
        """The architecture of a notation such as ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…~0|…~1|…~2|``.

        Raises:
            ValueError: the text is not that of a cell.
        """
        cell = tuple(re.findall(r"(\w+)~", text))
        known = len(cell) == len(EDGES) and set(cell) <= set(EDGE_OPERATIONS)
        if not known or format_cell(cell) != text.strip():
            raise ValueError(
                f"'{text}' is not a cell of NAS-Bench-201: write |x~0|+|x~0|x~1|+|x~0|x~1|x~2| "
                f"where each x is one of {', '.join(EDGE_OPERATIONS)}."
            )
        return _architecture(cell)

    def to_string(self, architecture: Mapping[str, str]) -> str:
        """The inverse of ``from_string``."""
        return format_cell(self._cell(architecture))

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """The architecture of the lowest index that is isomorphic; the same one unless isomorphs are merged."""
        cell = self._cell(labels)
        return _architecture(self._representatives[cell] if self.merge_isomorphs else cell)

    def body(self, shape: Shape, build: Builder) -> NASBench201Network:
        """Stem, cells and reductions."""
        return NASBench201Network(build, shape, channels=self.channels, cells=self.cells)

    def supernet(self, shape: Shape) -> Supernet:
        """Build the network that holds all candidates."""
        if self.merge_isomorphs and any(cell != first for cell, first in self._representatives.items()):
            raise ValueError(
                "NASBench201: a supernet has other weights for each of several isomorphic cells; "
                "set merge_isomorphs to false."
            )
        return super().supernet(shape)

    def build(self, architecture: Architecture, shape: Shape, way: int) -> BodyChild:
        """The benchmark's network of exactly this architecture, not of an isomorphic one, with new weights."""
        labels = {name: (label,) for name, label in zip(NAMES, self._cell(architecture), strict=True)}
        return BodyChild(self.body(shape, Builder(labels, mixed=False)), shape, way)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child: convolutions and the classifier.

        The benchmark's own FLOPs count the classifier's bias, too: ``way`` more.
        """
        return stages_cost(self._cell(architecture), shape=shape, way=way, channels=self.channels, cells=self.cells)

    def _cell(self, labels: Mapping[str, str]) -> CellLabels:
        architecture = super().canonical(labels)
        return tuple(architecture[name] for name in NAMES)

    @property
    def _representatives(self) -> Mapping[CellLabels, CellLabels]:
        # For each cell of the space the isomorphic one of the lowest index.
        return _representatives(tuple(choice.labels for choice in self.choices))


@lru_cache(maxsize=64)
def _representatives(labels: tuple[tuple[str, ...], ...]) -> dict[CellLabels, CellLabels]:
    first: dict[str, CellLabels] = {}
    return {
        cell: first.setdefault(expression(cell), cell)
        for cell in official_cells()
        if all(label in left for label, left in zip(cell, labels, strict=True))
    }


def _architecture(cell: CellLabels) -> Architecture:
    return Architecture(dict(zip(NAMES, cell, strict=True)))


def format_cell(cell: Sequence[str]) -> str:
    """The literature's notation, ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…|``: inputs of nodes 1, 2 and 3."""
    operations = dict(zip(EDGES, cell, strict=True))
    nodes = ([f"{operations[source, node]}~{source}" for source in range(node)] for node in range(1, CELL_NODES))
    return "+".join(f"|{'|'.join(inputs)}|" for inputs in nodes)


@cache
def official_cells() -> tuple[CellLabels, ...]:
    """All 15,625 cells; a cell's place is its index in NAS-Bench-201 and NATS-Bench."""
    # The benchmark shuffled the product of all operations (the last edge varies fastest) with Python's generator.
    cells = list(product(EDGE_OPERATIONS, repeat=len(EDGES)))
    random.Random(88).shuffle(cells)  # noqa: S311 (the published order)
    return tuple(cells)


@cache
def official_indices() -> dict[CellLabels, int]:
    """The inverse of ``official_cells``."""
    return {cell: index for index, cell in enumerate(official_cells())}


def expression(cell: Sequence[str]) -> str:
    """The benchmark's formula of what a cell computes: cells of one formula are isomorphic; there are 6,466."""
    # A skip is its input, and an operation on nothing (`#`) is nothing. The formula is that of the benchmark's authors
    # (Dong and Yang 2020), symbol for symbol, since its order of terms decides what is merged: a skip's sum keeps its
    # place among the sorted terms and `#` stays a term. So some equal graphs are apart; with sums sorted anew and
    # without `#` there would be 4,930.
    nothing = "#"
    operations = dict(zip(EDGES, cell, strict=True))
    nodes = ["0"]
    for target in range(1, CELL_NODES):
        terms = []
        for source, value in enumerate(nodes):
            operation = operations[source, target]
            if operation == "none" or value == nothing:
                value = nothing
            elif operation != "skip_connect":
                value = f"({value})@{operation}"
            terms.append(value)
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


class NASBench201Encoding(Encoding):
    """Operations by edge, operations counted, and the paths from input to output, in three groups.

    Paths are those of White, Neiswanger and Savani (2021), counted, without skips, which compute nothing.

    Args:
        space: whose architectures are encoded; one that merges isomorphs, for these to have equal vectors.

    Example:
        >>> encoding = lm.spaces.NASBench201Encoding(lm.spaces.NASBench201())
        >>> len(encoding.candidates.architectures) == len(encoding.candidates.features)
        True
    """

    def __init__(self, space: NASBench201) -> None:
        self.space: NASBench201 = space
        self.groups = (len(EDGES) * len(EDGE_OPERATIONS), len(EDGE_OPERATIONS), len(PATHS))

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """The vectors, shape ``(n, d)``, float64: counts."""
        return count_features([_places([cell[name] for name in NAMES]) for cell in architectures], self.groups)


def _places(cell: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    numbers = [EDGE_OPERATIONS.index(operation) for operation in cell]
    edges = [place * len(EDGE_OPERATIONS) + number for place, number in enumerate(numbers)]
    return edges, numbers, [PATHS[path] for path in _paths(cell)]


def _paths(cell: Sequence[str]) -> list[tuple[str, ...]]:
    reaching: list[list[tuple[str, ...]]] = [[()], *([] for _ in range(CELL_NODES - 1))]
    for operation, (source, target) in zip(cell, EDGES, strict=True):
        if operation != "none":
            step = () if operation == "skip_connect" else (operation,)
            reaching[target] += [(*path, *step) for path in reaching[source]]
    return reaching[-1]
