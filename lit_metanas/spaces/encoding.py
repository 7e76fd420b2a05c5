"""Architectures as vectors, for models that predict scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from torch import Tensor

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.candidates import Candidates
from lit_metanas.spaces.choice_space import ChoiceSpace


class Encoding(ABC):
    """Turns architectures of a space into vectors; equal networks have equal ones.

    A kernel learns how much each group of features counts, but not each feature.

    Attributes:
        space: whose architectures are encoded.
        groups: widths of the groups, which follow one another; their sum is the length ``d`` of a vector.
    """

    space: ChoiceSpace
    groups: tuple[int, ...]

    @abstractmethod
    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """The vectors, shape ``(n, d)``, float64."""

    @cached_property
    def candidates(self) -> Candidates:
        """The architectures among which models look: made once, in seconds for a space of 26,000."""
        return Candidates(self.space, self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "candidates"}
