"""Choices, architectures, and the restriction of choices to some labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from numbers import Real

from lit_metanas.io.text import nearest


@dataclass(frozen=True)
class Choice:
    """One open question of a search space.

    Attributes:
        name: unique in the space, for instance ``layer1.kernel``.
        labels: the candidates' unique names; a number or a boolean is called by its text.
        group: the question without its place, for instance ``kernel``: one label may be given for a whole group.
        active_if: the choice matters only where each named choice has one of the given labels.

    Example:
        >>> kernel = lm.spaces.Choice("kernel", ("3", "5"))
        >>> lm.spaces.Choice("dilation", ("1", "2"), active_if=(("kernel", frozenset({"3"})),)).active({"kernel": "5"})
        False
    """

    name: str
    labels: tuple[str, ...]
    group: str = ""
    active_if: tuple[tuple[str, frozenset[str]], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(map(str, self.labels)))
        conditions = ((name, frozenset(map(str, allowed))) for name, allowed in self.active_if)
        object.__setattr__(self, "active_if", tuple(conditions))
        if not self.labels:
            raise ValueError(f"Choice '{self.name}' has no candidates: give it at least one label.")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"Choice '{self.name}' repeats a label: {', '.join(self.labels)}.")

    def active(self, labels: Mapping[str, str]) -> bool:
        """Whether the choice matters, given these labels of other choices."""
        return all(labels.get(name) in allowed for name, allowed in self.active_if)

    def label_of(self, value: object) -> str | None:
        """The label that stands for a value: its text, or the same number; None where there is none."""
        if (text := str(value)) in self.labels:
            return text
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        return next((label for label in self.labels if _is_number(label, float(value))), None)


def _is_number(label: str, value: float) -> bool:
    try:
        return isclose(float(label), value, rel_tol=1e-9)
    except ValueError:
        return False


class Architecture(Mapping[str, str]):
    """One label per active choice: frozen, hashable, ordered by name, JSON in and out.

    Example:
        >>> architecture = lm.Architecture({"kernel": "3", "pool": "max"})
        >>> architecture["kernel"], architecture.to_json()
        ('3', {'kernel': '3', 'pool': 'max'})
    """

    __slots__ = ("_labels",)

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels: dict[str, str] = {name: str(label) for name, label in sorted(labels.items())}

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


def labels_of(choices: Iterable[Choice]) -> dict[str, tuple[str, ...]]:
    """The labels of each choice, by its name."""
    return {choice.name: choice.labels for choice in choices}


def edge_name(source: int, target: int, cell: str = "") -> str:
    """The name of an edge's choice: ``edge0-2``, or ``normal.edge0-2`` where there are cells of several kinds."""
    return f"{cell}.edge{source}-{target}".lstrip(".")


def check_positive(space: str, numbers: Mapping[str, int]) -> None:
    """Refuse numbers of a space, by name, that are less than one."""
    for what, number in numbers.items():
        if number < 1:
            raise ValueError(f"{space}: {what} is {number}; give at least 1.")


def check_given(space: str, arguments: Mapping[str, Collection[object]]) -> None:
    """Refuse arguments of a space, by name, that are empty."""
    for argument, given in arguments.items():
        if not given:
            raise ValueError(f"{space}: '{argument}' is empty: give one at least.")


def check_known(space: str, argument: str, labels: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The labels of an argument: at least one, and none that a space does not know."""
    if not labels:
        raise ValueError(f"{space}: '{argument}' is empty: use {', '.join(known)}.")
    for label in labels:
        if label not in known:
            near = nearest(str(label), known)
            hint = f"did you mean '{near}'?" if near else f"use {', '.join(known)}."
            raise ValueError(f"{space}: unknown label '{label}' of '{argument}': {hint}")
    return tuple(labels)


def check_dropouts(space: str, rates: Iterable[float]) -> None:
    """Refuse rates of dropout that are no probabilities below one."""
    for rate in rates:
        if not 0 <= rate < 1:
            raise ValueError(f"{space}: dropout {rate} is not a probability below 1: use for instance 0.2.")


def check_labels(labels: Mapping[str, Sequence[str]], left: Mapping[str, Sequence[str]], space: str) -> None:
    """Refuse unknown choices, naming the nearest one, and labels that are not left."""
    for name, wanted in labels.items():
        if name not in left:
            raise ValueError(f"Unknown choice '{name}': {space} has '{nearest(name, left) or next(iter(left))}'.")
        for label in wanted:
            if label not in left[name]:
                raise ValueError(f"Choice '{name}' has no label '{label}': use {', '.join(left[name])}.")


def restrict(choices: Sequence[Choice], fixed: Mapping[str, Sequence[str]], space: str) -> tuple[Choice, ...]:
    """The choices with the labels that are left, in the usual order."""
    labels = labels_of(choices)
    check_labels(fixed, labels, space)
    left = {**labels, **fixed}
    return tuple(
        replace(choice, labels=tuple(label for label in choice.labels if label in left[choice.name]))
        for choice in choices
    )
