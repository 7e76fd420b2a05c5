"""The encoding that every space has: its choices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.encoding import Encoding
from lit_metanas.spaces.restriction import check_labels


class OneHotEncoding(Encoding):
    """One-hot labels of each choice. A choice that can be inactive has one bit more, which tells whether it is active.

    The labels of an inactive choice are zeros, so that networks of different depth differ in what they have and in
    nothing else. Choices of one group are one group of features.

    Args:
        space: whose architectures are encoded.
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
