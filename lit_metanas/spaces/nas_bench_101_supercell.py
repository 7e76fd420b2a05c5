"""The weights of one cell in the weight-sharing network of NAS-Bench-101."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.nas_bench_101_child import strongest
from lit_metanas.spaces.nas_bench_101_cost import KERNELS, Convolved
from lit_metanas.spaces.operations import batch_normalise, random_kernel

Statistics = Mapping[str, Tensor] | None
Record = dict[str, Tensor] | None


class SuperConvolution(nn.Module):
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


class SuperCell(nn.Module):
    """The weights of one cell: a projection for each edge from the input, and each vertex's convolutions."""

    def __init__(self, choices: Mapping[str, Choice], *, vertices: int, key: str, before: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.projections = nn.ModuleDict()
        self.operations = nn.ModuleDict()
        for vertex in range(1, vertices):
            name = f"edge0-{vertex}"
            if "yes" in choices[name].labels:
                self.projections[name] = SuperConvolution(f"{key}.projections.{name}", before, width, 1)
        for vertex in range(1, vertices - 1):
            name = f"op{vertex}"
            self.operations[name] = nn.ModuleDict(
                {
                    label: SuperConvolution(f"{key}.operations.{name}.{label}", width, width, KERNELS[label])
                    for label in choices[name].labels
                    if label in KERNELS
                }
            )

    def forward(self, inputs: Tensor, plan: Plan, statistics: Statistics, record: Record) -> Tensor:
        """Shape ``(n, before, height, width)`` to ``(n, width, height, width)``."""
        outputs = plan.compute(self, inputs, statistics, record)
        # Nothing leads to the output: zeros, which depend on the input so that there is a gradient.
        return (0 * inputs[:, :1]).expand(-1, self.width, -1, -1) if outputs is None else outputs

    def project(self, vertex: int, inputs: Tensor, width: int, statistics: Statistics, record: Record) -> Tensor:
        """The input as it enters a vertex."""
        outputs = self.projections[f"edge0-{vertex}"](inputs, width, statistics, record)
        assert isinstance(outputs, Tensor)
        return outputs

    def operate(self, vertex: int, label: str, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor:
        """A vertex's operation, as many channels as it is given."""
        if label not in KERNELS:
            return strongest(inputs)
        candidates = self.operations[f"op{vertex}"]
        assert isinstance(candidates, nn.ModuleDict)
        outputs = candidates[label](inputs, inputs.shape[1], statistics, record)
        assert isinstance(outputs, Tensor)
        return outputs


class Plan(ABC):
    """What a mixture computes in every cell."""

    @abstractmethod
    def compute(self, weights: SuperCell, inputs: Tensor, statistics: Statistics, record: Record) -> Tensor | None:
        """The cell's output, ``weights.width`` channels; None for nothing."""

    @abstractmethod
    def convolutions(self, before: int, width: int) -> list[Convolved]:
        """What is convolved in a cell with so many channels before and after it."""
