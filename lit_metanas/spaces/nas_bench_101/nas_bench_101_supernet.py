"""The weight-sharing network of NAS-Bench-101."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import VERTEX_OPERATIONS, CellGraph, edge_bit, prune
from lit_metanas.spaces.nas_bench_101.nas_bench_101_child import halve_by_maximum, stacks_cost
from lit_metanas.spaces.nas_bench_101.nas_bench_101_supercell import (
    CellWeights,
    ChannelSplit,
    EmptyPlan,
    MixedPlan,
    Plan,
    SampledPlan,
    SlicedConvolution,
    wire,
)
from lit_metanas.spaces.operations import as_channels_last
from lit_metanas.spaces.supernet import Record, Statistics, Supernet


class NASBench101Supernet(Supernet):
    """Stem, stacks of cells with a max-pooling between stacks, and the global average."""

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

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        record: Record = None,
    ) -> Tensor:
        """Embed inputs: see ``Supernet.forward``. There is no dropout, so that ``noise`` does nothing."""
        del noise
        if inputs.shape[1] == 1 and self.stem.kernel.stride(1) == 1:
            inputs = as_channels_last(inputs)
        plan = self.plan(mixture)
        outputs = self.stem(inputs, self.channels, statistics, record)
        for place, cell in enumerate(self.cells):
            outputs = halve_by_maximum(outputs) if place and place % self.size == 0 else outputs
            outputs = cell(outputs, plan, statistics, record)
        assert isinstance(outputs, Tensor)
        return outputs.mean((2, 3))

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Nothing: the space has no dropout."""
        del examples, generator
        return {}

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        convolved = self.plan(mixture).convolutions
        return stacks_cost(
            convolved, shape=self.shape, channels=self.channels, stacks=self.stacks, cells=self.size, way=0
        ).flops

    def plan(self, mixture: Mixture) -> Plan:
        """What the mixture computes in every cell: one candidate of each choice, or all."""
        edges: dict[tuple[int, int], Tensor] = {}
        for target in range(self.vertices):
            for source in range(target):
                name = edge_name(source, target)
                gate, labels = mixture[name], self.choices[name].labels
                if "yes" in labels and gate.index in (None, labels.index("yes")):
                    edges[source, target] = gate.weights[labels.index("yes")]
        names = [f"op{vertex}" for vertex in range(1, self.vertices - 1)]
        indices = [gate.index for gate in mixture.values()]
        if any(index is None for index in indices):
            splits = {split.moves.shape[1]: split for split in self.splits if isinstance(split, ChannelSplit)}
            wiring = wire(edges, next(iter(splits.values())).members)
            return MixedPlan(self.choices, mixture, wiring, splits)
        operations = tuple(
            VERTEX_OPERATIONS.index(self.choices[name].labels[mixture[name].index or 0]) for name in names
        )
        found = prune(CellGraph(sum(edge_bit(*edge) for edge in edges), operations))
        return EmptyPlan() if found is None else SampledPlan(*found, mixture)
