"""Cells of NAS-Bench-101, with their pruning, isomorphic forms and hashes, and the child network of a cell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import md5
from itertools import pairwise, permutations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.mixture import sum_of
from lit_metanas.spaces.supernet import NetworkCost

VERTEX_OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The operations of the middle vertices, in the published order."""

MAX_VERTICES = 7
MAX_EDGES = 9


class CellGraph(NamedTuple):
    """A labelled acyclic graph. Vertex 0 is the input, the last one the output, and edges lead to later vertices."""

    edges: int  # as bits, in the published order: 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, and so on
    operations: tuple[int, ...]  # of each middle vertex, a place in VERTEX_OPERATIONS

    @property
    def vertices(self) -> int:
        """Number of vertices, input and output among them."""
        return len(self.operations) + 2

    def joins(self, source: int, target: int) -> bool:
        """Whether an edge leads from one vertex to the other."""
        return bool(self.edges & edge_bit(source, target))

    def sources(self, target: int) -> int:
        """The vertices from which edges lead to this one, as bits."""
        return self.edges >> target * (target - 1) // 2 & (1 << target) - 1


def edge_bit(source: int, target: int) -> int:
    """The bit of an edge."""
    return 1 << source + target * (target - 1) // 2


def all_edges(vertices: int) -> tuple[tuple[int, int], ...]:
    """Source and target of each possible edge, in the order of the bits."""
    return tuple((source, target) for target in range(vertices) for source in range(target))


def prune(cell: CellGraph) -> CellGraph | None:
    """The part of a cell on paths from input to output; None without a path."""
    last = cell.vertices - 1
    reached, needed = 1, 1 << last
    for vertex in range(1, cell.vertices):
        reached |= bool(cell.sources(vertex) & reached) << vertex
    for vertex in range(last, 0, -1):
        if needed >> vertex & 1:
            needed |= cell.sources(vertex)
    kept = tuple(vertex for vertex in range(cell.vertices) if (reached & needed) >> vertex & 1)
    if last not in kept or 0 not in kept:
        return None
    edges = sum(
        edge_bit(new_source, new_target)
        for new_target, target in enumerate(kept)
        for new_source, source in enumerate(kept[:new_target])
        if cell.joins(source, target)
    )
    return CellGraph(edges, tuple(cell.operations[vertex - 1] for vertex in kept[1:-1]))


@lru_cache(maxsize=1 << 16)
def isomorphs(cell: CellGraph) -> tuple[CellGraph, ...]:
    """All orders of the vertices of a pruned cell in which edges lead to later vertices.

    The first is the least by edges, then operations: the one that the benchmark trained.
    """
    last = cell.vertices - 1
    joined = [edge for edge in all_edges(cell.vertices) if cell.joins(*edge)]
    found = set()
    for order in permutations(range(1, last)):
        place = {0: 0, last: last, **{old: new for new, old in enumerate(order, start=1)}}
        moved = [(place[source], place[target]) for source, target in joined]
        if all(source < target for source, target in moved):
            edges = sum(edge_bit(*edge) for edge in moved)
            found.add(CellGraph(edges, tuple(cell.operations[old - 1] for old in order)))
    return tuple(sorted(found))


def module_hash(cell: CellGraph) -> str:
    """The published hash of a pruned cell (Ying et al. 2019, Section 2.2), which isomorphic cells share alone."""
    vertices = range(cell.vertices)
    into = [[source for source in range(vertex) if cell.joins(source, vertex)] for vertex in vertices]
    out = [[target for target in range(vertex + 1, cell.vertices) if cell.joins(vertex, target)] for vertex in vertices]
    labels = (-1, *cell.operations, -2)
    hashes = [_md5(str((len(out[vertex]), len(into[vertex]), labels[vertex]))) for vertex in vertices]
    for _ in vertices:
        before, after = (["".join(sorted(hashes[other] for other in own)) for own in side] for side in (into, out))
        hashes = [_md5("|".join(own)) for own in zip(before, after, hashes, strict=True)]
    return _md5(str(sorted(hashes)))


@lru_cache(maxsize=1 << 16)
def split_channels(cell: CellGraph, channels: int) -> tuple[int, ...]:
    """The channels of each middle vertex of a pruned cell (Ying et al. 2019, Appendix S1)."""
    # Those that lead to the output share its channels, as it concatenates them; the first ones get one more where the
    # division leaves a rest. Any other vertex has as many as the largest that it leads to.
    last = cell.vertices - 1
    joined = [vertex for vertex in range(1, last) if cell.joins(vertex, last)]
    widths = [0] * cell.vertices
    for place, vertex in enumerate(joined):
        widths[vertex] = channels // len(joined) + (place < channels % len(joined))
    for vertex in range(last - 1, 0, -1):
        if vertex not in joined:
            widths[vertex] = max(widths[target] for target in range(vertex + 1, last) if cell.joins(vertex, target))
    return tuple(widths[1:last])


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def draw_unpruned(cell: CellGraph, places: Sequence[int], vertices: int, below: Callable[[int], int]) -> CellGraph:
    """Draw a cell of so many vertices that is pruned to a given one, at places in it; each has a chance."""
    old = {place: vertex for vertex, place in enumerate(places)}
    # A vertex that falls to pruning is not led to from the input, or else it does not lead to the output.
    dead_end = {vertex: bool(below(2)) for vertex in range(1, vertices - 1) if vertex not in old}
    edges = 0
    for source, target in all_edges(vertices):
        if source in old and target in old:
            joined = cell.joins(old[source], old[target])
        else:
            reached, needed = dead_end.get(source, True), not dead_end.get(target, False)
            joined = not (reached and needed) and bool(below(2))
        edges |= joined * edge_bit(source, target)
    operations = (
        cell.operations[old[vertex] - 1] if vertex in old else below(len(VERTEX_OPERATIONS))
        for vertex in range(1, vertices - 1)
    )
    return CellGraph(edges, tuple(operations))


VERTEX_KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}  # sizes of the operations that are convolutions


def _normalised(channels: int, width: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(width)))


class NASBench101Cell(nn.Module):
    """One pruned cell."""

    def __init__(self, cell: CellGraph, *, before: int, width: int) -> None:
        super().__init__()
        self.cell = cell
        self.widths = (before, *split_channels(cell, width), width)
        sizes = _convolutions(cell, before, width)
        self.convolutions = nn.ModuleDict({name: _normalised(*own) for name, own in sizes.items()})

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, before, height, width)`` to ``(n, width, height, width)``."""
        values = [inputs]
        last = self.cell.vertices - 1
        for vertex in range(1, last + 1):
            terms = [values[source] for source in range(1, vertex) if self.cell.joins(source, vertex)]
            if vertex < last:
                terms = [term[:, : self.widths[vertex]] for term in terms]
            elif terms:
                terms = [torch.cat(terms, 1)]
            if self.cell.joins(0, vertex):
                terms.append(self.convolutions[f"projection_{vertex}"](inputs).relu())
            total = sum_of(terms)
            assert total is not None
            values.append(total if vertex == last else self._operate(vertex, total))
        return values[last]

    def _operate(self, vertex: int, inputs: Tensor) -> Tensor:
        label = VERTEX_OPERATIONS[self.cell.operations[vertex - 1]]
        if label not in VERTEX_KERNELS:
            return F.max_pool2d(inputs, 3, stride=1, padding=1)
        return self.convolutions[f"{label}_{vertex}"](inputs).relu()


class NASBench101Network(nn.Module):
    """Stem, stacks of equal cells with a max-pooling between stacks, and global average."""

    def __init__(self, cell: CellGraph, *, shape: Shape, channels: int, stacks: int, cells: int) -> None:
        super().__init__()
        self.stem = _normalised(shape[0], channels, 3)
        self.size = cells
        widths = [channels, *(channels * 2 ** (place // cells) for place in range(stacks * cells))]
        self.cells = nn.ModuleList(NASBench101Cell(cell, before=before, width=own) for before, own in pairwise(widths))
        self.known_features = widths[-1]
        self.known_flops = cell_cost(cell, shape=shape, channels=channels, stacks=stacks, cells=cells, way=0).flops

    def forward(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``, for inputs of shape ``(n, channels, height, width)``."""
        outputs: Tensor = self.stem(inputs).relu()
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                # An odd last row or column, which the benchmark's images lack, is kept.
                outputs = F.max_pool2d(outputs, 2, ceil_mode=True)
            outputs = cell(outputs)
        return outputs.mean((2, 3))


def cell_cost(cell: CellGraph, *, shape: Shape, channels: int, stacks: int, cells: int, way: int) -> NetworkCost:
    """Parameters and multiply-adds (of convolutions and classifier, if any) of a network of a pruned cell."""
    _, height, width = image_shape(shape)
    stem = 9 * shape[0] * channels
    cost = NetworkCost(stem + 2 * channels, stem * height * width)
    before = channels
    for stack in range(stacks):
        after = channels * 2**stack
        if stack:
            height, width = (height + 1) // 2, (width + 1) // 2
        for _ in range(cells):
            for into, out, kernel in _convolutions(cell, before, after).values():
                weights = into * out * kernel**2
                cost += NetworkCost(weights + 2 * out, weights * height * width)
            before = after
    return cost + NetworkCost((before + 1) * way, before * way)


def _convolutions(cell: CellGraph, before: int, width: int) -> dict[str, tuple[int, int, int]]:
    # Channels before and after each convolution of a cell, and the kernel's size, by the layer's name.
    widths = (*split_channels(cell, width), width)
    found = {
        f"projection_{vertex}": (before, own, 1) for vertex, own in enumerate(widths, start=1) if cell.joins(0, vertex)
    }
    for vertex, (own, operation) in enumerate(zip(widths, cell.operations, strict=False), start=1):
        label = VERTEX_OPERATIONS[operation]
        if label in VERTEX_KERNELS:
            found[f"{label}_{vertex}"] = (own, own, VERTEX_KERNELS[label])
    return found
