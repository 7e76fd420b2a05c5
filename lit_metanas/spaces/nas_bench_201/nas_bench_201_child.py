"""The child network of a NAS-Bench-201 cell, and its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.child_network import ChildNetwork, NormalisedConvolution, norm_tensors
from lit_metanas.spaces.nas_bench_201.nas_bench_201_cells import CELL_NODES, EDGES
from lit_metanas.spaces.operations import average, halve_by_mean
from lit_metanas.spaces.supernet import NetworkCost

EDGE_KERNELS: Mapping[str, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
"""Sizes of the operations that are convolutions."""


class NASBench201Cell(nn.Module):
    """The sum of its incoming edges at each node; a node without any is zero."""

    def __init__(self, key: str, operations: Sequence[str], width: int) -> None:
        super().__init__()
        self.operations = dict(zip(EDGES, operations, strict=True))
        self.convolutions = nn.ModuleDict(
            {
                edge_name(*edge): NormalisedConvolution(
                    f"{key}.{edge_name(*edge)}.{label}", width, width, EDGE_KERNELS[label]
                )
                for edge, label in self.operations.items()
                if label in EDGE_KERNELS
            }
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node, of the inputs' shape."""
        nodes = [inputs]
        for node in range(1, CELL_NODES):
            terms = [
                self._along(edge, nodes[edge[0]])
                for edge, operation in self.operations.items()
                if edge[1] == node and operation != "none"
            ]
            nodes.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(inputs))
        return nodes[-1]

    def _along(self, edge: tuple[int, int], inputs: Tensor) -> Tensor:
        operation = self.operations[edge]
        if operation == "skip_connect":
            return inputs
        if operation == "avg_pool_3x3":
            return average(inputs)
        outputs = self.convolutions[edge_name(*edge)](inputs.relu())
        assert isinstance(outputs, Tensor)
        return outputs


class Reduction(nn.Module):
    """A basic residual block (He et al. 2016) that halves the image."""

    def __init__(self, key: str, channels: int, width: int) -> None:
        super().__init__()
        self.key = key
        self.first = NormalisedConvolution(f"{key}.first", channels, width, 3, stride=2)
        self.second = NormalisedConvolution(f"{key}.second", width, width, 3)
        self.projection = nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs = self.projection(halve_by_mean(inputs)) + self.second(self.first(inputs.relu()).relu())
        assert isinstance(outputs, Tensor)
        return outputs


class NASBench201Child(ChildNetwork):
    """Stem, three stages of equal cells with reductions between them, global average and a linear classifier."""

    def __init__(self, operations: Sequence[str], *, shape: Shape, way: int, channels: int, cells: int) -> None:
        super().__init__()
        self.stem = NormalisedConvolution("stem", shape[0], channels, 3)
        blocks: list[nn.Module] = []
        for stage in range(STAGES):
            width = channels * 2**stage
            if stage:
                blocks.append(Reduction(f"reductions.{stage - 1}", width // 2, width))
            blocks += [NASBench201Cell(f"cells.{stage * cells + place}", operations, width) for place in range(cells)]
        self.blocks = nn.Sequential(*blocks)
        self.features = channels * 2 ** (STAGES - 1)
        self.last = nn.BatchNorm2d(self.features)
        self.head = nn.Linear(self.features, way)
        kernels = [EDGE_KERNELS[label] for label in operations if label in EDGE_KERNELS]
        self.flops = stages_cost(kernels=kernels, shape=shape, channels=channels, cells=cells, way=way).flops

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        outputs = self.last(self.blocks(self.stem(inputs))).relu().mean((2, 3))
        assert isinstance(outputs, Tensor)
        return outputs

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the parameters, and where present the statistics, of a supernet of the space."""
        self._copy(weights, whole=self._tensors())

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics but the classifier's, under the supernet's names."""
        tensors = norm_tensors("last", self.last)
        for module in self.modules():
            if isinstance(module, NormalisedConvolution):
                tensors |= module.tensors()
            elif isinstance(module, Reduction):
                tensors[f"{module.key}.projection"] = module.projection.weight
        return tensors


STAGES = 3


def stages(shape: Shape, channels: int) -> list[tuple[int, int]]:
    """Channels and pixels of each stage: twice the channels at half the height and width, rounded up."""
    _, height, width = image_shape(shape)
    result = []
    for stage in range(STAGES):
        result.append((channels * 2**stage, height * width))
        height, width = (height + 1) // 2, (width + 1) // 2
    return result


def stages_cost(*, kernels: Sequence[int], shape: Shape, channels: int, cells: int, way: int) -> NetworkCost:
    """Parameters and multiply-adds (of convolutions and classifier) of a network."""
    taps = sum(kernel**2 for kernel in kernels)
    parameters, flops = 9 * shape[0] * channels + 2 * channels, 0
    before = 0
    for width, pixels in stages(shape, channels):
        if before:
            reduction = 9 * before * width + 9 * width**2 + before * width
            parameters += reduction + 4 * width
            flops += reduction * pixels
        else:
            flops += 9 * shape[0] * width * pixels
        parameters += cells * (taps * width**2 + 2 * width * len(kernels))
        flops += cells * taps * width**2 * pixels
        before = width
    head = (before + 1) * way
    return NetworkCost(parameters + 2 * before + head, flops + before * way)
