"""Cells of NAS-Bench-101 with vertices that pruning drops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lit_metanas.spaces.nas_bench_101_cells import OPERATIONS, Cell, all_edges, edge_bit


def unpruned(cell: Cell, places: Sequence[int], vertices: int, below: Callable[[int], int]) -> Cell:
    """Draw a cell that is pruned to a given one; each has a chance.

    Args:
        cell: a pruned one.
        places: the number of each of its vertices in the larger cell.
        vertices: of the larger cell.
        below: draws a number of 0, 1, … that is less than the given one.
    """
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
        cell.operations[old[vertex] - 1] if vertex in old else below(len(OPERATIONS))
        for vertex in range(1, vertices - 1)
    )
    return Cell(edges, tuple(operations))
