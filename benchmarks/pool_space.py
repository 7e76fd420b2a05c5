"""The architectures of a pool as a small space of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import torch

from lit_metanas.spaces import Architecture, ChoiceSpace


class PoolSpace(ChoiceSpace):
    """The choices of a space of which only a pool can be built, so that samplers that weigh all weigh the pool.

    Args:
        pool: what can be built, each once.
        space: theirs.
    """

    def __init__(self, pool: Sequence[Architecture], space: ChoiceSpace) -> None:
        self.pool = tuple(pool)
        self.space = space
        self.choices = space.choices
        self._members = frozenset(pool)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # it never changes, and each trial has a sampler of its own

    @property
    def name(self) -> str:
        """That of the whole space."""
        return self.space.name

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.pool)

    def architectures(self) -> Iterator[Architecture]:
        """All members."""
        yield from self.pool

    def violation(self, architecture: Architecture) -> str | None:
        """Whether it is no member."""
        return None if architecture in self._members else "it is not in the pool"

    def sample(self, generator: torch.Generator) -> Architecture:
        """Draw a member."""
        return self.pool[int(torch.randint(len(self.pool), (), generator=generator))]
