"""What all processes hold, in the order in which tasks go round them."""

from __future__ import annotations

from lightning.pytorch import Trainer
from torch import Tensor


def interleaved(mine: Tensor, trainer: Trainer) -> Tensor:
    """Gather the rows of all processes.

    Args:
        mine: rows of this process, shape ``(n, ...)``, as many on each.
        trainer: row ``i`` of process ``rank`` belongs to the place ``i * world_size + rank``.

    Returns:
        All rows by place, shape ``(n * world_size, ...)``.
    """
    if trainer.world_size == 1:
        return mine
    return trainer.strategy.all_gather(mine).transpose(0, 1).flatten(0, 1)
