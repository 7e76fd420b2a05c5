"""The supernet's cell of NAS-Bench-101: wiring, plans of channels, and operations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import VERTEX_OPERATIONS, CellGraph, split_channels
from lit_metanas.spaces.nas_bench_101.nas_bench_101_child import VERTEX_KERNELS, Convolved, convolutions, strongest
from lit_metanas.spaces.operations import batch_normalise, combine, random_kernel, through
from lit_metanas.spaces.supernet import Record, Statistics


@dataclass(frozen=True)
class Wiring:
    """Edges of a cell as probabilities."""

    edges: Mapping[tuple[int, int], Tensor]
    subsets: Tensor


def wire(edges: Mapping[tuple[int, int], Tensor], members: Tensor) -> Wiring:
    """Weigh edges by whether their source is reached, each as if independent of the others."""
    middle = members.shape[1]
    one = members.new_ones(())
    reached = {0: one}
    weighed: dict[tuple[int, int], Tensor] = {}
    for target in range(1, middle + 2):
        missed = one
        for source in range(target):
            if (source, target) in edges and source in reached:
                weighed[source, target] = edges[source, target] * reached[source]
                missed = missed * (1 - weighed[source, target])
        if any((source, target) in weighed for source in range(target)):
            reached[target] = 1 - missed
    subsets = members.new_ones(len(members))
    for vertex in range(1, middle + 1):
        joined = weighed.get((vertex, middle + 1), 0 * one)
        inside = members[:, vertex - 1]
        subsets = subsets * (inside * joined + (1 - inside) * (1 - joined))
    return Wiring(weighed, subsets)


class ChannelSplit(nn.Module):
    """Splits the channels of a cell under a wiring in probability, and does on one without doubt what the child does."""

    members: Tensor
    extra: Tensor
    below: Tensor
    at: Tensor
    shares: Tensor
    moves: Tensor

    def __init__(self, middle: int, width: int) -> None:
        super().__init__()
        places = [(place, size) for size in range(1, middle + 1) for place in range(size)]
        sets = 1 << middle
        members, extra = torch.zeros(sets, middle), torch.zeros(sets, middle)
        below, at = torch.zeros(sets, width), torch.zeros(sets, width + 1)
        shares = torch.zeros(sets, middle, len(places))
        for number in range(sets):
            inside = [vertex for vertex in range(middle) if number >> vertex & 1]
            if not inside:
                continue
            share, rest = divmod(width, len(inside))
            below[number, :share] = 1
            at[number, share] = 1
            for place, vertex in enumerate(inside):
                members[number, vertex] = 1
                extra[number, vertex] = float(place < rest)
                shares[number, vertex, places.index((place, len(inside)))] = 1
        moves = torch.zeros(len(places), width, width)
        for number, (place, size) in enumerate(places):
            share, rest = divmod(width, size)
            begin = place * share + min(place, rest)
            for channel in range(share + (place < rest)):
                moves[number, begin + channel, channel] = 1
        tables = {"members": members, "extra": extra, "below": below, "at": at[:, :width]}
        for name, table in {**tables, "shares": shares, "moves": moves}.items():
            self.register_buffer(name, table, persistent=False)

    def masks(self, wiring: Wiring) -> list[Tensor]:
        """For each middle vertex the probability that it has a channel, shape ``(width,)``."""
        middle = self.members.shape[1]
        larger: dict[int, Tensor] = {}  # whether a vertex has a channel more than the least, for each set
        result = []
        for vertex in range(middle, 0, -1):
            none = torch.ones_like(wiring.subsets)
            for target in range(vertex + 1, middle + 1):
                edge = wiring.edges.get((vertex, target))
                none = none if edge is None else none * (1 - edge * larger[target])
            inside = self.members[:, vertex - 1]
            larger[vertex] = inside * self.extra[:, vertex - 1] + (1 - inside) * (1 - none)
            result.append(wiring.subsets @ self.below + (wiring.subsets * larger[vertex]) @ self.at)
        return result[::-1]

    def shifts(self, wiring: Wiring) -> Tensor:
        """For each middle vertex the matrix from its channels to the output's, shape ``(middle, width, width)``."""
        shares = torch.einsum("s,svp->vp", wiring.subsets, self.shares)
        return torch.einsum("vp,poc->voc", shares, self.moves)


class Plan(ABC):
    """What a mixture computes in every cell."""

    @abstractmethod
    def compute(self, weights: CellWeights, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
        """The cell's output, ``weights.width`` channels; None for nothing."""

    @abstractmethod
    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """What is convolved in a cell with so many channels before and after it."""


class SampledPlan(Plan):
    """One candidate of each choice: what the child computes, on leading slices of the weights."""

    def __init__(self, cell: CellGraph, names: Sequence[int], mixture: Mixture) -> None:
        self.cell, self.names, self.mixture = cell, names, mixture

    def compute(self, weights: CellWeights, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
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
                gate = self.mixture[edge_name(names[source], name)]
                if source:
                    terms.append(through(gate, values[source] if last else values[source][:, :width]))
                else:
                    projected = through(gate, weights.project(name, inputs, width, statistics, record))
            joined = [torch.cat(terms, 1)] if last and terms else terms
            total = reduce(torch.add, joined + ([projected] if cell.joins(0, vertex) else []))
            if not last:
                gate = self.mixture[f"op{name}"]
                label = VERTEX_OPERATIONS[cell.operations[vertex - 1]]
                total = through(gate, weights.operate(name, label, total, statistics, record))
            values.append(total)
        return values[-1]

    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """The child's."""
        return convolutions(self.cell, before, width)


class EmptyPlan(Plan):
    """A sampled cell in which no path leads from input to output."""

    def compute(self, weights: CellWeights, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
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

    def compute(self, weights: CellWeights, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
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
                result += [
                    Convolved(width, width, VERTEX_KERNELS[label]) for label in computed if label in VERTEX_KERNELS
                ]
            if (vertex, self.output) in edges:
                result.append(Convolved(width, width, 1))
        return result


class SlicedConvolution(nn.Module):
    """Convolution, batch-norm and ReLU, of which the leading channels can be computed alone; ``key`` names it."""

    def __init__(self, key: str, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.key = key
        self.kernel = nn.Parameter(random_kernel(after, before, kernel))
        self.scale = nn.Parameter(torch.ones(after))
        self.shift = nn.Parameter(torch.zeros(after))

    def forward(self, inputs: Tensor, width: int, statistics: Statistics, record: Record) -> Tensor:
        """Shape ``(n, up to before, height, width)`` to ``(n, width, height, width)``."""
        kernel = self.kernel[:width, : inputs.shape[1]]
        outputs = F.conv2d(inputs, kernel, padding=kernel.shape[-1] // 2)
        scale, shift = self.scale[:width], self.shift[:width]
        return batch_normalise(outputs, scale, shift, key=self.key, statistics=statistics, record=record).relu()


class CellWeights(nn.Module):
    """The weights of one cell: a projection for each edge from the input, and each vertex's convolutions."""

    def __init__(self, choices: Mapping[str, Choice], *, vertices: int, key: str, before: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.projections = nn.ModuleDict()
        self.operations = nn.ModuleDict()
        for vertex in range(1, vertices):
            name = edge_name(0, vertex)
            if "yes" in choices[name].labels:
                self.projections[name] = SlicedConvolution(f"{key}.projections.{name}", before, width, 1)
        for vertex in range(1, vertices - 1):
            name = f"op{vertex}"
            self.operations[name] = nn.ModuleDict(
                {
                    label: SlicedConvolution(f"{key}.operations.{name}.{label}", width, width, VERTEX_KERNELS[label])
                    for label in choices[name].labels
                    if label in VERTEX_KERNELS
                }
            )

    def forward(self, inputs: Tensor, plan: Plan, statistics: Statistics, record: Record) -> Tensor:
        """Shape ``(n, before, height, width)`` to ``(n, width, height, width)``."""
        outputs = plan.compute(self, inputs, statistics, record)
        # Nothing leads to the output: zeros, which depend on the input so that there is a gradient.
        return (0 * inputs[:, :1]).expand(-1, self.width, -1, -1) if outputs is None else outputs

    def project(self, vertex: int, inputs: Tensor, width: int, statistics: Statistics, record: Record) -> Tensor:
        """The input as it enters a vertex."""
        outputs = self.projections[edge_name(0, vertex)](inputs, width, statistics, record)
        assert isinstance(outputs, Tensor)
        return outputs

    def operate(self, vertex: int, label: str, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor:
        """A vertex's operation, as many channels as it is given."""
        if label not in VERTEX_KERNELS:
            return strongest(inputs)
        candidates = self.operations[f"op{vertex}"]
        assert isinstance(candidates, nn.ModuleDict)
        outputs = candidates[label](inputs, inputs.shape[1], statistics, record)
        assert isinstance(outputs, Tensor)
        return outputs
