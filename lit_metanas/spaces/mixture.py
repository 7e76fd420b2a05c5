"""Mixtures: how the candidates of each choice are combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture, Choice


@dataclass(frozen=True)
class Gate:
    """How the candidates of one choice are combined.

    Attributes:
        weights: one weight a candidate, shape ``(labels,)``.
        index: the one candidate that is computed; its output is multiplied by ``weights[index]``, whose value
            is one and whose gradient reaches the logits. None where all candidates are computed and summed.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> mixed, chosen = lm.spaces.Gate(torch.tensor([0.5, 0.5])), lm.spaces.Gate(torch.tensor([0.0, 1.0]), index=1)
        >>> mixed.index, chosen.index
        (None, 1)
    """

    weights: Tensor
    index: int | None = None


Mixture = Mapping[str, Gate]
"""The gate of each choice, by its name."""


def one_hot(choices: tuple[Choice, ...], architecture: Architecture) -> dict[str, Gate]:
    """The mixture that computes exactly ``architecture``; inactive choices take their first label.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.LayeredSpace(shared=True)
        >>> lm.spaces.one_hot(space.choices, space.canonical({**space.sample(torch.Generator()), "kernel": "5"}))[
        ...     "kernel"
        ... ]
        Gate(weights=tensor([0., 1., 0.]), index=1)
    """
    gates = {}
    for choice in choices:
        index = choice.labels.index(architecture.get(choice.name, choice.labels[0]))
        weights = torch.zeros(len(choice.labels))
        weights[index] = 1.0
        gates[choice.name] = Gate(weights, index)
    return gates


def computed_size(gate: Gate, numbers: Sequence[int]) -> int:
    """The number of parts that are computed: those of one candidate, or of the largest."""
    return max(numbers) if gate.index is None else numbers[gate.index]


def leading(*factors: tuple[Gate, Sequence[int]]) -> Tensor | None:
    """Weight of each computed part: the sum over the candidates that have it; None where all are one.

    Under a gate of one candidate the weights are ones, whose gradient is that of the parts that are computed. One
    factor on all of the candidate would be cancelled by the next batch-norm, and its gradient with it.

    Args:
        factors: gates and the numbers of parts of their candidates; the parts together are the product.
    """
    if all(gate.index is not None and not gate.weights.requires_grad for gate, _ in factors):
        return None  # before any tensor is made: it would be in a child's exported program
    counts, weights, parts = [1], torch.ones(1), 1
    for gate, numbers in factors:
        parts *= computed_size(gate, numbers)
        if gate.index is not None and not gate.weights.requires_grad:
            counts = [count * numbers[gate.index] for count in counts]
            continue
        weights = torch.outer(weights.to(gate.weights), gate.weights).flatten()
        counts = [count * number for count in counts for number in numbers]
    if len(counts) == 1:
        return None
    part = torch.arange(parts, device=weights.device)
    shares = torch.stack([(part < count).to(weights.dtype) for count in counts])
    # No matrix product: it would be counted among the network's multiply-adds.
    return (weights[:, None] * shares).sum(0)
