"""What a mixture computes in a cell of the weight-sharing network of NAS-Bench-101."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.nas_bench_101_cells import OPERATIONS, Cell, split_channels
from lit_metanas.spaces.nas_bench_101_cost import KERNELS, Convolved, convolutions
from lit_metanas.spaces.nas_bench_101_supercell import Plan, Record, Statistics, SuperCell
from lit_metanas.spaces.nas_bench_101_wiring import ChannelSplit, Wiring
from lit_metanas.spaces.operations import combine, through


class SampledPlan(Plan):
    """One candidate of each choice: what the child computes, on leading slices of the weights."""

    def __init__(self, cell: Cell, names: Sequence[int], mixture: Mixture) -> None:
        self.cell, self.names, self.mixture = cell, names, mixture

    def compute(self, weights: SuperCell, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
        """Slices are summed at each vertex and concatenated at the output."""
        cell, names = self.cell, self.names
        widths = (inputs.shape[1], *split_channels(cell, weights.width), weights.width)
        values = [inputs]
        for vertex, width in enumerate(widths[1:], start=1):
            name, last = names[vertex], vertex == cell.vertices - 1
            terms = []
            for source in range(vertex):
                if not cell.joins(source, vertex):
                    continue
                gate = self.mixture[f"edge{names[source]}-{name}"]
                if source:
                    terms.append(through(gate, values[source] if last else values[source][:, :width]))
                else:
                    projected = through(gate, weights.project(name, inputs, width, statistics, record))
            joined = [torch.cat(terms, 1)] if last and terms else terms
            total = reduce(torch.add, joined + ([projected] if cell.joins(0, vertex) else []))
            if not last:
                gate = self.mixture[f"op{name}"]
                label = OPERATIONS[cell.operations[vertex - 1]]
                total = through(gate, weights.operate(name, label, total, statistics, record))
            values.append(total)
        return values[-1]

    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """The child's."""
        return convolutions(self.cell, before, width)


class EmptyPlan(Plan):
    """A sampled cell in which no path leads from input to output."""

    def compute(self, weights: SuperCell, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
        """Nothing."""
        return None

    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """None."""
        return []


class MixedPlan(Plan):
    """All candidates of all choices, weighed; channels are split in probability (``ChannelSplit``)."""

    def __init__(
        self, choices: Mapping[str, Choice], mixture: Mixture, wiring: Wiring, splits: Mapping[int, ChannelSplit]
    ) -> None:
        self.choices, self.mixture, self.wiring = choices, mixture, wiring
        self.masks = {width: split.masks(wiring) for width, split in splits.items()}
        self.shifts = {width: split.shifts(wiring) for width, split in splits.items()}
        self.output = next(iter(splits.values())).members.shape[1] + 1

    def compute(self, weights: SuperCell, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
        """Full widths at each vertex, masked where they enter and shifted where they leave for the output."""
        edges, width = self.wiring.edges, weights.width
        values: dict[int, Tensor] = {}
        for vertex in range(1, self.output + 1):
            terms = []
            if (0, vertex) in edges:
                terms.append(edges[0, vertex] * weights.project(vertex, inputs, width, statistics, record))
            for source in range(1, vertex):
                if (source, vertex) not in edges:
                    continue
                if vertex == self.output:  # the shift holds the weight of the edge
                    terms.append(F.conv2d(values[source], self.shifts[width][source - 1][:, :, None, None]))
                else:
                    terms.append(edges[source, vertex] * values[source])
            if not terms:
                continue
            total = reduce(torch.add, terms)
            if vertex < self.output:
                total = total * self.masks[width][vertex - 1][:, None, None]
                candidates = [
                    partial(weights.operate, vertex, label, total, statistics, record)
                    for label in self.choices[f"op{vertex}"].labels
                ]
                total = combine(self.mixture[f"op{vertex}"], candidates)
            values[vertex] = total
        return values.get(self.output)

    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """All candidates' at full width, and the shifts."""
        edges = self.wiring.edges
        result = [Convolved(before, width, 1) for source, _ in edges if source == 0]
        for vertex in range(1, self.output):
            gate, labels = self.mixture[f"op{vertex}"], self.choices[f"op{vertex}"].labels
            computed = labels if gate.index is None else labels[gate.index : gate.index + 1]
            if any(target == vertex for _, target in edges):
                result += [Convolved(width, width, KERNELS[label]) for label in computed if label in KERNELS]
            if (vertex, self.output) in edges:
                result.append(Convolved(width, width, 1))
        return result
