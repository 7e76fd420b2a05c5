"""The layers that write a sequence: each step depends on what is read, and on the steps before it.

They compute some further steps, given what they keep of those before (None at the beginning). So training, where all
steps are known, and writing, step by step, are one function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.mixture import OpenChoice
from lit_metanas.spaces.sequence.step_operations import AttentionMaps, Recurrence, attend, part_of, sinusoids

KERNEL = 3  # steps that a causal convolution sees: its own, and those before it

Further = tuple[Tensor, Tensor]  # outputs `(n, steps, width)`, and what is kept for further steps

KeptState = Mapping[str, Tensor]
"""What each operation of a layer keeps for further steps, by its label; empty at the beginning."""


class CrossMemory(NamedTuple):
    """What a layer looks up in the sequence that is read."""

    key: Tensor  # (n, heads, steps, size)
    value: Tensor
    outside: Tensor  # whether a step lies behind its example's end, (n, 1, 1, steps), bool


class CausalRecurrence(nn.Module):
    """Gated recurrent units (Cho et al. 2014). It keeps its last output, ``(n, width)``."""

    def __init__(self, width: int, heads: int, steps: int) -> None:
        super().__init__()
        self.ahead = Recurrence(width, width)

    def forward(self, rows: Tensor, kept: Tensor | None) -> Further:
        """Some further steps, shape ``(n, steps, width)``."""
        outputs: Tensor = self.ahead(rows, kept)
        return outputs, outputs.select(1, outputs.shape[1] - 1)


class CausalConvolution(nn.Module):
    """A convolution over steps with gated linear units (Gehring et al. 2017). It keeps ``(n, width, KERNEL - 1)``."""

    def __init__(self, width: int, heads: int, steps: int) -> None:
        super().__init__()
        self.maps = nn.Conv1d(width, 2 * width, KERNEL)

    def forward(self, rows: Tensor, kept: Tensor | None) -> Further:
        """Some further steps, shape ``(n, steps, width)``."""
        columns = rows.transpose(1, 2)
        columns = F.pad(columns, (KERNEL - 1, 0)) if kept is None else torch.cat([kept, columns], 2)
        seen = columns.shape[2]
        return F.glu(self.maps(columns), 1).transpose(1, 2), columns[:, :, seen - KERNEL + 1 : seen]


class CausalAttention(AttentionMaps):
    """Attention to a step and those before it. It keeps ``(n, 2, heads, steps, size)``."""

    def forward(self, rows: Tensor, kept: Tensor | None) -> Further:
        """Some further steps, shape ``(n, steps, width)``."""
        steps, before = rows.shape[1], 0
        if kept is not None:
            before = kept.shape[3]
        maps = self.project(rows, before)
        query, own = maps.select(2, 0), maps[:, :, 1:].transpose(1, 2)
        kept = own if kept is None else torch.cat([kept, own], 3)
        hidden = None
        if steps > 1:
            places = torch.arange(before + steps, device=rows.device)
            hidden = places > places[before:, None]
        return self.output(attend(query, kept.select(1, 0), kept.select(1, 1), hidden)), kept


CAUSAL: Mapping[str, Callable[[int, int, int], nn.Module]] = {
    "gru": CausalRecurrence,
    "attention": CausalAttention,
    "conv": CausalConvolution,
}
"""What makes the operation of a decoder's layers for a width, a number of heads and the most steps, by label."""


class CrossAttention(nn.Module):
    """Multi-head attention to the sequence that is read (Vaswani et al. 2017), with sinusoids for places in both."""

    positions: Tensor

    def __init__(self, width: int, heads: int, steps: int, read: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, width)))
        self.bias = nn.Parameter(torch.zeros(width))
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.register_buffer("positions", sinusoids(max(steps, read), width))

    def recall(self, read: Tensor, outside: Tensor) -> CrossMemory:
        """What is looked up in ``(n, steps, width)``; ``outside``, ``(n, 1, steps)``, are the steps behind its end."""
        key = self.key(read + part_of(self.positions, 0, read.shape[1]))
        return CrossMemory(self._split(key), self._split(self.value(read)), outside.unsqueeze(2))

    def forward(self, rows: Tensor, before: int, memory: CrossMemory) -> Tensor:
        """Steps that are written, ``(n, steps, width)``, of which so many stand before them."""
        rows = rows + part_of(self.positions, before, rows.shape[1])
        return self.output(attend(self._split(F.linear(rows, self.weight, self.bias)), *memory))

    def _split(self, rows: Tensor) -> Tensor:
        return rows.unflatten(2, (self.heads, rows.shape[2] // self.heads)).transpose(1, 2)


class DecoderLayer(nn.Module):
    """A causal operation, attention to what is read, and two maps: each normalised before, dropped out, a residual."""

    def __init__(
        self,
        build: Builder,
        operation: OpenChoice,
        rates: tuple[float, ...],
        *,
        width: int,
        heads: int,
        steps: int,
        read: int,
    ) -> None:
        super().__init__()
        self.mixed, self.operation = build.mixed, operation
        self.operations = nn.ModuleDict({label: CAUSAL[label](width, heads, steps) for label in operation.labels})
        self.cross = CrossAttention(width, heads, steps, read)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropouts = nn.ModuleList(build.dropout("decoder_dropout", rates, width) for _ in range(3))

    def forward(self, rows: Tensor, before: int, memory: CrossMemory, kept: KeptState) -> tuple[Tensor, KeptState]:
        """Some further steps ``(n, steps, width)``, with so many before them, and what is kept of these."""
        first, second, third = self.norms
        normalised, now = first(rows), dict[str, Tensor]()

        def computed(label: str) -> Tensor:
            outputs, now[label] = self.operations[label](normalised, kept.get(label))
            return outputs

        rows = rows + self._dropped(0, self.operation.combine(computed))
        rows = rows + self._dropped(1, self.cross(second(rows), before, memory))
        return rows + self._dropped(2, self.narrow(F.relu(self.widen(third(rows))))), now

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``; with what ``cross`` looks up."""
        operations = (self.operations[label] for label in self.operation.computed_labels())
        others = (self.cross, self.cross.key, self.cross.value, self.widen, self.narrow)
        return sum(map(count.whole, (*operations, *others)))

    def _dropped(self, place: int, rows: Tensor) -> Tensor:
        if not self.training and not self.mixed:  # a supernet drops channels where it is given noise
            return rows
        return self.dropouts[place](rows.transpose(1, 2)).transpose(1, 2)
