"""The steps of a batch, candidate operations on sequences ``(n, channels, steps)``, and readouts to one vector.

An example's outputs do not depend on what stands behind its end: the network sets that to zero before each operation.
Outputs there are finite, and mean nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.mixture import setting


@dataclass(frozen=True)
class Steps:
    """The steps of a batch of examples."""

    within: Tensor  # whether a step lies within its example, shape (n, steps), bool: the first ones do

    @cached_property
    def outside(self) -> Tensor:
        """Which steps lie behind an example's end, shape ``(n, 1, steps)``, bool."""
        return ~self.within.unsqueeze(1)

    @cached_property
    def lengths(self) -> Tensor:
        """Steps of each example, shape ``(n, 1)``, int64."""
        return self.within.sum(1, keepdim=True)

    @cached_property
    def remaining(self) -> Tensor:
        """How many steps of the example follow a step, shape ``(n, steps)``, int64; 0 behind its end."""
        return self.lengths - self.within.cumsum(1)

    def every(self, stride: int) -> Steps:
        """What is left of them behind a layer of this stride."""
        if stride == 1:
            return self
        return Steps(self.within[:, ::stride])

    def blank(self, inputs: Tensor, value: float = 0.0) -> Tensor:
        """Inputs ``(n, channels, steps)`` with a value behind the examples' ends."""
        return inputs.masked_fill(self.outside, value)


_STEPS: ContextVar[Steps | None] = ContextVar("steps of a sequence", default=None)


def telling_steps(steps: Steps) -> AbstractContextManager[None]:
    """Layers that are called within find these steps by ``current_steps``; none of them keeps them."""
    return setting(_STEPS, steps)


def current_steps() -> Steps:
    """The steps of what a layer is given."""
    found = _STEPS.get()
    if found is None:
        raise RuntimeError("This layer depends on where examples end, and only its network knows: call the network.")
    return found


def lowest(inputs: Tensor) -> float:
    """The least number of the inputs' precision, which no maximum takes and no softmax weighs."""
    return torch.finfo(inputs.dtype).min


class AttentionMaps(nn.Module):
    """The linear maps of multi-head attention (Vaswani et al. 2017) among the steps of one sequence."""

    positions: Tensor

    def __init__(self, width: int, heads: int, steps: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.bias = nn.Parameter(torch.zeros(3 * width))
        self.output = nn.Linear(width, width)
        self.register_buffer("positions", sinusoids(steps, width))

    def project(self, rows: Tensor, before: int = 0) -> Tensor:
        """Query, key and value of steps ``(n, steps, width)`` with so many before: ``(n, heads, 3, steps, size)``."""
        rows = rows + part_of(self.positions, before, rows.shape[1])
        return (
            F.linear(rows, self.weight, self.bias)
            .unflatten(2, (3, self.heads, rows.shape[2] // self.heads))
            .transpose(1, 3)
        )


class SelfAttention(AttentionMaps):
    """Attention among all steps of an example, whose places it alone knows."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)``, unchanged."""
        maps = self.project(inputs.transpose(1, 2))
        query, key, value = (maps.select(2, part) for part in range(3))
        return self.output(attend(query, key, value, current_steps().outside.unsqueeze(2))).transpose(1, 2)


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
    angles = torch.arange(steps)[:, None] * 10000.0 ** (-2 * pairs / width)
    return torch.where(torch.arange(width) % 2 == 0, angles.sin(), angles.cos())


def separable(width: int, size: int) -> nn.Module:
    """A convolution of each channel by itself, and a linear map at each step."""
    deep = nn.Conv1d(width, width, size, padding=size // 2, groups=width, bias=False)
    return nn.Sequential(deep, nn.Conv1d(width, width, 1))


class ParallelConvolutions(nn.Module):
    """Convolutions of several sizes, each of an equal part of the channels (Kim 2014, who takes 100 of each size)."""

    def __init__(self, width: int, sizes: Sequence[int], each: int | None = None) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv1d(width, each or width // len(sizes), size) for size in sizes)
        self.margins = [(size // 2, (size - 1) // 2) for size in sizes]

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, width, steps)`` to ``(n, width, steps)``, or so many channels of each size."""
        parts = zip(self.parts, self.margins, strict=True)
        return torch.cat([part(F.pad(inputs, margin)) for part, margin in parts], 1)


def gated_linear(width: int) -> nn.Module:
    """Gated linear units at each step (Dauphin et al. 2017): a linear map times the sigmoid of another."""
    return nn.Sequential(OrderedDict(maps=nn.Conv1d(width, 2 * width, 1), units=nn.GLU(1)))


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
        # cuDNN's recurrence cannot be differentiated twice.
        with torch.backends.cudnn.flags(enabled=False) if rows.is_cuda else nullcontext():
            return torch.gru(rows, before.unsqueeze(0), weights, True, 1, 0.0, False, False, True)[0]


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


OPERATIONS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "identity": lambda width, steps: nn.Identity(),
    "conv_3": lambda width, steps: nn.Conv1d(width, width, 3, padding=1),
    "conv_5": lambda width, steps: nn.Conv1d(width, width, 5, padding=2),
    "conv_7": lambda width, steps: nn.Conv1d(width, width, 7, padding=3),
    "sep_conv_3": lambda width, steps: separable(width, 3),
    "sep_conv_5": lambda width, steps: separable(width, 5),
    "sep_conv_7": lambda width, steps: separable(width, 7),
    "conv_2_to_5": lambda width, steps: ParallelConvolutions(width, sizes=(2, 3, 4, 5)),
    "dil_conv_3": lambda width, steps: nn.Conv1d(width, width, 3, padding=2, dilation=2),
    "inception": lambda width, steps: InceptionModule(width),
    "gated_linear": lambda width, steps: gated_linear(width),
    "attention_2": lambda width, steps: SelfAttention(width, 2, steps),
    "attention_4": lambda width, steps: SelfAttention(width, 4, steps),
    "gru": lambda width, steps: BidirectionalGRU(width),
    "max_pool_3": lambda width, steps: StepPool("max", 3),
    "avg_pool_3": lambda width, steps: StepPool("avg", 3),
}
"""What makes each candidate of a layer, by label, for a width and the most steps."""


class Readout(nn.Module):
    """The mean, the maximum or the last of an example's steps, zeros for one without; or ``each`` of them."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels)``, or unchanged, with zeros behind the end, for each."""
        steps = current_steps()
        match self.kind:
            case "mean":
                return steps.blank(inputs).sum(2) / steps.lengths.clamp(min=1)
            case "max":
                return steps.blank(inputs, lowest(inputs)).amax(2).masked_fill(steps.lengths == 0, 0.0)
            case "last":
                return steps.blank(inputs).masked_fill(steps.remaining.unsqueeze(1) > 0, 0.0).sum(2)
            case _:
                return steps.blank(inputs)


class AttentionReadout(nn.Module):
    """The mean over the steps of an example, weighed by the softmax of a linear score of each, all equal at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Conv1d(width, 1, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels)``."""
        steps = current_steps()
        inputs = steps.blank(inputs)
        scores = self.score(inputs)
        return (inputs * steps.blank(scores, lowest(scores)).softmax(2)).sum(2)


READOUTS: Mapping[str, Callable[[int], nn.Module]] = {
    "mean": lambda width: Readout("mean"),
    "max": lambda width: Readout("max"),
    "attention": AttentionReadout,
    "last": lambda width: Readout("last"),
    "each": lambda width: Readout("each"),
}
"""What makes each readout of so many channels, by label."""
