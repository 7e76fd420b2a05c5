"""Architectures as vectors, for models that predict scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from lit_metanas.spaces.architecture import Architecture
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
