"""Encodings: architectures as vectors for a surrogate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.settings import keeps_arguments
from lit_metanas.spaces.architecture import Architecture, Choice, check_labels, labels_of
from lit_metanas.spaces.choice_space import ChoiceSpace


@keeps_arguments()
class Encoding(ABC):
    """Turns architectures of a space into vectors; equal networks have equal ones.

    A kernel learns how much each group of features counts, but not each feature.

    Attributes:
        space: whose architectures are encoded.
        groups: widths of the groups, which follow one another; their sum is the length ``d`` of a vector.

    Example:
        >>> encoding: lm.spaces.Encoding = lm.spaces.OneHotEncoding(lm.spaces.NASBench201())
        >>> sum(encoding.groups) == encoding(encoding.candidates.architectures[:2]).shape[1]
        True
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


class OneHotEncoding(Encoding):
    """One-hot labels of each choice. A choice that can be inactive has one bit more: whether it is active.

    The labels of an inactive choice are zeros, so that networks of different depth differ in what they have and in
    nothing else. Choices of one group are one group of features.

    Args:
        space: whose architectures are encoded.

    Example:
        >>> space = lm.spaces.NASBench201()
        >>> lm.spaces.OneHotEncoding(space)([space.sample(torch.Generator())]).shape  # 6 choices of 5 labels
        torch.Size([1, 30])
    """

    def __init__(self, space: ChoiceSpace) -> None:
        self.space = space
        grouped: dict[str, list[Choice]] = {}
        for choice in space.choices:
            grouped.setdefault(choice.group or choice.name, []).append(choice)
        self.groups = tuple(sum(len(own.labels) + bool(own.active_if) for own in group) for group in grouped.values())
        self._places: dict[tuple[str, str], list[int]] = {}
        place = 0
        for choice in chain.from_iterable(grouped.values()):
            end = place + len(choice.labels)
            active = [end] * bool(choice.active_if)
            self._places |= {(choice.name, label): [place + n, *active] for n, label in enumerate(choice.labels)}
            place = end + len(active)

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """The vectors, shape ``(n, d)``, float64, all 0 or 1.

        Raises:
            ValueError: an architecture has a choice or a label that the space has not.
        """
        rows, columns = list[int](), list[int]()
        for row, architecture in enumerate(architectures):
            for item in architecture.items():
                if item not in self._places:
                    check_labels({item[0]: (item[1],)}, labels_of(self.space.choices), self.space.name)
                rows += [row] * len(self._places[item])
                columns += self._places[item]
        features = torch.zeros(len(architectures), sum(self.groups), dtype=torch.float64)
        features[rows, columns] = 1
        return features


LIMIT = 100_000  # combinations of labels up to which a space counts as small
SAMPLE = 4096  # architectures that stand for a large space


class Candidates:
    """All architectures of a small space, or a fixed sample of a large one.

    Args:
        space: the space.
        encoding: of its architectures.

    Attributes:
        architectures: those that can be built, each once.
        features: encoded, shape ``(n, d)``, float64.
        whole: whether these are all.

    Example:
        >>> space = lm.spaces.NASBench201(merge_isomorphs=False)
        >>> candidates = lm.spaces.Candidates(space, lm.spaces.OneHotEncoding(space))
        >>> candidates.whole, len(candidates.architectures)
        (True, 15625)
    """

    def __init__(self, space: ChoiceSpace, encoding: Callable[[Sequence[Architecture]], Tensor]) -> None:
        self.whole = space.size <= LIMIT
        found = space.architectures() if self.whole else draw_buildable(space, SAMPLE, torch.Generator().manual_seed(0))
        self.architectures: tuple[Architecture, ...] = tuple(found)
        self.features: Tensor = encoding(self.architectures)


def draw_buildable(space: ChoiceSpace, number: int, generator: torch.Generator) -> Sequence[Architecture]:
    """The different architectures among so many draws that can be built."""
    draws = dict.fromkeys(space.sample(generator) for _ in range(number))
    return [architecture for architecture in draws if space.violation(architecture) is None]


def count_features(rows: Sequence[Sequence[Sequence[int]]], widths: Sequence[int]) -> Tensor:
    """How often each row has each feature, float64, given the places that it has in each group of so many features."""
    found = np.zeros((len(rows), sum(widths)))
    starts = list(accumulate(widths, initial=0))
    for counts, groups in zip(found, rows, strict=True):
        np.add.at(counts, [start + place for start, own in zip(starts, groups, strict=False) for place in own], 1)
    return torch.from_numpy(found)
