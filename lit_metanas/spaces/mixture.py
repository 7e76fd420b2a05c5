"""Mixtures: how the candidates of each choice are combined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture, Choice

_Candidate = TypeVar("_Candidate")


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
        return through(gate, compute(candidates[gate.index]))
    found = sum_of(weight * compute(one) for weight, one in zip(gate.weights.unbind(), candidates, strict=True))
    assert found is not None
    return found


def total(gate: Gate, labels: Sequence[str], compute: Callable[[str], Tensor]) -> Tensor | None:
    """Like ``combine`` for candidates of which ``none`` adds nothing; None if nothing is left."""
    if gate.index is not None:
        if labels[gate.index] == "none":
            return None
        return combine(gate, labels, compute)
    weighted = zip(gate.weights.unbind(), labels, strict=True)
    return sum_of(weight * compute(label) for weight, label in weighted if label != "none")


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


def through(gate: Gate, value: Tensor) -> Tensor:
    """Lead the gradient of a one-candidate gate to its logits; the value does not change."""
    return times(value, gate.factor())


def times(value: Tensor, factor: Tensor | None) -> Tensor:
    """The product with a factor, which is one where it is None."""
    if factor is None:
        return value
    return factor * value


def computed_size(gate: Gate, numbers: Sequence[int]) -> int:
    """The number of parts that are computed: those of one candidate, or of the largest."""
    return max(gate.computed(numbers))


def leading(gate: Gate, numbers: Sequence[int]) -> Tensor | None:
    """Weight of each part that is computed: the sum over the candidates that have it; None for ones."""
    # Under a gate of one candidate the weights are ones, whose gradient is that of the parts that are computed. One
    # factor on all of the candidate would be cancelled by the next batch-norm, and its gradient with it.
    if len(numbers) == 1 or (gate.index is not None and not gate.weights.requires_grad):
        return None  # before any tensor is made: it would be in a child's exported program
    part = torch.arange(computed_size(gate, numbers), device=gate.weights.device)
    shares = torch.stack([(part < number).to(gate.weights.dtype) for number in numbers])
    # No matrix product: it would be counted among the network's multiply-adds.
    return (gate.weights[:, None] * shares).sum(0)
