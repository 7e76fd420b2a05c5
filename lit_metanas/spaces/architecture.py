"""Choices and architectures: the words in which a search space is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One open question of a search space.

    Attributes:
        name: unique in the space, for instance ``layer1.kernel``.
        labels: the candidates' unique names.
        group: the question without its place, for instance ``kernel``: choices of one group have the
            same labels and can be tied.
        active_if: the choice matters only where each named choice has one of the given labels.
    """

    name: str
    labels: tuple[str, ...]
    group: str = ""
    active_if: tuple[tuple[str, frozenset[str]], ...] = ()

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError(f"Choice '{self.name}' has no candidates: give it at least one label.")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"Choice '{self.name}' repeats a label: {', '.join(self.labels)}.")

    def active(self, labels: Mapping[str, str]) -> bool:
        """Whether the choice matters beside these labels of other choices."""
        return all(labels.get(name) in allowed for name, allowed in self.active_if)


class Architecture(Mapping[str, str]):
    """One label per active choice: frozen, hashable, ordered by name, JSON in and out."""

    __slots__ = ("_labels",)

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels: dict[str, str] = dict(sorted(labels.items()))

    def __getitem__(self, name: str) -> str:
        return self._labels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __hash__(self) -> int:
        return hash(tuple(self._labels.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._labels == other._labels

    def __repr__(self) -> str:
        return f"Architecture({self._labels!r})"

    def __str__(self) -> str:
        return " ".join(f"{name}={label}" for name, label in self._labels.items())

    def to_json(self) -> dict[str, str]:
        """The architecture as a plain dictionary that ``Architecture(...)`` reads back."""
        return dict(self._labels)
