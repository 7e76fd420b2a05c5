"""The weight-sharing network of NAS-Bench-201."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.forward_pass import OpenChoice
from lit_metanas.spaces.mixed_layers import MixedNorm
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.nas_bench_201.nas_bench_201_cells import compute_cell, compute_edge
from lit_metanas.spaces.nas_bench_201.nas_bench_201_child import EDGE_KERNELS, STAGES, stages_cost
from lit_metanas.spaces.operations import as_channels_last, halve_by_mean, random_kernel
from lit_metanas.spaces.supernet import Supernet


class SuperConvolution(MixedNorm):
    """Convolution and batch-norm.

    The benchmark's own searches leave scale and shift out of the candidates; here a child inherits them.
    """

    def __init__(self, key: str, channels: int, width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(width, affine=True, key=key)
        self.stride = stride
        self.kernel = nn.Parameter(random_kernel(width, channels, kernel))

    def forward(self, inputs: Tensor, label: str = "", weight: Tensor | None = None) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        outputs = F.conv2d(inputs, self.kernel, stride=self.stride, padding=self.kernel.shape[-1] // 2)
        return super().forward(outputs, label, weight)


class SuperEdge(nn.ModuleDict):
    """All candidates of one edge: the convolutions, by label, have weights.

    The gate follows the normalisation. Yet the batch-norm of the next edges cancels a gate that scales all of a node
    and whose node feeds convolutions only.
    """

    def __init__(self, choice: Choice, *, key: str, width: int) -> None:
        super().__init__(
            {
                label: SuperConvolution(f"{key}.{label}", width, width, EDGE_KERNELS[label])
                for label in choice.labels
                if label in EDGE_KERNELS
            }
        )
        self.choice = OpenChoice(choice.labels, choice.name)

    def forward(self, inputs: Tensor) -> Tensor | None:
        """The gate's one candidate, or all weighted and summed, of the inputs' shape; None for nothing."""
        return self.choice.total(lambda label: compute_edge(label, inputs, lambda activated: self[label](activated)))


class SuperCell(nn.ModuleDict):
    """The edges of one cell by name."""

    def __init__(self, choices: Sequence[Choice], *, key: str, width: int) -> None:
        super().__init__(
            {choice.name: SuperEdge(choice, key=f"{key}.{choice.name}", width=width) for choice in choices}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node, of the inputs' shape."""
        return compute_cell(inputs, lambda name, values: self[name](values))


class SuperReduction(nn.Module):
    """A basic residual block (He et al. 2016) that halves the image."""

    def __init__(self, key: str, channels: int, width: int) -> None:
        super().__init__()
        self.first = SuperConvolution(f"{key}.first", channels, width, 3, stride=2)
        self.second = SuperConvolution(f"{key}.second", width, width, 3)
        self.projection = nn.Parameter(random_kernel(width, channels, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs: Tensor = self.second(self.first(inputs.relu()).relu())
        return F.conv2d(halve_by_mean(inputs), self.projection) + outputs


class NASBench201Supernet(Supernet):
    """Stem, three stages of cells with reductions between them, and the global average.

    All cells have the same architecture, and each its own weights for every candidate.
    """

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
        self.last = MixedNorm(self.features, affine=True, key="last")

    def _embed(self, inputs: Tensor) -> Tensor:
        reductions = [layer for layer in self.reductions if isinstance(layer, SuperReduction)]
        if inputs.shape[1] == 1 and reductions[0].first.kernel.stride(1) == 1:
            inputs = as_channels_last(inputs)
        inputs = self.stem(inputs)
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                inputs = reductions[place // self.size - 1](inputs)
            inputs = cell(inputs)
        features: Tensor = self.last(inputs).relu().mean((2, 3))
        return features

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        computed = [label for choice in self.choices for label in mixture[choice.name].computed(choice.labels)]
        return stages_cost(computed, shape=self.shape, channels=self.channels, cells=self.size, way=0).flops
