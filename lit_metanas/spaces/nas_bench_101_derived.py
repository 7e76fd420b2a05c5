"""The likeliest edges of a cell of NAS-Bench-101 that can be built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise

from torch import Tensor

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.nas_bench_101_cells import MAX_EDGES, all_edges

Edge = tuple[int, int]


def likeliest_edges(choices: Sequence[Choice], logits: Mapping[str, Tensor], vertices: int) -> dict[str, str] | None:
    """Labels of all edges, at most nine and a path from input to output among them, whose logits have the largest sum.

    Args:
        choices: one for each edge, among others.
        logits: for each choice, shape ``(labels,)``.
        vertices: of the cell.

    Returns:
        A label for each edge's choice; None where no such set of edges is left.
    """
    by_name = {choice.name: choice for choice in choices}
    forced: set[Edge] = set()
    gains: dict[Edge, float] = {}
    for edge in all_edges(vertices):
        name = _name(edge)
        labels, values = by_name[name].labels, logits[name].tolist()
        if labels == ("yes",):
            forced.add(edge)
        elif "yes" in labels:
            gains[edge] = values[labels.index("yes")] - values[labels.index("no")]
    best: tuple[float, set[Edge]] | None = None
    for path in _paths(vertices):
        kept = forced | path
        if len(kept) > MAX_EDGES or not path <= forced | gains.keys():
            continue
        others = sorted((edge for edge in gains if edge not in kept and gains[edge] > 0), key=gains.__getitem__)
        kept |= set(others[::-1][: MAX_EDGES - len(kept)])
        gain = sum(gains.get(edge, 0.0) for edge in kept)
        if best is None or gain > best[0]:
            best = gain, kept
    return None if best is None else {_name(edge): "yes" if edge in best[1] else "no" for edge in forced | gains.keys()}


def _paths(vertices: int) -> Iterator[set[Edge]]:
    """All paths from input to output, the longest first: it is taken where the logits do not care."""
    for size in range(vertices - 2, -1, -1):
        for middle in combinations(range(1, vertices - 1), size):
            yield set(pairwise((0, *middle, vertices - 1)))


def _name(edge: Edge) -> str:
    return f"edge{edge[0]}-{edge[1]}"
