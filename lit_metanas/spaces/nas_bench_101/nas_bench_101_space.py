"""The search space of NAS-Bench-101: cells of at most seven vertices and nine edges, stacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations

import torch

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Architecture, Choice, check_positive, edge_name, restrict
from lit_metanas.spaces.body_networks import UnsharedChild
from lit_metanas.spaces.choice_space import first_buildable
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import (
    MAX_EDGES,
    MAX_VERTICES,
    VERTEX_OPERATIONS,
    CellGraph,
    NASBench101Network,
    all_edges,
    cell_cost,
    draw_unpruned,
    edge_bit,
    isomorphs,
    module_hash,
    prune,
)
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import NetworkCost

EQUIVALENTS = 100  # draws of a cell that is pruned to a given one, until one of a restricted space is found


class NASBench101(SearchSpace):
    """Acyclic graphs of an input, an output and operations between them (Ying et al. 2019): 423,624 different cells.

    Choices: ``edge0-1`` and so on, from vertex 0 (the input) to the last (the output), and ``op1`` to ``op5`` of the
    vertices between them. What lies on no path from input to output is not there: in an architecture its edges are
    ``no`` and its operations the first. The output concatenates what enters it, each vertex a share of its channels;
    other vertices add.

    ``from_matrix``, ``to_matrix`` and ``hash`` read and write the benchmark's notation.

    Args:
        vertices: of a cell, input and output among them; 2 to 7.
        channels: of the stem and the first stack; each further one has twice as many.
        stacks: number of them, each but the first at half the height and width.
        cells: in each stack.
        fixed: labels that single choices are restricted to, for instance ``{op1: [maxpool3x3]}``.

    Raises:
        ValueError: a number is out of range, or a choice or label is unknown.

    Example:
        >>> space = lm.spaces.NASBench101(vertices=5, channels=8, stacks=2, cells=1)
        >>> architecture = space.sample(torch.Generator())
        >>> space.violation(architecture) is None
        True
    """

    shares_weights = False

    def __init__(
        self,
        *,
        vertices: int = MAX_VERTICES,
        channels: int = 128,
        stacks: int = 3,
        cells: int = 3,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        if not 2 <= vertices <= MAX_VERTICES:
            raise ValueError(f"NASBench101: vertices is {vertices}; give 2 to {MAX_VERTICES}.")
        check_positive(self.name, {"stacks": stacks, "cells": cells})
        if channels < (least := max(1, vertices - 2)):
            raise ValueError(f"NASBench101: channels is {channels}; give at least {least}.")
        self.vertices, self.channels, self.stacks, self.cells = vertices, channels, stacks, cells
        self._sizes = {"channels": channels, "stacks": stacks, "cells": cells}
        self._edges = {(source, target): edge_name(source, target) for source, target in all_edges(vertices)}
        choices = [Choice(name, ("no", "yes"), "edge") for name in self._edges.values()]
        choices += [Choice(f"op{vertex}", VERTEX_OPERATIONS, "op") for vertex in range(1, vertices - 1)]
        self.choices = restrict(choices, fixed or {}, self.name)

    def from_matrix(self, matrix: Sequence[Sequence[int]], operations: Sequence[str]) -> Architecture:
        """The architecture of the benchmark's notation.

        Args:
            matrix: of zeros and ones, 1 for an edge from the row's vertex to the column's.
            operations: of each vertex; ``input`` is the first one and ``output`` the last.

        Raises:
            ValueError: this is not a cell of at most ``vertices`` vertices.
        """
        size = len(operations)
        square = len(matrix) == size and all(len(row) == size for row in matrix)
        forward = square and all(not matrix[row][column] for row in range(size) for column in range(row + 1))
        if not forward or not 2 <= size <= self.vertices or (operations[0], operations[-1]) != ("input", "output"):
            raise ValueError(
                f"{matrix} with {', '.join(operations)} is not a cell of NAS-Bench-101: give 2 to {self.vertices} "
                "vertices from input to output, and a square matrix of their edges, all above the diagonal."
            )
        for operation in operations[1:-1]:
            if operation not in VERTEX_OPERATIONS:
                raise ValueError(f"NAS-Bench-101 has no operation '{operation}': use {', '.join(VERTEX_OPERATIONS)}.")
        edges = sum(edge_bit(source, target) for source, target in all_edges(size) if matrix[source][target])
        cell = CellGraph(edges, tuple(map(VERTEX_OPERATIONS.index, operations[1:-1])))
        return self.canonical(self._labels(cell, (*range(size - 1), self.vertices - 1)))

    def to_matrix(self, architecture: Mapping[str, str]) -> tuple[list[list[int]], list[str]]:
        """The benchmark's notation of the pruned cell.

        Raises:
            ValueError: nothing is left of it.
        """
        cell = self._prune(architecture)
        vertices = range(cell.vertices)
        matrix = [[int(source < target and cell.joins(source, target)) for target in vertices] for source in vertices]
        return matrix, ["input", *(VERTEX_OPERATIONS[operation] for operation in cell.operations), "output"]

    def hash(self, architecture: Mapping[str, str]) -> str:
        """The benchmark's hash, equal for isomorphic cells.

        Raises:
            ValueError: the output is not connected.
        """
        return module_hash(self._prune(architecture))

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """The pruned architecture; of isomorphic ones the one that the benchmark trained.

        In a restricted space, where that may not be among the architectures, it is the first that is.
        """
        cell = prune(self._cell(super().canonical(labels)))
        if cell is None:
            return Architecture(self._labels(CellGraph(0, ()), (0, self.vertices - 1)))
        answers = ((form, self._labels(form, places)) for places in self._places(cell) for form in isomorphs(cell))
        return Architecture(next(own for form, own in answers if self._fits(form, own)))

    def equivalent(self, labels: Mapping[str, str], below: Callable[[int], int]) -> dict[str, str]:
        """A cell of all vertices that is pruned to the same one, or to an isomorphic one.

        The paper's evolution changes such cells: an edge to a vertex that lies on no path may bring that back.
        """
        cell = prune(self._cell(super().canonical(labels)))
        if cell is None:
            return dict(labels)
        forms, places = isomorphs(cell), self._places(cell)
        for _ in range(EQUIVALENTS):
            form, place = forms[below(len(forms))], places[below(len(places))]
            drawn = self._labels(draw_unpruned(form, place, self.vertices, below), range(self.vertices))
            if self._fits(form, drawn):
                return drawn
        return dict(labels)

    def violation(self, architecture: Architecture) -> str | None:
        """Why the benchmark lacks a cell: too many edges, or none to the output."""
        cell = prune(self._cell(architecture))
        if cell is None:
            return "no path leads from input to output"
        edges = cell.edges.bit_count()
        if edges > MAX_EDGES:
            return f"{edges} edges are more than {MAX_EDGES}"
        return None

    def sample(self, generator: torch.Generator) -> Architecture:
        """Draw every choice uniformly until the cell can be built, as in the paper's random search."""
        return first_buildable(self, partial(super().sample, generator))

    def build(self, architecture: Architecture, shape: Shape, way: int) -> UnsharedChild:
        """The benchmark's network of exactly this architecture, not of an isomorphic one, with new weights."""
        return UnsharedChild(NASBench101Network(self._prune(architecture), shape=shape, **self._sizes), shape, way)

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child: convolutions and the classifier."""
        return cell_cost(self._prune(architecture), shape=shape, way=way, **self._sizes)

    def _places(self, cell: CellGraph) -> list[tuple[int, ...]]:
        last = self.vertices - 1
        return [(0, *middle, last) for middle in combinations(range(1, last), cell.vertices - 2)]

    def _cell(self, labels: Mapping[str, str]) -> CellGraph:
        edges = sum(edge_bit(*edge) for edge, name in self._edges.items() if labels[name] == "yes")
        operations = (labels[f"op{vertex}"] for vertex in range(1, self.vertices - 1))
        return CellGraph(edges, tuple(map(VERTEX_OPERATIONS.index, operations)))

    def _prune(self, labels: Mapping[str, str]) -> CellGraph:
        cell = prune(self._cell(super().canonical(labels)))
        if cell is None:
            raise ValueError("This cell of NAS-Bench-101 computes nothing: no path leads from input to output.")
        return cell

    def _labels(self, cell: CellGraph, places: Sequence[int]) -> dict[str, str]:
        # Labels of a cell whose vertices have these numbers; what is not there is `no` and the first operation.
        # An edge that a restricted space always has is "yes", its only label.
        labels = {choice.name: choice.labels[0] for choice in self.choices}
        for source, target in all_edges(cell.vertices):
            if cell.joins(source, target):
                labels[edge_name(places[source], places[target])] = "yes"
        for place, operation in zip(places[1:-1], cell.operations, strict=True):
            labels[f"op{place}"] = VERTEX_OPERATIONS[operation]
        return labels

    def _fits(self, cell: CellGraph, labels: Mapping[str, str]) -> bool:
        # Whether labels are left in a restricted space, and are pruned to a cell: what is not of it has to fall.
        return (
            all(labels[choice.name] in choice.labels for choice in self.choices) and prune(self._cell(labels)) == cell
        )
