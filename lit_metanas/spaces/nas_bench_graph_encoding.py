"""What graph networks of NAS-Bench-Graph are made of, as features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.encoding import Encoding
from lit_metanas.spaces.feature_counts import bucket, counted
from lit_metanas.spaces.nas_bench_graph import LINKS, NODES, OPERATIONS, NASBenchGraph

BUCKETS = 128
"""For paths: 7,380 are thinkable, and a network has at most four."""


class NASBenchGraphEncoding(Encoding):
    """Features of the forest of operations that a network is, in six groups.

    The link; the operation of each position; how often there is each operation; how often each reads the input, is
    read by nobody, and reads each other one; the paths from the input to the output, hashed; and for the shape of the
    forest its depth, largest number of readers, outputs, and nodes that are not skips. Vectors of both spaces (all
    operations, and those of ``proteins``) are comparable.

    Args:
        space: whose architectures are encoded.
    """

    def __init__(self, space: NASBenchGraph) -> None:
        self.space: NASBenchGraph = space
        operations = len(OPERATIONS)
        self._widths = {
            "link": len(LINKS),
            "position": NODES * operations,
            "operations": operations,
            "relations": operations * (operations + 2),
            "paths": BUCKETS,
        }
        self.groups = (*self._widths.values(), 4)

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """The vectors, shape ``(n, d)``, float64: counts."""
        read = [self.space.link_and_ops(architecture) for architecture in architectures]
        counts = counted([_places(link, ops) for link, ops in read], self._widths)
        shapes = torch.tensor([_shape(link, ops) for link, ops in read], dtype=torch.float64).reshape(len(read), 4)
        return torch.cat([counts, shapes], dim=1)


def _places(link: Sequence[int], ops: Sequence[str]) -> dict[str, Iterable[int]]:
    numbers = [OPERATIONS.index(operation) for operation in ops]
    size = len(OPERATIONS)
    roots = [number for number, father in zip(numbers, link, strict=True) if father == 0]
    leaves = [node for node in range(1, NODES + 1) if node not in link]
    pairs = [(numbers[father - 1], number) for number, father in zip(numbers, link, strict=True) if father]
    return {
        "link": [LINKS.index(tuple(link))],
        "position": [place * size + number for place, number in enumerate(numbers)],
        "operations": numbers,
        "relations": [
            *roots,
            *(size + numbers[leaf - 1] for leaf in leaves),
            *(2 * size + father * size + number for father, number in pairs),
        ],
        "paths": [bucket(_path(leaf, link, ops), BUCKETS) for leaf in leaves],
    }


def _path(node: int, link: Sequence[int], ops: Sequence[str]) -> list[str]:
    """The operations from the input to a node."""
    found: list[str] = []
    while node:
        found.insert(0, ops[node - 1])
        node = link[node - 1]
    return found


def _shape(link: Sequence[int], ops: Sequence[str]) -> tuple[int, ...]:
    leaves = [node for node in range(1, NODES + 1) if node not in link]
    depth = max(len(_path(leaf, link, ops)) for leaf in leaves)
    readers = max(list(link).count(node) for node in range(1, NODES + 1))
    return depth, readers, len(leaves), sum(operation != "skip" for operation in ops)
