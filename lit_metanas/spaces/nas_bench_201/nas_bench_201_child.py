"""The child network of a NAS-Bench-201 cell, and its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.child_network import ChildNetwork
from lit_metanas.spaces.nas_bench_201.nas_bench_201_cells import EDGES, NODES, edge_name
from lit_metanas.spaces.operations import average
from lit_metanas.spaces.supernet import NetworkCost, Shape

KERNELS: Mapping[str, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
"""Sizes of the operations that are convolutions."""


def halve(inputs: Tensor) -> Tensor:
    """2x2 means; an odd last row or column, which the benchmark's images lack, is averaged by itself."""
    return F.avg_pool2d(inputs, 2, ceil_mode=True)


class Convolution(nn.Module):
    """ReLU (not in the stem), convolution and batch-norm; ``key`` is its name in the supernet."""

    def __init__(
        self, key: str, channels: int, width: int, kernel: int, *, stride: int = 1, activated: bool = True
    ) -> None:
        super().__init__()
        self.key = key
        self.activated = activated
        self.convolution = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        outputs = self.norm(self.convolution(inputs.relu() if self.activated else inputs))
        assert isinstance(outputs, Tensor)
        return outputs


class Cell(nn.Module):
    """The sum of its incoming edges at each node; a node without any is zero."""

    def __init__(self, key: str, operations: Sequence[str], width: int) -> None:
        super().__init__()
        self.operations = dict(zip(EDGES, operations, strict=True))
        self.convolutions = nn.ModuleDict(
            {
                edge_name(edge): Convolution(f"{key}.{edge_name(edge)}.{label}", width, width, KERNELS[label])
                for edge, label in self.operations.items()
                if label in KERNELS
            }
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node, of the inputs' shape."""
        nodes = [inputs]
        for node in range(1, NODES):
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
        outputs = self.convolutions[edge_name(edge)](inputs)
        assert isinstance(outputs, Tensor)
        return outputs


class Reduction(nn.Module):
    """A basic residual block (He et al. 2016) that halves the image."""

    def __init__(self, key: str, channels: int, width: int) -> None:
        super().__init__()
        self.key = key
        self.first = Convolution(f"{key}.first", channels, width, 3, stride=2)
        self.second = Convolution(f"{key}.second", width, width, 3)
        self.projection = nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs = self.projection(halve(inputs)) + self.second(self.first(inputs))
        assert isinstance(outputs, Tensor)
        return outputs


class NASBench201Child(ChildNetwork):
    """Stem, three stages of equal cells with reductions between them, global average and a linear classifier.

    Args:
        operations: of each edge.
        shape: channels, height and width of an input.
        way: number of classes.
        channels: of the first stage; each further one has twice as many.
        cells: in each stage.

    Attributes:
        features: length of the feature vector.
        flops: forward multiply-adds for one input.
    """

    def __init__(self, operations: Sequence[str], *, shape: Shape, way: int, channels: int, cells: int) -> None:
        super().__init__()
        self.stem = Convolution("stem", shape[0], channels, 3, activated=False)
        blocks: list[nn.Module] = []
        for stage in range(STAGES):
            width = channels * 2**stage
            if stage:
                blocks.append(Reduction(f"reductions.{stage - 1}", width // 2, width))
            blocks += [Cell(f"cells.{stage * cells + place}", operations, width) for place in range(cells)]
        self.blocks = nn.Sequential(*blocks)
        self.features = channels * 2 ** (STAGES - 1)
        self.last = nn.BatchNorm2d(self.features)
        self.head = nn.Linear(self.features, way)
        kernels = [KERNELS[label] for label in operations if label in KERNELS]
        self.flops = network_cost(kernels=kernels, shape=shape, channels=channels, cells=cells, way=way).flops

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        outputs = self.last(self.blocks(self.stem(inputs))).relu().mean((2, 3))
        assert isinstance(outputs, Tensor)
        return outputs

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the parameters, and where present the statistics, of a supernet of the space.

        Raises:
            ValueError: a parameter that this network needs is not among ``weights``, or has another shape.
        """
        for name, own in self._tensors().items():
            given = weights.get(name)
            kind = name.rpartition(".")[2]
            if given is None and kind not in ("mean", "var"):
                raise ValueError(f"The weights lack '{name}': they come from another search space.")
            if given is None:
                continue
            if given.shape != own.shape:
                raise ValueError(
                    f"The weights hold '{name}' {tuple(given.shape)}, not {tuple(own.shape)}: "
                    "they come from another search space."
                )
            own.copy_(given)
        self._inherit_head(weights)

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics but the classifier's, under the supernet's names."""
        tensors = _normalisation("last", self.last)
        for module in self.modules():
            if isinstance(module, Convolution):
                tensors[f"{module.key}.kernel"] = module.convolution.weight
                tensors |= _normalisation(module.key, module.norm)
            elif isinstance(module, Reduction):
                tensors[f"{module.key}.projection"] = module.projection.weight
        return tensors


def _normalisation(key: str, norm: nn.BatchNorm2d) -> dict[str, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return {
        f"{key}.scale": norm.weight,
        f"{key}.shift": norm.bias,
        f"{key}.mean": norm.running_mean,
        f"{key}.var": norm.running_var,
    }


STAGES = 3


def stages(shape: Shape, channels: int) -> list[tuple[int, int]]:
    """Channels and pixels of each stage: twice the channels at half the height and width, rounded up."""
    _, height, width = shape
    result = []
    for stage in range(STAGES):
        result.append((channels * 2**stage, height * width))
        height, width = (height + 1) // 2, (width + 1) // 2
    return result


def network_cost(*, kernels: Sequence[int], shape: Shape, channels: int, cells: int, way: int) -> NetworkCost:
    """Parameters and multiply-adds (of convolutions and classifier) of a network.

    Args:
        kernels: sizes of the convolutions of one cell.
        shape: channels, height and width of an input.
        channels: of the first stage.
        cells: in each stage.
        way: number of classes; 0 leaves the classifier out.
    """
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
