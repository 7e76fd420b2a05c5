"""What a relaxation hands to a supernet: for each choice, how its candidates are combined."""

from __future__ import annotations

from collections.abc import Mapping
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
    """

    weights: Tensor
    index: int | None = None


Mixture = Mapping[str, Gate]


def one_hot(choices: tuple[Choice, ...], architecture: Architecture) -> dict[str, Gate]:
    """The mixture that computes exactly ``architecture``; inactive choices take their first label."""
    gates = {}
    for choice in choices:
        index = choice.labels.index(architecture.get(choice.name, choice.labels[0]))
        weights = torch.zeros(len(choice.labels))
        weights[index] = 1.0
        gates[choice.name] = Gate(weights, index)
    return gates
