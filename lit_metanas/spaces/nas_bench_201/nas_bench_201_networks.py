"""The networks of NAS-Bench-201: how a cell is computed, its child and cost, and the weight-sharing network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import Choice, edge_name
from lit_metanas.spaces.mixed_layers import MixedNorm, name_layers
from lit_metanas.spaces.mixture import Mixture, OpenChoice, sum_of
from lit_metanas.spaces.operations import halve_by_mean, laid_out_like, random_kernel
from lit_metanas.spaces.supernet import ChildNetwork, NetworkCost, NormalisedConvolution, Supernet, norm_tensors

CELL_NODES = 4
EDGES: tuple[tuple[int, int], ...] = tuple((source, target) for target in range(CELL_NODES) for source in range(target))
"""Source and target of each edge, in the order of the notation. Node 0 is the input, the last node the output."""

EDGE_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

EDGE_KERNELS: Mapping[str, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
"""Sizes of the operations that are convolutions."""

STAGES = 3


class SummingCell(nn.Module, ABC):
    """A cell of which each node is the sum of what comes along its edges, by name; zeros of nothing."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node, of the inputs' shape."""
        nodes = [inputs]
        for node in range(1, CELL_NODES):
            joined = sum_of(self._along(edge_name(source, node), value) for source, value in enumerate(nodes))
            nodes.append(torch.zeros_like(inputs) if joined is None else joined)
        return nodes[-1]

    @abstractmethod
    def _along(self, name: str, inputs: Tensor) -> Tensor | None: ...


def compute_edge(operation: str, inputs: Tensor, convolve: Callable[[Tensor], Tensor]) -> Tensor:
    """An operation other than ``none``, given the convolution of its label."""
    if operation == "skip_connect":
        return inputs
    if operation == "avg_pool_3x3":
        return F.avg_pool2d(inputs, 3, stride=1, padding=1, count_include_pad=False)
    return convolve(inputs.relu())


class NASBench201Cell(SummingCell):
    """The cell of a child, with one operation an edge."""

    def __init__(self, key: str, operations: Sequence[str], width: int) -> None:
        super().__init__()
        self.operations = {edge_name(*edge): label for edge, label in zip(EDGES, operations, strict=True)}
        self.convolutions = nn.ModuleDict(
            {
                name: NormalisedConvolution(f"{key}.{name}.{label}", width, width, EDGE_KERNELS[label])
                for name, label in self.operations.items()
                if label in EDGE_KERNELS
            }
        )

    def _along(self, name: str, inputs: Tensor) -> Tensor | None:
        operation = self.operations[name]
        if operation == "none":
            return None
        return compute_edge(operation, inputs, lambda activated: self.convolutions[name](activated))


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
        return self.projection(halve_by_mean(inputs)) + self.second(self.first(inputs.relu()).relu())


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
        self.flops = stages_cost(operations, shape=shape, channels=channels, cells=cells, way=way).flops

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``."""
        return self.last(self.blocks(self.stem(inputs))).relu().mean((2, 3))

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy a supernet's parameters, batch-norm statistics where present, and the classifier where it fits."""
        self._copy(weights, sliced=False)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = norm_tensors("last", self.last)
        for module in self.modules():
            if isinstance(module, NormalisedConvolution):
                tensors |= module.tensors()
            elif isinstance(module, Reduction):
                tensors[f"{module.key}.projection"] = module.projection.weight
        return tensors


def stages_cost(labels: Sequence[str], *, shape: Shape, channels: int, cells: int, way: int) -> NetworkCost:
    """Parameters and multiply-adds of a network with these operations in each cell; ``way`` 0 is no classifier."""
    kernels = [EDGE_KERNELS[label] for label in labels if label in EDGE_KERNELS]
    taps = sum(kernel**2 for kernel in kernels)
    _, height, width = image_shape(shape)
    stem = 9 * shape[0] * channels
    cost = NetworkCost(stem + 2 * channels, stem * height * width)
    for stage in range(STAGES):
        out = channels * 2**stage
        if stage:  # twice the channels at half the height and width
            height, width = (height + 1) // 2, (width + 1) // 2
            reduction = out // 2 * out * 10 + 9 * out**2
            cost += NetworkCost(reduction + 4 * out, reduction * height * width)
        weights = cells * taps * out**2
        cost += NetworkCost(weights + cells * 2 * out * len(kernels), weights * height * width)
    return cost + NetworkCost(2 * out + (out + 1) * way, out * way)


class SuperConvolution(MixedNorm):
    """Convolution and batch-norm, whose scale and shift children inherit; the benchmark's searches leave them out."""

    def __init__(self, channels: int, width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(width, affine=True)
        self.stride = stride
        self.kernel = nn.Parameter(random_kernel(width, channels, kernel))

    def forward(self, inputs: Tensor, label: str = "", weight: Tensor | None = None) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        outputs = F.conv2d(inputs, self.kernel, stride=self.stride, padding=self.kernel.shape[-1] // 2)
        return super().forward(outputs, label, weight)


class SuperCell(SummingCell, nn.ModuleDict):
    """The edges of one cell by name: of their candidates the convolutions, by label, have weights."""

    # The gate follows the normalisation. Yet the batch-norm of the next edges cancels a gate that scales all of a node
    # and whose node feeds convolutions only.

    def __init__(self, choices: Sequence[Choice], width: int) -> None:
        super().__init__()
        self.choices = {choice.name: OpenChoice(choice.labels, choice.name) for choice in choices}
        for name, choice in self.choices.items():
            edge = self[name] = nn.ModuleDict()
            for label in choice.labels:
                if label in EDGE_KERNELS:
                    edge[label] = SuperConvolution(width, width, EDGE_KERNELS[label])

    def _along(self, name: str, inputs: Tensor) -> Tensor | None:
        # The gate's one candidate of an edge, or all weighted and summed; None for nothing.
        edge = self.get_submodule(name)
        assert isinstance(edge, nn.ModuleDict)
        return self.choices[name].total(
            lambda label: compute_edge(label, inputs, lambda activated: edge[label](activated))
        )


class SuperReduction(nn.Module):
    """A basic residual block (He et al. 2016) that halves the image."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = SuperConvolution(channels, width, 3, stride=2)
        self.second = SuperConvolution(width, width, 3)
        self.projection = nn.Parameter(random_kernel(width, channels, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs: Tensor = self.second(self.first(inputs.relu()).relu())
        return F.conv2d(halve_by_mean(inputs), self.projection) + outputs


class NASBench201Supernet(Supernet):
    """Stem, three stages of cells of one architecture, each with own weights, reductions, and the global average."""

    def __init__(self, choices: Sequence[Choice], *, shape: Shape, channels: int, cells: int) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self.shape, self.channels, self.size = shape, channels, cells
        widths = [channels * 2**stage for stage in range(STAGES)]
        self.stem = SuperConvolution(shape[0], channels, 3)
        self.cells = nn.ModuleList(SuperCell(choices, width) for width in widths for _ in range(cells))
        self.reductions = nn.ModuleList(SuperReduction(width, 2 * width) for width in widths[:-1])
        self.features = widths[-1]
        self.last = MixedNorm(self.features, affine=True)
        name_layers(self)

    def _embed(self, inputs: Tensor) -> Tensor:
        reductions = [layer for layer in self.reductions if isinstance(layer, SuperReduction)]
        inputs = self.stem(laid_out_like(inputs, reductions[0].first.kernel))
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                inputs = reductions[place // self.size - 1](inputs)
            inputs = cell(inputs)
        return self.last(inputs).relu().mean((2, 3))

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        computed = [label for choice in self.choices for label in mixture[choice.name].computed(choice.labels)]
        return stages_cost(computed, shape=self.shape, channels=self.channels, cells=self.size, way=0).flops
