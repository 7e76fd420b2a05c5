"""Cells of NAS-Bench-201: strings, indices, isomorphisms, and how a cell is computed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.mixture import sum_of
from lit_metanas.spaces.operations import average

CELL_NODES = 4
EDGES: tuple[tuple[int, int], ...] = tuple((source, target) for target in range(CELL_NODES) for source in range(target))
"""Source and target of each edge, in the order of the notation. Node 0 is the input, the last node the output."""

EDGE_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

CellLabels = tuple[str, ...]
"""A cell: the operation of each edge of ``EDGES``."""


def format_cell(cell: Sequence[str]) -> str:
    """The literature's notation, ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…|``: inputs of nodes 1, 2 and 3."""
    nodes = []
    for node in range(1, CELL_NODES):
        inputs = (f"{operation}~{source}" for operation, (source, end) in zip(cell, EDGES, strict=True) if end == node)
        nodes.append(f"|{'|'.join(inputs)}|")
    return "+".join(nodes)


def parse_cell(text: str) -> CellLabels:
    """The inverse of ``format_cell``."""
    by_edge: dict[tuple[str, int], str] = {}
    for node, inputs in enumerate(text.strip().split("+"), start=1):
        for item in inputs.strip("|").split("|"):
            operation, _, source = item.partition("~")
            by_edge[source, node] = operation
    cell = tuple(by_edge.get((str(source), target), "") for source, target in EDGES)
    if not set(cell) <= set(EDGE_OPERATIONS) or format_cell(cell) != text.strip():
        raise ValueError(
            f"'{text}' is not a cell of NAS-Bench-201: write |x~0|+|x~0|x~1|+|x~0|x~1|x~2| "
            f"where each x is one of {', '.join(EDGE_OPERATIONS)}."
        )
    return cell


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


@cache
def expressions() -> tuple[str, ...]:
    """For each cell in official order its ``expression``."""
    return tuple(expression(cell) for cell in official_cells())


def expression(cell: Sequence[str]) -> str:
    """The benchmark's formula of what a cell computes: cells of one formula are isomorphic; there are 6,466."""
    # A skip is its input, and an operation on nothing (`#`) is nothing. The formula is that of the benchmark's authors
    # (Dong and Yang 2020), symbol for symbol, since its order of terms decides what is merged: a skip's sum keeps its
    # place among the sorted terms and `#` stays a term. So some equal graphs are apart; with sums sorted anew and
    # without `#` there would be 4,930.
    nothing = "#"
    nodes = ["0"]
    for target in range(1, CELL_NODES):
        terms = []
        for operation, (source, end) in zip(cell, EDGES, strict=True):
            if end != target:
                continue
            value = nodes[source]
            if operation == "none" or value == nothing:
                value = nothing
            elif operation != "skip_connect":
                value = f"({value})@{operation}"
            terms.append(value)
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def compute_cell(inputs: Tensor, along: Callable[[str, Tensor], Tensor | None]) -> Tensor:
    """The last node of a cell: each is the sum of what comes ``along`` its edges, by name; zeros of nothing."""
    nodes = [inputs]
    for node in range(1, CELL_NODES):
        joined = sum_of(along(edge_name(source, node), value) for source, value in enumerate(nodes))
        nodes.append(torch.zeros_like(inputs) if joined is None else joined)
    return nodes[-1]


def compute_edge(operation: str, inputs: Tensor, convolve: Callable[[Tensor], Tensor]) -> Tensor:
    """An operation other than ``none``, given the convolution of its label."""
    if operation == "skip_connect":
        return inputs
    if operation == "avg_pool_3x3":
        return average(inputs)
    return convolve(inputs.relu())
