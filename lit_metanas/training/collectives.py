"""What several processes exchange: one message an outer step, and gathered objects."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch
from lightning.pytorch import Trainer
from torch import Tensor, distributed

from lit_metanas.meta.differentiation import Metrics
from lit_metanas.meta.learner import Parameters

_SHIFTS = (0, 16, 32, 48)
"""FLOPs travel as numbers of 16 bits, whose sums over up to 256 processes float32 holds exactly."""


class OuterMean(NamedTuple):
    """One outer step's gradient and metrics, the same on all processes."""

    gradients: Parameters  # mean over the finite tasks; zeros where there is none
    metrics: Metrics  # of the finite tasks in their order, as `MetaGradient` gives them
    finite: Tensor  # which of all tasks have a finite loss and gradient, shape (tasks,)
    flops: int  # sum over all tasks
    signalled: bool  # whether any process had a signal


def outer_mean(
    gradients: Parameters, metrics: Metrics, flops: int, trainer: Trainer, *, signalled: bool = False
) -> OuterMean:
    """The mean over the finite tasks of all processes, which have as many tasks each."""
    # `gradients` are the sum over this process's finite tasks, divided by the number of all of them.
    world, rank, losses = trainer.world_size, trainer.global_rank, metrics["losses"]
    # Half precision could not hold the FLOPs, nor the sum of many gradients.
    dtype = torch.promote_types(losses.dtype, torch.float32)
    if world == 1:
        own = {name: value.to(dtype) for name, value in metrics.items()}
        return _of_finite_tasks(gradients, own, flops, signalled)
    joined = {}
    for name, value in metrics.items():
        joined[name] = torch.zeros(len(value) * world, dtype=dtype, device=losses.device)
        joined[name][rank::world] = value
    tensors = gradients.flat()
    numbers = torch.tensor(
        [*(flops >> shift & 0xFFFF for shift in _SHIFTS), signalled], dtype=dtype, device=losses.device
    )
    parts = [*tensors.values(), *joined.values(), numbers]
    message = torch.cat([part.reshape(-1).to(dtype) for part in parts])
    distributed.all_reduce(message)  # a strategy's reduce would have all meet before, in a message of its own
    *pieces, sums = message.split([part.numel() for part in parts])
    means = {
        name: (piece / world).view_as(value).to(value)
        for (name, value), piece in zip(tensors.items(), pieces, strict=False)
    }
    everything = dict(zip(joined, pieces[len(tensors) :], strict=True))
    *parts_of_flops, signals = sums.tolist()
    flops = sum(int(part) << shift for part, shift in zip(parts_of_flops, _SHIFTS, strict=True))
    return _of_finite_tasks(gradients.with_tensors(means), everything, flops, signals > 0)


def _of_finite_tasks(gradients: Parameters, metrics: Metrics, flops: int, signalled: bool) -> OuterMean:
    """Without what is not finite: ``metrics`` has a row for each task."""
    finite = metrics.pop("finite") > 0
    if not bool(finite.all()):
        scale = len(finite) / max(1, int(finite.sum()))
        gradients = gradients.map(lambda value: value * scale)
        metrics = {name: value[finite] for name, value in metrics.items()}
    return OuterMean(gradients, metrics, finite, flops, signalled)


T = TypeVar("T")


def gather_lists(mine: list[T]) -> list[T]:
    """The lists of all processes joined, that of the first one first."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return mine
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, mine)
    return [each for own in found for each in own]


def gather_rows(mine: Tensor, trainer: Trainer) -> Tensor:
    """Gather the rows of all processes."""
    if trainer.world_size == 1:
        return mine
    return trainer.strategy.all_gather(mine).transpose(0, 1).flatten(0, 1)
