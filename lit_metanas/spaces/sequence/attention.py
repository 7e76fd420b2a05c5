"""Attention among the steps of sequences."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.sequence.step_context import current_steps, lowest

Positions = Literal["sinusoidal", "learned", "none"]
"""How self-attention finds out the places of steps."""


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017) among the steps of an example.

    Positions are added to the inputs of this operation alone, so that the other candidates do not depend on them.
    """

    positions: Tensor | None

    def __init__(self, width: int, steps: int, heads: int, positions: Positions) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.bias = nn.Parameter(torch.zeros(3 * width))
        self.output = nn.Linear(width, width)
        self.positions = None
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(steps, width))
        elif positions == "sinusoidal":
            self.positions = nn.Buffer(sinusoids(steps, width))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)``, unchanged."""
        rows = inputs.transpose(1, 2)
        if self.positions is not None:
            rows = rows + part_of(self.positions, 0, rows.shape[1])
        size = inputs.shape[1] // self.heads
        split = F.linear(rows, self.weight, self.bias).unflatten(2, (3, self.heads, size)).transpose(1, 3)
        query, key, value = (split.select(2, part) for part in range(3))  # (n, heads, steps, size)
        mixed: Tensor = self.output(attend(query, key, value, current_steps().outside.unsqueeze(2)))
        return mixed.transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None) -> Tensor:
    """Scaled dot-product attention of several heads (Vaswani et al. 2017), shape ``(n, steps, heads * size)``.

    ``query`` is ``(n, heads, steps, size)``, ``key`` and ``value`` ``(n, heads, others, size)``; what is ``hidden``,
    bool, broadcast to ``(n, heads, steps, others)``, is not attended to.
    """
    alike = query @ key.transpose(2, 3) * query.shape[3] ** -0.5
    if hidden is not None:
        alike = alike.masked_fill(hidden, lowest(alike))
    return (alike.softmax(3) @ value).transpose(1, 2).flatten(2)


def part_of(positions: Tensor, before: int, steps: int) -> Tensor:
    """The positions of so many steps, with so many before them, shape ``(steps, width)``."""
    if steps == len(positions):
        return positions  # no slice in an exported program
    return positions[before : before + steps]


def sinusoids(steps: int, width: int) -> Tensor:
    """Sines and cosines of places, of wavelengths from 2 pi to 20000 pi (Vaswani et al. 2017), ``(steps, width)``."""
    pairs = torch.arange(width) // 2
    rates = 10000.0 ** (-2 * pairs / width)
    angles = torch.arange(steps)[:, None] * rates
    return torch.where(torch.arange(width) % 2 == 0, angles.sin(), angles.cos())
