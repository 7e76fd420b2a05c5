"""Encodings: architectures as vectors for a surrogate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from lit_metanas.io.settings import keeps_arguments
from lit_metanas.spaces.architecture import Architecture, check_labels
from lit_metanas.spaces.choice_space import ChoiceSpace


@keeps_arguments()
class Encoding(ABC):
    """Turns architectures of a space into vectors; equal networks have equal ones.

    A kernel learns how much each group of features counts, but not each feature.

    Attributes:
        space: whose architectures are encoded.
        groups: widths of the groups, which follow one another; their sum is the length ``d`` of a vector.

    Example:
        >>> import lit_metanas as lm
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
    """One-hot labels of each choice. A choice that can be inactive has one bit more, which tells whether it is active.

    The labels of an inactive choice are zeros, so that networks of different depth differ in what they have and in
    nothing else. Choices of one group are one group of features.

    Args:
        space: whose architectures are encoded.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.spaces.NASBench201()
        >>> lm.spaces.OneHotEncoding(space)([space.sample(torch.Generator())]).shape  # 6 choices of 5 labels
        torch.Size([1, 30])
    """

    def __init__(self, space: ChoiceSpace) -> None:
        self.space = space
        widths: dict[str, int] = {}
        named = [(choice.group or choice.name, choice) for choice in space.choices]
        for group, choice in named:
            widths[group] = widths.get(group, 0) + len(choice.labels) + bool(choice.active_if)
        self.groups = tuple(widths.values())
        order = sorted(named, key=lambda pair: list(widths).index(pair[0]))
        self._places: dict[tuple[str, str], tuple[int, ...]] = {}
        place = 0
        for _, choice in order:
            active = (place + len(choice.labels),) if choice.active_if else ()
            for label in choice.labels:
                self._places[choice.name, label] = (place, *active)
                place += 1
            place += len(active)

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """The vectors, shape ``(n, d)``, float64, all 0 or 1.

        Raises:
            ValueError: an architecture has a choice or a label that the space has not.
        """
        rows, columns = [], []
        for row, architecture in enumerate(architectures):
            for item in architecture.items():
                if item not in self._places:
                    known = {choice.name: choice.labels for choice in self.space.choices}
                    check_labels({item[0]: (item[1],)}, known, self.space.name)
                for column in self._places[item]:
                    rows.append(row)
                    columns.append(column)
        features = torch.zeros(len(architectures), sum(self.groups), dtype=torch.float64)
        features[rows, columns] = 1
        return features


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

    Example:
        >>> import lit_metanas as lm
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
    """What is left of so many draws without repeats, and without those that cannot be built."""
    draws = dict.fromkeys(space.sample(generator) for _ in range(number))
    return [architecture for architecture in draws if space.violation(architecture) is None]


def count_features(rows: Sequence[Mapping[str, Iterable[int]]], widths: Mapping[str, int]) -> Tensor:
    """Count features.

    Args:
        rows: for each architecture and group the places of what it has, repeated as often as it has it.
        widths: features of each group.

    Returns:
        Shape ``(n, d)``, float64.
    """
    starts: dict[str, int] = {}
    total = 0
    for name, width in widths.items():
        starts[name] = total
        total += width
    found = torch.zeros(len(rows), total, dtype=torch.float64)
    places = [
        (row, starts[name] + place) for row, groups in enumerate(rows) for name in groups for place in groups[name]
    ]
    if places:
        index = torch.tensor(places).T
        found.index_put_((index[0], index[1]), torch.ones(len(places), dtype=torch.float64), accumulate=True)
    return found


def bucket(words: Sequence[str], buckets: int) -> int:
    """A place for any sequence of words, the same in every process (Weinberger et al. 2009, feature hashing)."""
    return crc32(" ".join(words).encode()) % buckets
