"""The context of a supernet's forward pass: gates, noise, batch-norm statistics, and what layers make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.spaces.mixture import Gate, Mixture, combine, computed_size, leading, total

ONLY = Gate(torch.ones(1), 0)
"""The gate of a single candidate."""

Statistics = Mapping[str, Tensor] | None
"""Batch-norm means and variances to normalise with; None takes those of the batch."""

Record = dict[str, Tensor] | None
"""Filled with a batch's means and variances; None keeps none."""


class ForwardPass(NamedTuple):
    """The arguments of ``Supernet.forward`` other than the inputs."""

    mixture: Mixture
    noise: Mapping[str, Tensor] | None = None
    statistics: Statistics = None
    record: Record = None


_PASS: ContextVar[ForwardPass | None] = ContextVar("forward pass of a supernet", default=None)


@contextmanager
def running(forward_pass: ForwardPass) -> Iterator[None]:
    """Layers that are called within find this forward pass by ``current``; none of them keeps it."""
    token = _PASS.set(forward_pass)
    try:
        yield
    finally:
        _PASS.reset(token)


def current() -> ForwardPass:
    """The forward pass that a layer is called in."""
    found = _PASS.get()
    if found is None:
        raise RuntimeError("This layer mixes candidates, and only its supernet knows how: call the supernet.")
    return found


def gate_of(name: str) -> Gate:
    """The gate of a choice in this forward pass; without a name that of a single candidate."""
    return current().mixture[name] if name else ONLY


@dataclass(frozen=True)
class OpenChoice:
    """A choice that a layer of one's own looks at; in a child it has one label."""

    labels: tuple[str, ...]  # those that are left
    name: str = ""  # empty in a child

    def gate(self) -> Gate:
        """How the candidates are combined in this forward pass."""
        return gate_of(self.name)

    def computed_labels(self) -> Sequence[str]:
        """The labels whose candidates are computed: the sampled one, or all."""
        return self.gate().computed(self.labels)

    def combine(self, compute: Callable[[str], Tensor]) -> Tensor:
        """The sampled candidate's output, or the weighted sum of all."""
        return combine(self.gate(), self.labels, compute)

    def total(self, compute: Callable[[str], Tensor]) -> Tensor | None:
        """The same, but ``none`` adds nothing; None if nothing is left."""
        return total(self.gate(), self.labels, compute)


@dataclass(frozen=True)
class OpenNumber:
    """A number that is a choice; as a size it is the largest one."""

    # It is no `int`: a plain number that is computed from it would be that of the largest network, in which supernet
    # and child would differ. Times and `//` a plain number it is open, too.

    name: str  # of the choice
    numbers: tuple[int, ...]  # the candidates that are left

    def __mul__(self, other: int) -> OpenNumber:
        if not isinstance(other, int):
            return NotImplemented
        return OpenNumber(self.name, tuple(number * other for number in self.numbers))

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> OpenNumber:
        if not isinstance(other, int):
            return NotImplemented
        return OpenNumber(self.name, tuple(number // other for number in self.numbers))

    def computed_value(self) -> int:
        """The number that is computed in this forward pass: the sampled one, or the largest."""
        return computed_size(gate_of(self.name), self.numbers)

    def weights(self) -> Tensor | None:
        """The weight of each of the parts that are computed, shape ``(computed,)``; None where all are one."""
        return leading(gate_of(self.name), self.numbers)


Number = int | OpenNumber
"""Of channels: plain in a child, and open in a supernet where it is a choice."""


def computed_value(number: Number) -> int:
    """A number that may be open, as it is computed in this forward pass."""
    if isinstance(number, OpenNumber):
        return number.computed_value()
    return number


def largest(number: Number) -> int:
    """A number that may be open, as large as it can be."""
    if isinstance(number, OpenNumber):
        return max(number.numbers)
    return number
