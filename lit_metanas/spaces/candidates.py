"""The architectures among which a model of scores looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import ChoiceSpace

LIMIT = 100_000
"""Combinations of labels up to which a space counts as small."""
SAMPLE = 4096
"""Architectures that stand for a large space."""


class Candidates:
    """All architectures of a small space, or a fixed sample of a large one.

    Args:
        space: the space.
        encoding: of its architectures.

    Attributes:
        architectures: those that can be built, each once.
        features: encoded, shape ``(n, d)``, float64.
        whole: whether these are all.
    """

    def __init__(self, space: ChoiceSpace, encoding: Callable[[Sequence[Architecture]], Tensor]) -> None:
        self.whole = space.size <= LIMIT
        found = space.architectures() if self.whole else drawn(space, SAMPLE, torch.Generator().manual_seed(0))
        self.architectures: tuple[Architecture, ...] = tuple(found)
        self.features: Tensor = encoding(self.architectures)


def drawn(space: ChoiceSpace, number: int, generator: torch.Generator) -> Sequence[Architecture]:
    """What is left of so many draws without repeats, and without those that cannot be built."""
    draws = dict.fromkeys(space.sample(generator) for _ in range(number))
    return [architecture for architecture in draws if space.violation(architecture) is None]
