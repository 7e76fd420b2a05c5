"""What the networks of NAS-Bench-101 cost, in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lit_metanas.spaces.nas_bench_101_cells import OPERATIONS, Cell, split_channels
from lit_metanas.spaces.space import NetworkCost, Shape

KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
"""Sizes of the operations that are convolutions."""


class Convolved(NamedTuple):
    """A convolution with batch-norm: channels before and after it, and the kernel's size."""

    before: int
    after: int
    kernel: int


def convolutions(cell: Cell, before: int, width: int) -> list[Convolved]:
    """The convolutions of a pruned cell that turns ``before`` channels into ``width``."""
    last = cell.vertices - 1
    result = [Convolved(before, width, 1)] if cell.joins(0, last) else []
    for vertex, channels in enumerate(split_channels(cell, width), start=1):
        if cell.joins(0, vertex):
            result.append(Convolved(before, channels, 1))
        kernel = KERNELS.get(OPERATIONS[cell.operations[vertex - 1]])
        if kernel is not None:
            result.append(Convolved(channels, channels, kernel))
    return result


def network_cost(
    convolved: Callable[[int, int], Sequence[Convolved]],
    *,
    shape: Shape,
    channels: int,
    stacks: int,
    cells: int,
    way: int,
) -> NetworkCost:
    """Parameters and multiply-adds (of convolutions and classifier) of a network.

    Args:
        convolved: the convolutions of a cell, given its channels before and after it.
        shape: channels, height and width of an input.
        channels: of the stem and the first stack; each further stack has twice as many at half the height and width.
        stacks: number of them.
        cells: in each stack.
        way: number of classes; 0 leaves the classifier out.
    """
    _, height, width = shape
    parameters, flops = (9 * shape[0] + 2) * channels, 9 * shape[0] * channels * height * width
    before = channels
    for stack in range(stacks):
        after = channels * 2**stack
        if stack:
            height, width = (height + 1) // 2, (width + 1) // 2
        for _ in range(cells):
            for one in convolved(before, after):
                weights = one.before * one.after * one.kernel**2
                parameters += weights + 2 * one.after
                flops += weights * height * width
            before = after
    return NetworkCost(parameters + (before + 1) * way, flops + before * way)
