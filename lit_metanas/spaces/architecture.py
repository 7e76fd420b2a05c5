"""Choices, architectures, and the restriction of choices to some labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from numbers import Real

from lit_metanas.io.text import nearest, printable


@dataclass(frozen=True)
class Choice:
    """One open question of a search space.

    Attributes:
        name: unique in the space, for instance ``layer1.kernel``.
        labels: the candidates' unique names; a number or a boolean is called by its text.
        group: the question without its place, for instance ``kernel``: choices of one group have the
            same labels and can be tied.
        active_if: the choice matters only where each named choice has one of the given labels.

    Example:
        >>> import lit_metanas as lm
        >>> kernel = lm.spaces.Choice("kernel", ("3", "5"))
        >>> lm.spaces.Choice("dilation", ("1", "2"), active_if=(("kernel", frozenset({"3"})),)).active({"kernel": "5"})
        False
    """

    name: str
    labels: tuple[str, ...]
    group: str = ""
    active_if: tuple[tuple[str, frozenset[str]], ...] = ()

    def __post_init__(self) -> None:
        conditions = tuple((name, frozenset(map(str, allowed))) for name, allowed in self.active_if)
        object.__setattr__(self, "labels", tuple(map(str, self.labels)))
        object.__setattr__(self, "active_if", conditions)
        if not self.labels:
            raise ValueError(f"Choice '{self.name}' has no candidates: give it at least one label.")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"Choice '{self.name}' repeats a label: {', '.join(self.labels)}.")

    def active(self, labels: Mapping[str, str]) -> bool:
        """Whether the choice matters beside these labels of other choices."""
        return all(labels.get(name) in allowed for name, allowed in self.active_if)

    def label_of(self, value: object) -> str | None:
        """The label that stands for a value: its text, or the same number; None where there is none."""
        if (text := str(value)) in self.labels:
            return text
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        return next((label for label in self.labels if _is_number(label, float(value))), None)

    def lacks(self, value: object) -> str:
        """``the label 'adm', which 'optimizer' lacks: did you mean 'adam'?`` of a value that stands for no label."""
        text = printable(str(value), 60)
        near = nearest(text, self.labels) if any(map(str.isalpha, text)) else None  # to be near is nothing for numbers
        fix = f"did you mean '{near}'?" if near else f"it has {printable(', '.join(self.labels), 200)}."
        return f"the label '{text}', which '{self.name}' lacks: {fix}"


def _is_number(label: str, value: float) -> bool:
    try:
        return isclose(float(label), value, rel_tol=1e-9)
    except ValueError:
        return False


class Architecture(Mapping[str, str]):
    """One label per active choice: frozen, hashable, ordered by name, JSON in and out.

    Example:
        >>> import lit_metanas as lm
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


def edge_name(source: int, target: int, cell: str = "") -> str:
    """The name of an edge's choice: ``edge0-2``, or ``normal.edge0-2`` where there are cells of several kinds."""
    return f"{cell}.edge{source}-{target}" if cell else f"edge{source}-{target}"


def check_positive(space: str, numbers: Mapping[str, int]) -> None:
    """Refuse numbers of a space, by name, that are less than one.

    Raises:
        ValueError: one is.
    """
    for what, number in numbers.items():
        if number < 1:
            raise ValueError(f"{space}: {what} is {number}; give at least 1.")


def check_known(space: str, argument: str, labels: Iterable[str], known: Collection[str]) -> None:
    """Refuse labels of an argument that a space does not know.

    Raises:
        ValueError: there is one.
    """
    for label in labels:
        if label not in known:
            near = nearest(str(label), known)
            hint = f"did you mean '{near}'?" if near else f"use {', '.join(known)}."
            raise ValueError(f"{space}: unknown label '{label}' of '{argument}': {hint}")


def check_dropouts(space: str, rates: Iterable[float]) -> None:
    """Refuse rates of dropout that are none.

    Raises:
        ValueError: there is one.
    """
    for rate in rates:
        if not 0 <= rate < 1:
            raise ValueError(f"{space}: dropout {rate} is not a probability below 1: use for instance 0.2.")


def check_labels(
    labels: Mapping[str, Sequence[str]], left: Mapping[str, Sequence[str]], space: str, *, briefly: bool = False
) -> None:
    """Compare labels with the candidates that are left.

    Args:
        labels: of some choices, by name.
        left: the candidates of all choices, by name.
        space: its name in messages.
        briefly: whether an unknown choice is answered with the one of the nearest name, not with all.

    Raises:
        ValueError: a choice is unknown, or a label is not among its candidates.
    """
    for name, wanted in labels.items():
        if name not in left:
            known = f"'{nearest(name, left) or next(iter(left))}'" if briefly else ", ".join(left)
            raise ValueError(f"Unknown choice '{name}': {space} has {known}.")
        for label in wanted:
            if label not in left[name]:
                raise ValueError(f"Choice '{name}' has no label '{label}': use {', '.join(left[name])}.")


def restrict(choices: Sequence[Choice], fixed: Mapping[str, Sequence[str]], space: str) -> tuple[Choice, ...]:
    """The choices with the labels that are left, in the usual order.

    Raises:
        ValueError: a choice is unknown, or a label is not among its candidates.
    """
    check_labels(fixed, {choice.name: choice.labels for choice in choices}, space, briefly=True)
    kept = []
    for choice in choices:
        wanted = fixed.get(choice.name, choice.labels)
        labels = tuple(label for label in choice.labels if label in wanted)
        kept.append(Choice(choice.name, labels, choice.group, choice.active_if))
    return tuple(kept)
