"""Parameters and multiply-adds of a network, counted while it runs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces.supernet import NetworkCost

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
FREE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)
"""Layers whose parameters cost no multiply-adds in the project's account."""


def count(network: nn.Module, image: Tensor) -> NetworkCost:
    """Count by forward hooks: the parameters of all layers that are called, and their multiply-adds.

    Where a layer with parameters is neither a convolution, a linear map nor a normalisation, PyTorch's own counter
    counts the multiply-adds instead.

    Args:
        network: in evaluation mode.
        image: one input, shape ``(1, channels, height, width)``.

    Example:
        >>> count(nn.Conv2d(1, 2, 3, padding=1, bias=False), torch.zeros(1, 1, 4, 4))
        NetworkCost(parameters=18, flops=288)
    """
    parameters: dict[nn.Parameter, None] = {}
    multiply_adds = 0
    known = True

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal multiply_adds, known
        lists = [child for child in layer.children() if isinstance(child, nn.ParameterList | nn.ParameterDict)]
        own = [tensor for holder in (layer, *lists) for tensor in holder.parameters(recurse=False)]
        parameters.update(dict.fromkeys(own))
        if isinstance(layer, CONVOLUTIONS):
            multiply_adds += layer.weight[0].numel() * output[0].numel()
        elif isinstance(layer, nn.Linear):
            multiply_adds += layer.weight.numel() * math.prod(output.shape[1:-1])
        elif own and not isinstance(layer, FREE):
            known = False

    handles = [layer.register_forward_hook(hook) for layer in network.modules()]
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    # The counter's flop is half a multiply-add.
    flops = multiply_adds if known else counter.get_total_flops() // 2
    return NetworkCost(sum(parameter.numel() for parameter in parameters), flops)
