"""The weight-sharing network of NAS-Bench-101: wiring, plans of channels, cells and the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.forward_pass import current
from lit_metanas.spaces.mixture import Mixture, combine, sum_of, through
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import (
    VERTEX_OPERATIONS,
    CellGraph,
    all_edges,
    edge_bit,
    prune,
)
from lit_metanas.spaces.nas_bench_101.nas_bench_101_child import (
    VERTEX_KERNELS,
    Convolved,
    compute_cell_graph,
    convolutions,
    halve_by_maximum,
    stacks_cost,
    strongest,
)
from lit_metanas.spaces.operations import as_channels_last, batch_normalise, random_kernel
from lit_metanas.spaces.supernet import Supernet


class Wiring(NamedTuple):
    """Edges of a cell as probabilities."""

    edges: Mapping[tuple[int, int], Tensor]  # the weight of each; out of a vertex that nothing reaches it is zero
    subsets: Tensor  # the probability of each set of middle vertices that the output concatenates, shape (sets,)


def wire(edges: Mapping[tuple[int, int], Tensor], members: Tensor) -> Wiring:
    """Weigh edges by whether their source is reached, as if independent: on zeros and ones this is pruning."""
    middle = members.shape[1]
    one = members.new_ones(())
    reached = {0: one}
    weighed: dict[tuple[int, int], Tensor] = {}
    for target in range(1, middle + 2):
        missed = one
        sources = [source for source in range(target) if (source, target) in edges and source in reached]
        for source in sources:
            weighed[source, target] = edges[source, target] * reached[source]
            missed = missed * (1 - weighed[source, target])
        if sources:
            reached[target] = 1 - missed
    subsets = members.new_ones(len(members))
    for vertex in range(1, middle + 1):
        joined = weighed.get((vertex, middle + 1), 0 * one)
        inside = members[:, vertex - 1]
        subsets = subsets * (inside * joined + (1 - inside) * (1 - joined))
    return Wiring(weighed, subsets)


class ChannelSplit(nn.Module):
    """Splits the channels of a cell under a wiring in probability; a wiring without doubt is split as in the child."""

    # In the child a vertex has as many channels as its share in the concatenation (`split_channels`), while in the
    # supernet each has the output's `width`. So what enters a vertex is masked from the first channel that the child
    # lacks, by the probability that it does: its leading channels are then the child's. And what the output gets from a
    # vertex is multiplied by a matrix: the mean, over all sets of vertices that may be concatenated, of the one that
    # moves the vertex's leading channels to its share.

    members: Tensor  # (sets, middle): 1 for the vertices in a set
    extra: Tensor  # (sets, middle): 1 where a vertex has a channel more than the least
    below: Tensor  # (sets, width): 1 for the channels that each vertex in a set has
    at: Tensor  # (sets, width): 1 for the channel that some have
    shares: Tensor  # (sets, middle, places): which place a vertex has among how many
    moves: Tensor  # (places, width, width): the matrix of each place

    def __init__(self, middle: int, width: int) -> None:
        super().__init__()
        places = [(place, size) for size in range(1, middle + 1) for place in range(size)]
        sets = 1 << middle
        members, extra = torch.zeros(sets, middle), torch.zeros(sets, middle)
        below, at = torch.zeros(sets, width), torch.zeros(sets, width + 1)
        shares = torch.zeros(sets, middle, len(places))
        for number in range(1, sets):
            inside = [vertex for vertex in range(middle) if number >> vertex & 1]
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
            begin, own = place * share + min(place, rest), share + (place < rest)
            moves[number, begin : begin + own, :own] = torch.eye(own)
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
                if (vertex, target) in wiring.edges:
                    none = none * (1 - wiring.edges[vertex, target] * larger[target])
            inside = self.members[:, vertex - 1]
            larger[vertex] = inside * self.extra[:, vertex - 1] + (1 - inside) * (1 - none)
            result.append(wiring.subsets @ self.below + (wiring.subsets * larger[vertex]) @ self.at)
        return result[::-1]

    def shifts(self, wiring: Wiring) -> Tensor:
        """For each middle vertex the matrix from its channels to the output's, shape ``(middle, width, width)``."""
        shares = torch.einsum("s,svp->vp", wiring.subsets, self.shares)
        return torch.einsum("vp,poc->voc", shares, self.moves)


@dataclass(frozen=True)
class SampledPlan:
    """One candidate of each choice: what the child computes, on leading slices of the weights."""

    cell: CellGraph
    names: Sequence[int]  # the number of each vertex in the supernet
    mixture: Mixture

    def compute(self, weights: CellWeights, inputs: Tensor) -> Tensor:
        """The cell's output, ``weights.width`` channels."""
        names, mixture = self.names, self.mixture

        def operate(vertex: int, total: Tensor) -> Tensor:
            label = VERTEX_OPERATIONS[self.cell.operations[vertex - 1]]
            return through(mixture[f"op{names[vertex]}"], weights.operate(names[vertex], label, total))

        return compute_cell_graph(
            self.cell,
            inputs,
            weights.width,
            project=lambda vertex, width: weights.project(names[vertex], inputs, width),
            operate=operate,
            along=lambda source, target, value: through(mixture[edge_name(names[source], names[target])], value),
        )

    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """What is convolved in a cell with so many channels before and after it: as in the child."""
        return convolutions(self.cell, before, width)


class MixedPlan:
    """All candidates of all choices, weighed; channels are split in probability (``ChannelSplit``)."""

    def __init__(
        self, choices: Mapping[str, Choice], mixture: Mixture, wiring: Wiring, splits: Mapping[int, ChannelSplit]
    ) -> None:
        self.choices, self.mixture, self.edges = choices, mixture, wiring.edges
        self.masks = {width: split.masks(wiring) for width, split in splits.items()}
        self.shifts = {width: split.shifts(wiring) for width, split in splits.items()}
        self.output = next(iter(splits.values())).members.shape[1] + 1

    def compute(self, weights: CellWeights, inputs: Tensor) -> Tensor | None:
        """Full widths at each vertex, masked where they enter and shifted where they leave for the output, if any."""
        edges, width = self.edges, weights.width
        values: dict[int, Tensor] = {}
        for vertex in range(1, self.output + 1):
            terms = []
            if (0, vertex) in edges:
                terms.append(edges[0, vertex] * weights.project(vertex, inputs, width))
            for source in range(1, vertex):
                if (source, vertex) not in edges:
                    continue
                if vertex == self.output:  # the shift holds the weight of the edge
                    terms.append(F.conv2d(values[source], self.shifts[width][source - 1][:, :, None, None]))
                else:
                    terms.append(edges[source, vertex] * values[source])
            total = sum_of(terms)
            if total is None:
                continue
            values[vertex] = total
            if vertex < self.output:
                masked = total * self.masks[width][vertex - 1][:, None, None]
                values[vertex] = self._operate(weights, vertex, masked)
        return values.get(self.output)

    def _operate(self, weights: CellWeights, vertex: int, inputs: Tensor) -> Tensor:
        labels = self.choices[f"op{vertex}"].labels
        return combine(self.mixture[f"op{vertex}"], labels, lambda label: weights.operate(vertex, label, inputs))

    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """All candidates' at full width, and the shifts."""
        result = [Convolved(before, width, 1) for source, _ in self.edges if source == 0]
        for vertex in range(1, self.output):
            if any(target == vertex for _, target in self.edges):
                labels = self.mixture[f"op{vertex}"].computed(self.choices[f"op{vertex}"].labels)
                kernels = [VERTEX_KERNELS[label] for label in labels if label in VERTEX_KERNELS]
                result += [Convolved(width, width, kernel) for kernel in kernels]
            if (vertex, self.output) in self.edges:
                result.append(Convolved(width, width, 1))
        return result


Plan = SampledPlan | MixedPlan
"""What a mixture computes in every cell."""


class SlicedConvolution(nn.Module):
    """Convolution, batch-norm and ReLU, of which the leading channels can be computed alone; ``key`` names it."""

    def __init__(self, key: str, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.key = key
        self.kernel = nn.Parameter(random_kernel(after, before, kernel))
        self.scale = nn.Parameter(torch.ones(after))
        self.shift = nn.Parameter(torch.zeros(after))

    def forward(self, inputs: Tensor, width: int) -> Tensor:
        """Shape ``(n, up to before, height, width)`` to ``(n, width, height, width)``."""
        kernel = self.kernel[:width, : inputs.shape[1]]
        outputs = F.conv2d(inputs, kernel, padding=kernel.shape[-1] // 2)
        scale, shift = self.scale[:width], self.shift[:width]
        _, _, statistics, record = current()
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
            kernels = {label: VERTEX_KERNELS[label] for label in choices[name].labels if label in VERTEX_KERNELS}
            self.operations[name] = nn.ModuleDict(
                {
                    label: SlicedConvolution(f"{key}.operations.{name}.{label}", width, width, kernel)
                    for label, kernel in kernels.items()
                }
            )

    def forward(self, inputs: Tensor, plan: Plan | None) -> Tensor:
        """Shape ``(n, before, height, width)`` to ``(n, width, height, width)``."""
        outputs = None
        if plan is not None:
            outputs = plan.compute(self, inputs)
        if outputs is not None:
            return outputs
        # Nothing leads to the output: zeros, which depend on the input so that there is a gradient.
        return (0 * inputs[:, :1]).expand(-1, self.width, -1, -1)

    def project(self, vertex: int, inputs: Tensor, width: int) -> Tensor:
        """The input as it enters a vertex."""
        return self.projections[edge_name(0, vertex)](inputs, width)

    def operate(self, vertex: int, label: str, inputs: Tensor) -> Tensor:
        """A vertex's operation, as many channels as it is given."""
        if label not in VERTEX_KERNELS:
            return strongest(inputs)
        candidates = self.operations[f"op{vertex}"]
        assert isinstance(candidates, nn.ModuleDict)
        return candidates[label](inputs, inputs.shape[1])


class NASBench101Supernet(Supernet):
    """Stem, stacks of cells with a max-pooling between stacks, and the global average."""

    # All cells have the same architecture, and each its own weights for every candidate. Candidates are sliced from
    # full widths, as in the one-shot networks of Yu et al. (2020) on this space; the soft mixture of the cells' wiring
    # is like that of NAS-Bench-1Shot1 (Zela et al. 2020), but with one weight an edge, not one an input of each vertex.
    # Gates follow normalisation. Yet the batch-norm behind them cancels a gate that scales all that a convolution
    # reads.

    def __init__(
        self, choices: Sequence[Choice], *, vertices: int, shape: Shape, channels: int, stacks: int, cells: int
    ) -> None:
        super().__init__()
        self.choices = {choice.name: choice for choice in choices}
        self.vertices, self.shape, self.channels, self.stacks, self.size = vertices, shape, channels, stacks, cells
        self.stem = SlicedConvolution("stem", shape[0], channels, 3)
        self.features = channels
        blocks = []
        for place in range(stacks * cells):
            width = channels * 2 ** (place // cells)
            blocks.append(
                CellWeights(self.choices, vertices=vertices, key=f"cells.{place}", before=self.features, width=width)
            )
            self.features = width
        self.cells = nn.ModuleList(blocks)
        self.splits = nn.ModuleList(ChannelSplit(vertices - 2, channels * 2**stack) for stack in range(stacks))

    def _embed(self, inputs: Tensor) -> Tensor:
        if inputs.shape[1] == 1 and self.stem.kernel.stride(1) == 1:
            inputs = as_channels_last(inputs)
        plan = self._plan(current().mixture)
        outputs: Tensor = self.stem(inputs, self.channels)
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                outputs = halve_by_maximum(outputs)
            outputs = cell(outputs, plan)
        return outputs.mean((2, 3))

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        plan = self._plan(mixture)
        return stacks_cost(
            lambda before, width: [] if plan is None else plan.convolutions(before, width),
            shape=self.shape, channels=self.channels, stacks=self.stacks, cells=self.size, way=0,
        ).flops  # fmt: skip

    def _plan(self, mixture: Mixture) -> Plan | None:
        """What the mixture computes in every cell: one candidate of each choice, or all; None for nothing."""
        edges: dict[tuple[int, int], Tensor] = {}
        for edge in all_edges(self.vertices):
            name = edge_name(*edge)
            gate, labels = mixture[name], self.choices[name].labels
            if "yes" in gate.computed(labels):
                edges[edge] = gate.weights[labels.index("yes")]
        if any(gate.index is None for gate in mixture.values()):
            splits = {split.moves.shape[1]: split for split in self.splits if isinstance(split, ChannelSplit)}
            wiring = wire(edges, next(iter(splits.values())).members)
            return MixedPlan(self.choices, mixture, wiring, splits)
        names = [f"op{vertex}" for vertex in range(1, self.vertices - 1)]
        operations = [mixture[name].computed(self.choices[name].labels)[0] for name in names]
        bits = sum(edge_bit(*edge) for edge in edges)
        found = prune(CellGraph(bits, tuple(map(VERTEX_OPERATIONS.index, operations))))
        if found is None:
            return None
        return SampledPlan(*found, mixture)
