"""What all processes make of their tasks together, in one message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from lightning.pytorch.strategies import Strategy
from torch import Tensor

from lit_metanas.meta.parameters import Parameters

_UNIT = 1 << 20
"""FLOPs travel as two numbers that float32 holds exactly."""


class OuterAverage(NamedTuple):
    """One outer step's gradient and metrics, the same on all processes.

    Attributes:
        gradients: mean over all tasks.
        loss: mean over all tasks, shape ``(1,)``.
        accuracy: mean over all tasks, shape ``(1,)``.
        flops: sum over all tasks.
    """

    gradients: Parameters
    loss: Tensor
    accuracy: Tensor
    flops: int


def average(
    gradients: Parameters, metrics: Mapping[str, Tensor], flops: int, *, strategy: Strategy, world: int
) -> OuterAverage:
    """Average over processes that have as many tasks each.

    Args:
        gradients: mean over this process's tasks.
        metrics: ``loss`` and ``accuracy``, scalars: means over this process's tasks.
        flops: sum over this process's tasks.
        strategy: sends the message.
        world: number of processes.
    """
    tensors = gradients.flat()
    loss = metrics["loss"].reshape(1)
    # Half precision could not hold the FLOPs, nor the sum of many gradients.
    dtype = torch.promote_types(loss.dtype, torch.float32)
    flops_parts = torch.tensor([flops // _UNIT, flops % _UNIT], dtype=dtype, device=loss.device)
    parts = [*tensors.values(), loss, metrics["accuracy"], flops_parts]
    message = strategy.reduce(torch.cat([part.reshape(-1).to(dtype) for part in parts]), reduce_op="sum")
    assert isinstance(message, Tensor)
    *pieces, total_loss, total_accuracy, total_flops = message.split([part.numel() for part in parts])
    means = {
        name: (piece / world).view_as(value).to(value)
        for (name, value), piece in zip(tensors.items(), pieces, strict=True)
    }
    high, low = total_flops.tolist()
    return OuterAverage(
        gradients.updated(means), total_loss / world, total_accuracy / world, int(high) * _UNIT + int(low)
    )
