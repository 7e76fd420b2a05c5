"""Mixtures, which say how the candidates of each choice are combined, and the forward pass that layers find them in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture, Choice

_Candidate = TypeVar("_Candidate")
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Gate:
    """How the candidates of one choice are combined.

    Attributes:
        weights: one weight a candidate, shape ``(labels,)``.
        index: the one candidate that is computed; its output is multiplied by ``weights[index]``, whose value
            is one and whose gradient reaches the logits. None where all candidates are computed and summed.

    Example:
        >>> mixed, chosen = lm.spaces.Gate(torch.tensor([0.5, 0.5])), lm.spaces.Gate(torch.tensor([0.0, 1.0]), index=1)
        >>> mixed.computed(("3", "5")), chosen.computed(("3", "5"))
        (('3', '5'), ('5',))
    """

    weights: Tensor
    index: int | None = None

    def computed(self, candidates: Sequence[_Candidate]) -> Sequence[_Candidate]:
        """The candidates that are computed: the one of ``index``, or all."""
        if self.index is None:
            return candidates
        return candidates[self.index : self.index + 1]

    def factor(self) -> Tensor | None:
        """The weight of the one candidate; None if it is a constant, which is one."""
        if self.index is None or not self.weights.requires_grad:
            return None  # the multiplication would cost a pass over the activations
        return self.weights[self.index]


Mixture = Mapping[str, Gate]
"""The gate of each choice, by its name."""


def one_hot(choices: tuple[Choice, ...], architecture: Architecture) -> dict[str, Gate]:
    """The mixture that computes exactly ``architecture``; inactive choices take their first label.

    Example:
        >>> space = lm.LayeredSpace(shared=True)
        >>> lm.spaces.one_hot(space.choices, {**space.sample(torch.Generator()), "kernel": "5"})["kernel"]
        Gate(weights=tensor([0., 1., 0.]), index=1)
    """
    gates = {}
    for choice in choices:
        index = choice.labels.index(architecture.get(choice.name, choice.labels[0]))
        weights = torch.zeros(len(choice.labels))
        weights[index] = 1.0
        gates[choice.name] = Gate(weights, index)
    return gates


def combine(gate: Gate, candidates: Sequence[_Candidate], compute: Callable[[_Candidate], Tensor]) -> Tensor:
    """Compute the gate's one candidate, or all of them weighted and summed."""
    if gate.index is not None:
        return times(compute(candidates[gate.index]), gate.factor())
    found = sum_of(weight * compute(one) for weight, one in zip(gate.weights.unbind(), candidates, strict=True))
    assert found is not None
    return found


def sum_of(terms: Iterable[Tensor | None]) -> Tensor | None:
    """The sum of tensors of one shape, leaving out None; None if there are none."""
    # A running sum: stacking would copy all terms and lose the channels-last layout.
    found: Tensor | None = None
    for term in terms:
        if found is None:
            found = term
        elif term is not None:
            found = found + term
    return found


def times(value: Tensor, factor: Tensor | None) -> Tensor:
    """The product with a factor, which is one where it is None."""
    if factor is None:
        return value
    return factor * value


ONLY = Gate(torch.ones(1), 0)  # the gate of a single candidate

Statistics = Mapping[str, Tensor] | None
"""Batch-norm means and variances to normalise with; None takes those of the batch."""

Record = dict[str, Tensor] | None  # filled with a batch's means and variances; None keeps none


class ForwardPass(NamedTuple):
    """The arguments of ``Supernet.forward`` other than the inputs."""

    mixture: Mixture
    noise: Mapping[str, Tensor] | None = None
    statistics: Statistics = None
    record: Record = None


_PASS: ContextVar[ForwardPass | None] = ContextVar("forward pass of a supernet", default=None)


@contextmanager
def setting(variable: ContextVar[_Value], value: _Value) -> Iterator[None]:
    """Within, a variable has a value."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def running(forward_pass: ForwardPass) -> AbstractContextManager[None]:
    """Layers that are called within find this forward pass by ``current``; none of them keeps it."""
    return setting(_PASS, forward_pass)


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
        gate = self.gate()
        if gate.index is None:
            weighted = zip(gate.weights.unbind(), self.labels, strict=True)
            return sum_of(weight * compute(label) for weight, label in weighted if label != "none")
        if self.labels[gate.index] == "none":
            return None
        return combine(gate, self.labels, compute)


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


Number = int | OpenNumber  # of channels: plain in a child, and open in a supernet where it is a choice


def computed_value(number: Number) -> int:
    """A number that may be open, as it is computed in this forward pass: the sampled one, or the largest."""
    if isinstance(number, OpenNumber):
        return max(gate_of(number.name).computed(number.numbers))
    return number


def weights_of(number: Number) -> Tensor | None:
    """The weight of each computed part, the sum over the numbers that have it, shape ``(computed,)``; None for ones."""
    # Under a gate of one candidate the weights are ones, whose gradient is that of the parts that are computed. One
    # factor on all of the candidate would be cancelled by the next batch-norm, and its gradient with it.
    if not isinstance(number, OpenNumber) or len(number.numbers) == 1:
        return None
    gate, numbers = gate_of(number.name), number.numbers
    if gate.index is not None and not gate.weights.requires_grad:
        return None  # before any tensor is made: it would be in a child's exported program
    part = torch.arange(max(gate.computed(numbers)), device=gate.weights.device)
    shares = torch.stack([(part < number).to(gate.weights.dtype) for number in numbers])
    # No matrix product: it would be counted among the network's multiply-adds.
    return (gate.weights[:, None] * shares).sum(0)


def largest(number: Number) -> int:
    """A number that may be open, as large as it can be."""
    if isinstance(number, OpenNumber):
        return max(number.numbers)
    return number
