"""Images and labels, as users have them, brought to one form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.io.text import number_of, one_of, printable
from lit_metanas.tasks.task import warn_of_data

Labels: TypeAlias = Tensor | NDArray[Any] | Sequence[Hashable]
Groups: TypeAlias = Labels
ClassNames: TypeAlias = Sequence[str] | Mapping[Any, str]
"""Names by label; or in the order of the sorted labels; or, where labels are 0, 1, …, by index."""


def label_list(labels: Labels, number: int, *, name: str = "y", noun: str = "images") -> list[Hashable]:
    """One label for each of so many examples, as plain values; messages call them ``name``."""
    return _plain_values(labels, number, name, noun, "label")


def group_names(values: Groups | None, number: int, noun: str, *, name: str = "group") -> list[str] | None:
    """The group of each of so many examples in memory as a text; None without groups."""
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(
            f"{name} = {printable(repr(values), 80)} must be the group of each of the {number} {noun}, such as a list "
            "of names: examples in memory have no columns or folders."
        )
    return [str(value).strip() for value in _plain_values(values, number, name, noun, "group")]


def _plain_values(values: Any, number: int, name: str, noun: str, what: str) -> list[Hashable]:
    """The values of a sequence, an array or a column of pandas, one for each example."""
    one, called = f"give one {what} {one_of(noun)}", what.capitalize()
    shape = tuple(getattr(values, "shape", (0,)))
    if len(shape) != 1:  # also of a table of pandas with a single column
        raise ValueError(f"{name} has shape {shape}: {one}, shape ({number},).")
    if isinstance(values, Tensor | np.ndarray):
        values = values.tolist()
    found = [plain_label(value) for value in values]
    if len(found) != number:
        raise ValueError(f"{name} has {len(found)} {what}s for {number} {noun}: {one}.")
    for place, value in enumerate(found):
        if isinstance(value, Tensor) or not isinstance(value, Hashable):
            raise ValueError(f"{called} {place} in {name} is a {type(value).__name__}: give a number or a name.")
        if is_missing(value) or (what == "group" and not str(value).strip()):
            raise ValueError(f"{called} {place} in {name} is {value}: leave out {noun} without a {what}.")
    return found


MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})  # in files, whatever the case


def warn_of_missing(labels: Iterable[object], place: str, noun: str) -> None:
    """Warn of labels of a table that may stand for missing ones; ``none`` may be a class, too."""
    written = (label.strip() for label in labels if isinstance(label, str))
    known = MISSING - {"", "none"}
    for absent, count in Counter(label for label in written if label.casefold() in known).items():
        warn_of_data(
            f"'{place}' has the label '{absent}' in {number_of(count, noun)}, and it becomes a class: leave such "
            f"{noun}s out if their labels are missing."
        )


def hardly_repeat(counts: Mapping[str, int]) -> bool:
    """Whether most cells differ from all others, by the numbers of each text."""
    return 2 * sum(count == 1 for count in counts.values()) > sum(counts.values())


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, or pandas's NA, which is neither like nor unlike itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True
    except (ValueError, RuntimeError):  # an array or a tensor
        return False


def plain_label(label: Any) -> Any:
    """A number for one of torch's or numpy's."""
    if isinstance(label, Tensor | np.ndarray | np.generic) and math.prod(label.shape) == 1:
        return label.item()
    return label


def class_names(labels: Sequence[Hashable], classes: ClassNames | None, noun: str = "images") -> dict[Hashable, str]:
    """The distinct labels in their order, each with the name of its class."""
    distinct = set(labels)
    try:
        order = sorted(distinct)  # type: ignore[type-var]
    except TypeError:  # labels of different kinds
        order = sorted(distinct, key=lambda label: (type(label).__name__, str(label)))
    if not order:
        raise ValueError(f"There are no {noun}: give some of two or more classes.")
    if len(order) < 2:
        raise ValueError(f"All {noun} have the label {order[0]!r}: give two or more classes.")
    names = _class_names(order, classes)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"Two classes are named {twice!r}: give each a name of its own.")
    return dict(zip(order, names, strict=True))


def _class_names(order: Sequence[Hashable], classes: ClassNames | None) -> list[str]:
    if classes is None:
        return [str(label) for label in order]
    if isinstance(classes, Mapping):
        absent = next((label for label in order if label not in classes), None)
        if absent is not None:
            raise ValueError(f"classes has no name for the label {absent!r}: give one.")
        return [str(classes[label]) for label in order]
    if len(classes) == len(order):
        return [str(name) for name in classes]
    if all(isinstance(label, int) and 0 <= label < len(classes) for label in order):
        return [str(classes[label]) for label in order]  # type: ignore[call-overload]
    raise ValueError(f"classes has {len(classes)} names for {len(order)} classes: name each once.")
