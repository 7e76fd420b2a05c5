"""What cells of NAS-Bench-201 compute, as features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from torch import Tensor

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.encoding import Encoding
from lit_metanas.spaces.feature_counts import counted
from lit_metanas.spaces.nas_bench_201 import NASBench201
from lit_metanas.spaces.nas_bench_201_cells import EDGES, NODES, OPERATIONS, edge_name

COMPUTING = tuple(operation for operation in OPERATIONS if operation not in ("none", "skip_connect"))
PATHS = {path: place for place, path in enumerate(p for n in range(NODES) for p in product(COMPUTING, repeat=n))}
"""What a path from input to output can compute, in the order of its length."""


class NASBench201Encoding(Encoding):
    """Operations by edge, operations counted, and the paths from input to output, in three groups.

    Paths are those of White, Neiswanger and Savani (2021), counted, without skips, which compute nothing.

    Args:
        space: whose architectures are encoded; one that merges isomorphs, for these to have equal vectors.
    """

    def __init__(self, space: NASBench201) -> None:
        self.space: NASBench201 = space
        self._widths = {"edges": len(EDGES) * len(OPERATIONS), "operations": len(OPERATIONS), "paths": len(PATHS)}
        self.groups = tuple(self._widths.values())

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """The vectors, shape ``(n, d)``, float64: counts."""
        return counted([_places([cell[edge_name(edge)] for edge in EDGES]) for cell in architectures], self._widths)


def _places(cell: Sequence[str]) -> dict[str, Iterable[int]]:
    numbers = [OPERATIONS.index(operation) for operation in cell]
    return {
        "edges": [place * len(OPERATIONS) + number for place, number in enumerate(numbers)],
        "operations": numbers,
        "paths": [PATHS[path] for path in _paths(cell)],
    }


def _paths(cell: Sequence[str]) -> list[tuple[str, ...]]:
    """What each path from input to output computes."""
    reaching: list[list[tuple[str, ...]]] = [[()], *([] for _ in range(NODES - 1))]
    for target in range(1, NODES):
        for operation, (source, end) in zip(cell, EDGES, strict=True):
            if end == target and operation != "none":
                step = () if operation == "skip_connect" else (operation,)
                reaching[target] += [(*path, *step) for path in reaching[source]]
    return reaching[-1]
