"""What the layers of a supernet are told in a forward pass: gates, noise, batch-norm statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.spaces.supernet import Gate, Mixture, Record, Statistics, chosen, leading

ONLY = Gate(torch.ones(1), 0)
"""The gate of a single candidate."""


class ForwardPass(NamedTuple):
    """The arguments of ``Supernet.forward`` besides the inputs."""

    mixture: Mixture
    noise: Mapping[str, Tensor] | None = None
    statistics: Statistics = None
    record: Record = None


_PASS: ContextVar[ForwardPass | None] = ContextVar("forward pass of a supernet", default=None)


@contextmanager
def running(forward_pass: ForwardPass) -> Iterator[None]:
    """Layers that are called within are told this forward pass; none of them keeps it."""
    token = _PASS.set(forward_pass)
    try:
        yield
    finally:
        _PASS.reset(token)


def current() -> ForwardPass:
    """The forward pass that a layer is called in.

    Raises:
        RuntimeError: there is none.
    """
    found = _PASS.get()
    if found is None:
        raise RuntimeError("This layer mixes candidates, and only its supernet knows how: call the supernet.")
    return found


@dataclass(frozen=True)
class OpenChoice:
    """A choice for layers of one's own; in a child it has one label.

    Attributes:
        labels: those that are left.
        name: of the choice; empty in a child.

    Example:
        >>> choice = OpenChoice(("3", "5"), "kernel")
        >>> with running(ForwardPass({"kernel": Gate(torch.tensor([0.25, 0.75]))})):
        ...     choice.gate().weights.tolist(), choice.computed()
        ([0.25, 0.75], ('3', '5'))
    """

    labels: tuple[str, ...]
    name: str = ""

    def gate(self) -> Gate:
        """How the candidates are combined in this forward pass."""
        return current().mixture[self.name] if self.name else ONLY

    def computed(self) -> tuple[str, ...]:
        """The labels whose candidates are computed: the sampled one, or all."""
        index = self.gate().index
        return self.labels if index is None else (self.labels[index],)


class OpenNumber(int):
    """A number that is a choice, or a product of such numbers; as an ``int`` it is the largest one.

    Attributes:
        factors: names of choices (empty for a constant) and their candidates.

    Example:
        >>> width = OpenNumber([("width", (8, 16))])
        >>> int(width), int(3 * width), (3 * width).factors
        (16, 48, (('width', (8, 16)), ('', (3,))))
    """

    factors: tuple[tuple[str, tuple[int, ...]], ...]

    def __new__(cls, factors: Sequence[tuple[str, tuple[int, ...]]]) -> OpenNumber:
        """The product of the largest candidates."""
        number = super().__new__(cls, reduce(int.__mul__, (max(numbers) for _, numbers in factors), 1))
        number.factors = tuple(factors)
        return number

    def __getnewargs__(self) -> tuple[tuple[tuple[str, tuple[int, ...]], ...]]:  # type: ignore[override]
        return (self.factors,)

    def __mul__(self, other: int) -> OpenNumber:
        return OpenNumber([*self.factors, *(other.factors if isinstance(other, OpenNumber) else [("", (other,))])])

    __rmul__ = __mul__

    def computed(self) -> int:
        """The number that is computed in this forward pass: the sampled one, or the largest."""
        return reduce(int.__mul__, (chosen(gate, numbers) for gate, numbers in self._gates()), 1)

    def weights(self) -> Tensor | None:
        """The weight of each of the parts that are computed, shape ``(computed,)``; None where all are one."""
        return leading(*self._gates())

    def _gates(self) -> list[tuple[Gate, tuple[int, ...]]]:
        return [(current().mixture[name] if name else ONLY, numbers) for name, numbers in self.factors]


def computed(number: int) -> int:
    """A number that may be open, as it is computed in this forward pass."""
    return number.computed() if isinstance(number, OpenNumber) else number
