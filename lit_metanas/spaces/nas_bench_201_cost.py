"""What the networks of NAS-Bench-201 cost, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

from lit_metanas.spaces.space import NetworkCost, Shape

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
