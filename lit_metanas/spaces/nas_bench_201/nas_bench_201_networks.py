"""The network of NAS-Bench-201, of all candidates or of one an edge: its cell, its stages, and its cost."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import edge_name
from lit_metanas.spaces.builder import Builder, Make
from lit_metanas.spaces.mixture import sum_of
from lit_metanas.spaces.operations import halve_by_mean
from lit_metanas.spaces.supernet import NetworkCost

CELL_NODES = 4
EDGES: tuple[tuple[int, int], ...] = tuple((source, target) for target in range(CELL_NODES) for source in range(target))
"""Source and target of each edge, in the order of the notation. Node 0 is the input, the last node the output."""

NAMES = tuple(edge_name(*edge) for edge in EDGES)  # of the edges' choices, in the same order

EDGE_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

EDGE_KERNELS: Mapping[str, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
"""Sizes of the operations that are convolutions."""

STAGES = 3


def convolution(build: Builder, channels: int, width: int, kernel: int, *, stride: int = 1) -> nn.Conv2d:
    """A convolution without constants, whose weights begin otherwise in a supernet than in a child."""
    make = partial(nn.Conv2d, channels, width, kernel, stride, kernel // 2, bias=False)
    if not build.mixed:
        return make()
    with torch.device("meta"):  # which draws no numbers
        conv = make()
    conv.weight = nn.Parameter(nn.init.kaiming_normal_(torch.empty(conv.weight.shape), nonlinearity="relu"))
    return conv


def normalised(build: Builder, channels: int, width: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution and batch-norm, whose scale and shift children inherit; the benchmark's searches leave them out."""
    conv = convolution(build, channels, width, kernel, stride=stride)
    return nn.Sequential(OrderedDict(conv=conv, norm=build.norm(width)))


def activated(build: Builder, width: int, kernel: int) -> nn.Sequential:
    """The operation of an edge that is a convolution."""
    return nn.Sequential(nn.ReLU(), normalised(build, width, width, kernel))


class NASBench201Cell(nn.Module):
    """A cell of which each node is the sum of what comes along its edges, by name; zeros of nothing."""

    # The gate follows the normalisation. Yet the batch-norm of the next edges cancels a gate that scales all of a node
    # and whose node feeds convolutions only.

    def __init__(self, build: Builder, width: int) -> None:
        super().__init__()
        candidates: dict[str, Make | None] = {
            "none": None,
            "skip_connect": nn.Identity,
            **{label: partial(activated, build, width, kernel) for label, kernel in EDGE_KERNELS.items()},
            "avg_pool_3x3": partial(nn.AvgPool2d, 3, 1, 1, count_include_pad=False),
        }
        self.edges = nn.ModuleDict({name: build.choice(name, candidates) for name in NAMES})

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node, of the inputs' shape."""
        nodes = [inputs]
        for node in range(1, CELL_NODES):
            joined = sum_of(self.edges[edge_name(source, node)](value) for source, value in enumerate(nodes))
            nodes.append(torch.zeros_like(inputs) if joined is None else joined)
        return nodes[-1]


class Reduction(nn.Module):
    """A basic residual block (He et al. 2016) that halves the image."""

    def __init__(self, build: Builder, channels: int, width: int) -> None:
        super().__init__()
        self.first = normalised(build, channels, width, 3, stride=2)
        self.second = normalised(build, width, width, 3)
        self.projection = convolution(build, channels, width, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        return self.second(self.first(inputs.relu()).relu()) + self.projection(halve_by_mean(inputs))


class NASBench201Network(nn.Module):
    """Stem, three stages of cells of one architecture, each with own weights, and reductions between them."""

    def __init__(self, build: Builder, shape: Shape, *, channels: int, cells: int) -> None:
        super().__init__()
        self.shape, self.channels, self.size = shape, channels, cells
        self.asked = [build.question(name, EDGE_OPERATIONS) for name in NAMES]
        self.stem = normalised(build, shape[0], channels, 3)
        self.cells, self.reductions = nn.ModuleList(), nn.ModuleList()
        widths = [channels * 2**stage for stage in range(STAGES)]
        for stage, width in enumerate(widths):
            # Weights are drawn from input to output in a child, but in a supernet those of reductions last.
            if stage and not build.mixed:
                self.reductions.append(Reduction(build, width // 2, width))
            self.cells.extend(NASBench201Cell(build, width) for _ in range(cells))
        if build.mixed:
            self.reductions.extend(Reduction(build, width, 2 * width) for width in widths[:-1])
        self.known_features = widths[-1]
        self.last = build.norm(self.known_features)

    def forward(self, inputs: Tensor) -> Tensor:
        """The last map, for inputs of shape ``(n, channels, height, width)``."""
        outputs = self.stem(inputs)
        for place, cell in enumerate(self.cells):
            if place and place % self.size == 0:
                outputs = self.reductions[place // self.size - 1](outputs)
            outputs = cell(outputs)
        return self.last(outputs).relu()

    @property
    def known_flops(self) -> int:
        """Multiply-adds for one input, under the gates of the current forward pass if there are any."""
        labels = [label for edge in self.asked for label in edge.computed_labels()]
        return stages_cost(labels, shape=self.shape, channels=self.channels, cells=self.size, way=0).flops


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
