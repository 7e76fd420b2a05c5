"""The weight-sharing network of NAS-Bench-201."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.nas_bench_201.nas_bench_201_cells import CELL_NODES, EDGES
from lit_metanas.spaces.nas_bench_201.nas_bench_201_child import EDGE_KERNELS, STAGES, stages_cost
from lit_metanas.spaces.operations import (
    as_channels_last,
    average,
    batch_normalise,
    halve_by_mean,
    random_kernel,
    total,
)
from lit_metanas.spaces.supernet import Record, Statistics, Supernet


class Affine(nn.Module):
    """Batch-norm with scale and shift; ``key`` names its statistics."""

    def __init__(self, key: str, width: int) -> None:
        super().__init__()
        self.key = key
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def normalise(self, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor:
        """Normalise, scale and shift each channel of ``(n, channels, height, width)``."""
        return batch_normalise(inputs, self.scale, self.shift, key=self.key, statistics=statistics, record=record)


class SuperConvolution(Affine):
    """Convolution and batch-norm."""

    def __init__(self, key: str, channels: int, width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(key, width)
        self.stride = stride
        self.kernel = nn.Parameter(random_kernel(width, channels, kernel))

    def forward(self, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        outputs = F.conv2d(inputs, self.kernel, stride=self.stride, padding=self.kernel.shape[-1] // 2)
        return self.normalise(outputs, statistics, record)


class SuperEdge(nn.ModuleDict):
    """All candidates of one edge: the convolutions, by label, have weights."""

    def __init__(self, choice: Choice, *, key: str, width: int) -> None:
        super().__init__(
            {
                label: SuperConvolution(f"{key}.{label}", width, width, EDGE_KERNELS[label])
                for label in choice.labels
                if label in EDGE_KERNELS
            }
        )
        self.labels = choice.labels

    def forward(self, inputs: Tensor, gate: Gate, statistics: Statistics, record: Record) -> Tensor | None:
        """The gate's one candidate, or all weighted and summed, of the inputs' shape; None for nothing."""
        return total(gate, self.labels, lambda label: self._compute(label, inputs, statistics, record))

    def _compute(self, label: str, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor:
        if label == "skip_connect":
            return inputs
        if label == "avg_pool_3x3":
            return average(inputs)
        outputs = self[label](inputs.relu(), statistics, record)
        assert isinstance(outputs, Tensor)
        return outputs


class SuperCell(nn.ModuleDict):
    """The edges of one cell by name."""

    def __init__(self, choices: Sequence[Choice], *, key: str, width: int) -> None:
        super().__init__(
            {choice.name: SuperEdge(choice, key=f"{key}.{choice.name}", width=width) for choice in choices}
        )

    def forward(self, inputs: Tensor, mixture: Mixture, statistics: Statistics, record: Record) -> Tensor:
        """The last node, of the inputs' shape."""
        nodes = [inputs]
        for node in range(1, CELL_NODES):
            joined: Tensor | None = None
            for source, target in EDGES:
                if target != node:
                    continue
                name = edge_name(source, target)
                term = self[name](nodes[source], mixture[name], statistics, record)
                joined = term if joined is None else joined if term is None else joined + term
            nodes.append(torch.zeros_like(inputs) if joined is None else joined)
        return nodes[-1]


class SuperReduction(nn.Module):
    """A basic residual block (He et al. 2016) that halves the image."""

    def __init__(self, key: str, channels: int, width: int) -> None:
        super().__init__()
        self.first = SuperConvolution(f"{key}.first", channels, width, 3, stride=2)
        self.second = SuperConvolution(f"{key}.second", width, width, 3)
        self.projection = nn.Parameter(random_kernel(width, channels, 1))

    def forward(self, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs = self.first(inputs.relu(), statistics, record)
        outputs = self.second(outputs.relu(), statistics, record)
        return F.conv2d(halve_by_mean(inputs), self.projection) + outputs


class NASBench201Supernet(Supernet):
    """Stem, three stages of cells with reductions between them, and the global average."""

    def __init__(self, choices: Sequence[Choice], *, shape: Shape, channels: int, cells: int) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self.shape, self.channels, self.size = shape, channels, cells
        widths = [channels * 2**stage for stage in range(STAGES)]
        self.stem = SuperConvolution("stem", shape[0], channels, 3)
        self.cells = nn.ModuleList(
            SuperCell(choices, key=f"cells.{stage * cells + place}", width=width)
            for stage, width in enumerate(widths)
            for place in range(cells)
        )
        self.reductions = nn.ModuleList(
            SuperReduction(f"reductions.{place}", width, 2 * width) for place, width in enumerate(widths[:-1])
        )
        self.features = widths[-1]
        self.last = Affine("last", self.features)

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
        if inputs.shape[1] == 1 and self._channels_last():
            inputs = as_channels_last(inputs)
        inputs = self.stem(inputs, statistics, record)
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                inputs = self.reductions[place // self.size - 1](inputs, statistics, record)
            inputs = cell(inputs, mixture, statistics, record)
        return self.last.normalise(inputs, statistics, record).relu().mean((2, 3))

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Nothing: the space has no dropout."""
        del examples, generator
        return {}

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        computed: list[str] = []
        for choice in self.choices:
            index = mixture[choice.name].index
            computed += choice.labels if index is None else (choice.labels[index],)
        kernels = [EDGE_KERNELS[label] for label in computed if label in EDGE_KERNELS]
        return stages_cost(kernels=kernels, shape=self.shape, channels=self.channels, cells=self.size, way=0).flops

    def _channels_last(self) -> bool:
        reduction = self.reductions[0]
        assert isinstance(reduction, SuperReduction)
        return reduction.first.kernel.stride(1) == 1
