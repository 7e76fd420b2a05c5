"""The context of a supernet's forward pass: gates, noise, batch-norm statistics, and what layers make of them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import total_ordering
from math import gcd, prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lit_metanas.spaces.mixture import Gate, Mixture, combine, computed_size, joint, leading, total

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


def gate_of(name: str | tuple[str, ...]) -> Gate:
    """The gate of a choice, or of several at once, in this forward pass; without a name that of a single candidate."""
    if isinstance(name, tuple):
        return joint([gate_of(each) for each in name])
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

    @contextmanager
    def settled(self, label: str) -> Iterator[None]:
        """In a forward pass within, the choice has this label, whose weight is one."""
        if not self.name:
            yield
            return
        weights = torch.zeros(len(self.labels))
        weights[place := self.labels.index(label)] = 1.0
        here = current()
        with running(here._replace(mixture=ChainMap({self.name: Gate(weights, place)}, here.mixture))):  # type: ignore[arg-type]
            yield

    def total(self, compute: Callable[[str], Tensor]) -> Tensor | None:
        """The same, but ``none`` adds nothing; None if nothing is left."""
        return total(self.gate(), self.labels, compute)


Factor = tuple[str | tuple[str, ...], tuple[int, ...]]
"""A choice, several at once, or nothing for a constant, and its candidates: those of several as ``joint`` has them."""


@total_ordering
class OpenNumber:
    """A number that is a choice, or a product of such numbers; as a size and in comparisons it is the largest one."""

    # It is no `int`: a plain number that is computed from it would be that of the largest network, in which supernet
    # and child would differ. It can be multiplied, and divided by `//` where the result is such a product again.

    def __init__(self, factors: Iterable[Factor]) -> None:
        self.factors = tuple(factors)

    def __mul__(self, other: Number) -> OpenNumber:
        return OpenNumber([*self.factors, *_factors(other, "*")])

    __rmul__ = __mul__

    def __floordiv__(self, other: Number) -> OpenNumber:
        left = list(self.factors)
        for factor in _factors(other, "//"):
            if factor in left:
                left.remove(factor)
            else:
                left = _divide(left, factor)
        return OpenNumber(left)

    def __eq__(self, other: object) -> bool:
        return largest(self) == (largest(other) if isinstance(other, OpenNumber) else other)

    def __lt__(self, other: Number) -> bool:
        return largest(self) < largest(other)

    def __hash__(self) -> int:
        return hash(largest(self))

    def computed_value(self) -> int:
        """The number that is computed in this forward pass: the sampled one, or the largest."""
        return prod(computed_size(gate_of(name), numbers) for name, numbers in self.factors)

    def weights(self) -> Tensor | None:
        """The weight of each of the parts that are computed, shape ``(computed,)``; None where all are one."""
        return leading(*((gate_of(name), numbers) for name, numbers in self.factors))


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
        return prod(max(numbers) for _, numbers in number.factors)
    return number


def _factors(number: Number, operation: str) -> Sequence[Factor]:
    if isinstance(number, OpenNumber):
        return number.factors
    if not isinstance(number, int):
        raise _refusal(operation)
    return [("", (number,))]


def _divide(factors: Sequence[Factor], divisor: Factor) -> list[Factor]:
    """The product of factors over a constant, rounded down, as such a product."""
    name, (by, *_) = divisor
    opened = [factor for factor in factors if factor[0]]
    if not name and len(opened) < 2:
        constant = prod(numbers[0] for name, numbers in factors if not name)
        return [
            (name, tuple(constant * number // by for number in numbers)) for name, numbers in opened or [("", (1,))]
        ]
    left = []
    for each, numbers in factors:
        common = gcd(by, *numbers)
        by //= common
        left.append((each, tuple(number // common for number in numbers)))
    if name or by != 1:
        raise _refusal("//")
    return left


def _refusal(operation: str) -> TypeError:
    return TypeError(
        f"'{operation}' would turn an open number into a plain one, in which supernet and child differ: multiply it, "
        "divide it by // where that leaves a product of its factors, or give build.number the numbers that are meant; "
        "layers with open numbers of channels are build.conv and build.norm."
    )


def _refuse(operation: str) -> Callable[..., Any]:
    def refuse(*numbers: object) -> Any:
        raise _refusal(operation)

    return refuse


for _name, _operation in {
    "add": "+", "sub": "-", "truediv": "/", "mod": "%", "pow": "**", "divmod": "divmod", "lshift": "<<", "rshift": ">>",
}.items():  # fmt: skip
    setattr(OpenNumber, f"__{_name}__", _refuse(_operation))
    setattr(OpenNumber, f"__r{_name}__", _refuse(_operation))
for _name in ("int", "float", "index", "neg", "abs", "round", "rfloordiv"):
    setattr(OpenNumber, f"__{_name}__", _refuse(_name.replace("rfloordiv", "//")))
