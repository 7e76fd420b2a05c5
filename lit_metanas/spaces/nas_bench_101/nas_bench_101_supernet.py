"""The weight-sharing network of NAS-Bench-101."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.forward_pass import current
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import (
    VERTEX_OPERATIONS,
    CellGraph,
    all_edges,
    edge_bit,
    prune,
)
from lit_metanas.spaces.nas_bench_101.nas_bench_101_child import halve_by_maximum, stacks_cost
from lit_metanas.spaces.nas_bench_101.nas_bench_101_supercell import (
    CellWeights,
    ChannelSplit,
    MixedPlan,
    Plan,
    SampledPlan,
    SlicedConvolution,
    wire,
)
from lit_metanas.spaces.operations import as_channels_last
from lit_metanas.spaces.supernet import Supernet


class NASBench101Supernet(Supernet):
    """Stem, stacks of cells with a max-pooling between stacks, and the global average.

    All cells have the same architecture, and each its own weights for every candidate. Candidates are sliced from full
    widths, as in the one-shot networks of Yu et al. (2020) on this space; the soft mixture of the cells' wiring is
    like that of NAS-Bench-1Shot1 (Zela et al. 2020), but with one weight an edge, not one an input of each vertex.

    Gates follow normalisation. Yet the batch-norm behind them cancels a gate that scales all that a convolution reads.
    """

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
