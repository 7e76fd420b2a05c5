"""How many examples are classified rightly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lit_metanas.episodes.task import Split


@torch.no_grad()
def share_right(scores: Callable[[Tensor], Tensor], split: Split, *, batch_size: int = 500) -> float:
    """Share of a split's examples whose own class has the largest score.

    Args:
        scores: inputs ``(n, channels, height, width)`` to class scores ``(n, way)``.
        split: the examples.
        batch_size: inputs scored at once.
    """
    batches = zip(split.inputs.split(batch_size), split.labels.split(batch_size), strict=True)
    return sum(int((scores(inputs).argmax(1) == labels).sum()) for inputs, labels in batches) / len(split)
