"""Inputs for networks, and what is measured of networks with them."""

from __future__ import annotations

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
    """Count the parameters that a network computes with, and the multiply-adds, by PyTorch's own counter."""
    used = _UsedParameters()
    with torch.no_grad(), without_fast_paths(), used, FlopCounterMode(display=False) as counter:
        network(*example)
    # The counter's flop is half a multiply-add.
    return NetworkCost(sum(parameter.numel() for parameter in used.found), counter.get_total_flops() // 2)


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
