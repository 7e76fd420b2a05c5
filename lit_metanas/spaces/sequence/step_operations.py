"""Candidate operations on sequences ``(n, channels, steps)``, which keep their size.

An example's outputs do not depend on what stands behind its end: the network sets that to zero before each operation.
Outputs there are finite, and mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.sequence.step_context import current_steps, lowest

Positions = Literal["sinusoidal", "learned", "none"]
"""How self-attention finds out the places of steps."""


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017) among the steps of an example, whose places it alone knows."""

    positions: Tensor | None

    def __init__(self, width: int, steps: int, heads: int, positions: Positions) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.bias = nn.Parameter(torch.zeros(3 * width))
        self.output = nn.Linear(width, width)
        self.register_buffer("positions", None)
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(steps, width))
        elif positions == "sinusoidal":
            self.positions = sinusoids(steps, width)

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
    """Dot-product attention (Vaswani et al. 2017) of ``(n, heads, steps, size)``: ``(n, steps, heads * size)``."""
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


class SeparableConvolution(nn.Sequential):
    """A convolution of each channel by itself, and a linear map at each step."""

    def __init__(self, width: int, size: int) -> None:
        depthwise = nn.Conv1d(width, width, size, padding=size // 2, groups=width, bias=False)
        super().__init__(depthwise, nn.Conv1d(width, width, 1))


class ParallelConvolutions(nn.Module):
    """Convolutions of several sizes, each of an equal part of the channels (Kim 2014, who takes 100 of each size)."""

    def __init__(self, width: int, sizes: Sequence[int], each: int | None = None) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv1d(width, each or width // len(sizes), size) for size in sizes)
        self.margins = [(size // 2, (size - 1) // 2) for size in sizes]

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)`` to ``(n, width, steps)``, or so many channels of each size."""
        made = [part(F.pad(inputs, margin)) for part, margin in zip(self.parts, self.margins, strict=True)]
        return torch.cat(made, 1)


class GatedLinear(nn.Module):
    """Gated linear units at each step (Dauphin et al. 2017): a linear map times the sigmoid of another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.maps = nn.Conv1d(width, 2 * width, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)``, unchanged."""
        return F.glu(self.maps(inputs), 1)


class StepPool(nn.Module):
    """The maximum or the mean of neighbouring steps, of those within the example; stride 2 halves their number."""

    def __init__(self, kind: str, size: int, stride: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self.size, self.stride = size, stride
        self.margin = size // 2 if stride == 1 else 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels, steps / stride)``."""
        steps = current_steps()
        window = (self.size, self.stride, self.margin)
        if self.kind == "max":
            found = F.max_pool1d(steps.blank(inputs, lowest(inputs)), *window, ceil_mode=True)
            return steps.every(self.stride).blank(found)
        ones = steps.blank(torch.ones_like(inputs[:, :1]))
        sums, counts = (F.avg_pool1d(own, *window, ceil_mode=True) for own in (steps.blank(inputs), ones))
        # Of one step there are at least 1 / size; where there is none, behind the end, a zero would divide.
        return sums / counts.clamp(min=0.5 / self.size)

    def extra_repr(self) -> str:
        """The arguments, for ``print``."""
        return f"{self.kind}, size={self.size}, stride={self.stride}"


class InceptionModule(nn.Module):
    """Convolutions of 10, 20 and 40 steps of a quarter of the channels, and a maximum (Ismail Fawaz et al. 2020)."""

    # Differs from the paper in that the bottleneck has a quarter of the channels, whatever their number, and that
    # convolutions have as many each as it.

    def __init__(self, width: int) -> None:
        super().__init__()
        part = width // 4
        self.bottleneck = nn.Conv1d(width, part, 1, bias=False)
        self.convolutions = ParallelConvolutions(part, (10, 20, 40), each=part)
        self.pool = StepPool("max", 3)
        self.pooled = nn.Conv1d(width, part, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)``, unchanged."""
        return torch.cat([self.convolutions(self.bottleneck(inputs)), self.pooled(self.pool(inputs))], 1)


class Recurrence(nn.Module):
    """Gated recurrent units (Cho et al. 2014) in the form of ``torch.nn.GRU``, from the first step to the last."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter((2 * torch.rand(shape) - 1) * width**-0.5)

        self.input_weight, self.input_bias = uniform(3 * width, channels), uniform(3 * width)
        self.hidden_weight, self.hidden_bias = uniform(3 * width, width), uniform(3 * width)

    def forward(self, rows: Tensor, before: Tensor | None = None) -> Tensor:
        """Shape ``(n, steps, channels)`` to ``(n, steps, width)``, after an output ``(n, width)`` if there is one."""
        # Not nn.GRU: it keeps its weights a second time, where torch.func's calls with other weights miss them.
        weights = (self.input_weight, self.hidden_weight, self.input_bias, self.hidden_bias)
        if before is None:
            before = torch.zeros_like(rows[:, 0, : self.width])
        with ExitStack() as stack:
            if rows.is_cuda:  # cuDNN's recurrence cannot be differentiated twice
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            outputs: Tensor = torch.gru(rows, before.unsqueeze(0), weights, True, 1, 0.0, False, False, True)[0]
        return outputs


class BidirectionalGRU(nn.Module):
    """Gated recurrent units from the first step on, and from the example's last step back, half of the width each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ahead, self.back = Recurrence(width, width // 2), Recurrence(width, width // 2)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)``, unchanged."""
        rows = inputs.transpose(1, 2)
        # Each step changes places with the one that is as far from the example's other end.
        mirrored = current_steps().remaining.unsqueeze(2)
        turned = self.back(rows.gather(1, mirrored.expand(-1, -1, inputs.shape[1])))
        back = turned.gather(1, mirrored.expand(-1, -1, self.back.width))
        return torch.cat([self.ahead(rows), back], 2).transpose(1, 2)


MakeOperation = Callable[[int, int, Positions], nn.Module]
"""Makes an operation for a width, the most steps, and the positions of self-attention."""


def _convolution(width: int, steps: int, positions: Positions, *, size: int, dilation: int = 1) -> nn.Module:
    return nn.Conv1d(width, width, size, padding=size // 2 * dilation, dilation=dilation)


def _of_width(width: int, steps: int, positions: Positions, *, make: Callable[[int], nn.Module]) -> nn.Module:
    return make(width)


def _attention(width: int, steps: int, positions: Positions, *, heads: int) -> nn.Module:
    return SelfAttention(width, steps, heads, positions)


def _pool(width: int, steps: int, positions: Positions, *, kind: str) -> nn.Module:
    return StepPool(kind, 3)


OPERATIONS: Mapping[str, MakeOperation] = {
    "identity": partial(_of_width, make=nn.Identity),
    **{f"conv_{size}": partial(_convolution, size=size) for size in (3, 5, 7)},
    **{f"sep_conv_{size}": partial(_of_width, make=partial(SeparableConvolution, size=size)) for size in (3, 5, 7)},
    "conv_2_to_5": partial(_of_width, make=partial(ParallelConvolutions, sizes=(2, 3, 4, 5))),
    "dil_conv_3": partial(_convolution, size=3, dilation=2),
    "inception": partial(_of_width, make=InceptionModule),
    "gated_linear": partial(_of_width, make=GatedLinear),
    "attention_2": partial(_attention, heads=2),
    "attention_4": partial(_attention, heads=4),
    "gru": partial(_of_width, make=BidirectionalGRU),
    "max_pool_3": partial(_pool, kind="max"),
    "avg_pool_3": partial(_pool, kind="avg"),
}
"""All candidates of a layer, by label."""
