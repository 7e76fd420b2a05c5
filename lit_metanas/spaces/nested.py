"""Nested candidates: a small one is the leading parts of a large one, as of channels or blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_metanas.spaces.mixture import Gate


def chosen(gate: Gate, numbers: Sequence[int]) -> int:
    """The number of parts that are computed: those of one candidate, or of the largest."""
    return max(numbers) if gate.index is None else numbers[gate.index]


def leading(*factors: tuple[Gate, Sequence[int]]) -> Tensor | None:
    """Weight of each computed part: the sum over the candidates that have it; None where all are one.

    Under a gate of one candidate the weights are ones, whose gradient is that of the parts that are computed. One
    factor on all of the candidate would be cancelled by the next batch-norm, and its gradient with it.

    Args:
        factors: gates and the numbers of parts of their candidates; the parts together are the product.
    """
    counts, weights, parts = [1], torch.ones(1), 1
    for gate, numbers in factors:
        parts *= chosen(gate, numbers)
        if gate.index is not None and not gate.weights.requires_grad:
            counts = [count * numbers[gate.index] for count in counts]
            continue
        weights = torch.outer(weights.to(gate.weights), gate.weights).flatten()
        counts = [count * number for count in counts for number in numbers]
    if len(counts) == 1:
        return None
    part = torch.arange(parts, device=weights.device)
    return weights @ torch.stack([(part < count).to(weights.dtype) for count in counts])
