"""The steps of a batch that lie within their examples, on which the layers of a sequence's network depend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


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


@contextmanager
def telling_steps(steps: Steps) -> Iterator[None]:
    """Layers that are called within find these steps by ``current_steps``; none of them keeps them."""
    token = _STEPS.set(steps)
    try:
        yield
    finally:
        _STEPS.reset(token)


def current_steps() -> Steps:
    """The steps of what a layer is given."""
    found = _STEPS.get()
    if found is None:
        raise RuntimeError("This layer depends on where examples end, and only its network knows: call the network.")
    return found


def lowest(inputs: Tensor) -> float:
    """The least number of the inputs' precision, which no maximum takes and no softmax weighs."""
    return torch.finfo(inputs.dtype).min
