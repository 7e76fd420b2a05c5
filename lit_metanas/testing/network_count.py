"""Inputs for networks, and what is measured of networks with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.operations import without_fast_paths
from lit_metanas.spaces.supernet import NetworkCost
from lit_metanas.testing.choice_check import require

TOLERANCE = 1e-5

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
FREE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d, nn.Embedding)
"""Layers whose parameters cost no multiply-adds in the project's account."""


class _UsedParameters(TorchFunctionMode):
    """Notes the parameters that something is computed of, whichever layer holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[nn.Parameter, None] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        made = func(*args, **given)
        if isinstance(made, Tensor) or type(made) in (tuple, list):  # to look at a shape is no computation
            self._note([*args, *given.values()])
        return made

    def _note(self, arguments: Sequence[Any]) -> None:
        for argument in arguments:
            if isinstance(argument, nn.Parameter):
                self.found[argument] = None
            elif isinstance(argument, tuple | list):
                self._note(argument)


def count_network(network: nn.Module, *example: Tensor) -> NetworkCost:
    """Count the parameters that a network computes with, and by forward hooks the multiply-adds of its layers.

    Where a layer with parameters is neither a convolution, a linear map nor a normalisation, PyTorch's own counter
    counts the multiply-adds instead.
    """
    multiply_adds = 0
    known = True

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal multiply_adds, known
        if isinstance(layer, CONVOLUTIONS):
            multiply_adds += layer.weight[0].numel() * output[0].numel()
        elif isinstance(layer, nn.Linear):
            multiply_adds += layer.weight.numel() * math.prod(output.shape[1:-1])
        elif _has_parameters(layer) and not isinstance(layer, FREE):
            known = False

    handles = [layer.register_forward_hook(hook) for layer in network.modules()]
    used = _UsedParameters()
    try:
        with torch.no_grad(), without_fast_paths(), used, FlopCounterMode(display=False) as counter:
            network(*example)
    finally:
        for handle in handles:
            handle.remove()
    # The counter's flop is half a multiply-add.
    flops = multiply_adds if known else counter.get_total_flops() // 2
    return NetworkCost(sum(parameter.numel() for parameter in used.found), flops)


def _has_parameters(layer: nn.Module) -> bool:
    """Whether a layer, or a list of its own, holds parameters."""
    lists = [child for child in layer.children() if isinstance(child, nn.ParameterList | nn.ParameterDict)]
    return any(True for holder in (layer, *lists) for _ in holder.parameters(recurse=False))


def check_cost(cost: NetworkCost, counted: NetworkCost, architecture: Architecture) -> None:
    """Check the cost of a network that a space reports."""
    for what, reported, found in (
        ("parameters", cost.parameters, counted.parameters),
        ("multiply-adds", cost.flops, counted.flops),
    ):
        require(reported == found, f"{architecture} costs {reported} {what}, but its child has {found}")


def check_same(found: Tensor, expected: Tensor, of: str, one: str, other: str) -> None:
    """Check that two networks compute the same, or nearly."""
    require(found.shape == expected.shape, f"{one} gives shape {tuple(found.shape)}, {other} {expected.shape}")
    gap = float((found - expected).abs().max()) / max(1.0, float(expected.abs().max()))
    require(gap <= TOLERANCE, f"{one} and {other} differ by {gap:.1e} for {of}")
