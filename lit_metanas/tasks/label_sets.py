"""Labels that are sets of classes: whether labels are such, and how they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.io.text import printable
from lit_metanas.objectives.several_labels import LABEL_SEPARATOR, SeveralLabels
from lit_metanas.tasks.labels import is_missing, plain_label

SEPARATORS_SEEN, SEPARATORS = ";|", ";|,"
"""What stands between labels: found by its look; and where they are known to be sets, as texts have commas, too."""

LEAST_MENTIONS = 2
"""Examples that a label has on average, if texts with a separator are sets of labels."""


def are_label_sets(labels: Any) -> bool:
    """Whether labels are sets of classes: lists or sets, rows of 0 and 1, or texts with labels between separators."""
    if (array := _columns(labels)) is not None:
        return array.shape[1] > 1 and _are_binary(array)
    if any(isinstance(label, list | set | frozenset) for label in labels):
        return True
    return _separator_seen(labels) is not None


def learned_as_sets(labels: Any, wanted: str | None) -> bool:
    """Whether labels are learned as sets of classes: as wanted, or as they look."""
    if wanted is None:
        return are_label_sets(labels)
    return wanted == SeveralLabels.kind


def separator_of(labels: Any) -> str:
    """What stands between labels that are texts, where these are known to be sets of labels."""
    texts = list[str]()
    if _columns(labels) is None:
        texts = [label for label in labels if isinstance(label, str)]
    used = (one for one in SEPARATORS if any(one in text for text in texts))
    return _separator_seen(texts) or next(used, LABEL_SEPARATOR)


def label_sets(
    labels: Any, number: int, *, separator: str, name: str = "y", noun: str = "rows"
) -> list[frozenset[Hashable]]:
    """The labels of each of so many examples; of rows of 0 and 1 the names or the places of columns."""
    array = _columns(labels)
    found: list[Any] = [*labels] if array is None else [*array]
    if len(found) != number:
        raise ValueError(f"There are {number} {noun}, but {name} has labels for {len(found)}: give as many.")
    if array is not None:
        if array.ndim != 2 or not _are_binary(array):
            raise ValueError(f"{name} has values that are neither 0 nor 1: give 1 for each label of an example.")
        columns = _names_of(labels, array)
        return [frozenset(columns[place] for place in row.nonzero()[0].tolist()) for row in array.astype(bool)]
    return [
        frozenset(_checked(one, f"Label {place} in {name}") for one in _parts(label, separator))
        for place, label in enumerate(found)
    ]


def check_columns_of_labels(labels: Any, name: str) -> None:
    """Refuse rows of 0 and 1 of which a column has no 1, so that nothing could be learned of its label."""
    array = _columns(labels)
    if array is None:
        return
    empty = next((label for label, own in zip(_names_of(labels, array), array.T, strict=True) if not own.any()), None)
    if empty is not None:
        raise ValueError(f"No example has the label '{printable(str(empty), 60)}': leave its column of {name} out.")


def indicator(sets: Sequence[Collection[Hashable]], order: Sequence[Hashable]) -> Tensor:
    """1 where an example has a label, shape ``(n, labels)``, float32; others than those of ``order`` are left out."""
    places = {label: place for place, label in enumerate(order)}
    found = torch.zeros(len(sets), len(places))
    for row, own in zip(found, sets, strict=True):
        row[[places[label] for label in own if label in places]] = 1
    return found


def refuse_foreign(
    sets: Iterable[Collection[Hashable]], known: Collection[Hashable], name: str, learned: str, noun: str
) -> None:
    """Refuse test examples with a label that none of those to learn from has."""
    foreign = next((label for own in sets for label in own if label not in known), None)
    if foreign is not None:
        shown = printable(str(foreign), 80)
        raise ValueError(f"{name} has the label '{shown}', which {learned} lacks: leave its {noun} out.")


def _columns(labels: Any) -> NDArray[Any] | None:
    """Labels that are rows of values as an array of at least two dimensions; None if they are no such."""
    if hasattr(labels, "toarray"):  # a sparse matrix
        labels = labels.toarray()
    if len(getattr(labels, "shape", ())) > 1:
        if isinstance(labels, Tensor):
            return labels.detach().cpu().numpy()
        return np.asarray(labels)
    rows = [row.tolist() if isinstance(row, Tensor | np.ndarray) else row for row in labels]
    if not rows or not all(isinstance(row, list) and len(row) == len(rows[0]) > 1 for row in rows):
        return None
    if not all(isinstance(value, Real) and float(value) in (0, 1) for row in rows for value in row):
        return None
    return np.array(rows)


def _names_of(labels: Any, array: NDArray[Any]) -> list[str] | list[int]:
    return [str(one) for one in getattr(labels, "columns", ())] or [*range(array.shape[1])]


def _are_binary(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "O":
        return all(isinstance(value, Real) and float(value) in (0, 1) for value in array.flat)
    return array.dtype.kind in "biuf" and bool(((array == 0) | (array == 1)).all())


def _separator_seen(labels: Iterable[Any]) -> str | None:
    """What separates the labels of texts, by its look; None if they are no sets of labels."""
    # Either all texts end in it, or there is a label that stands in two different texts, and labels repeat.
    counts: Counter[str] = Counter()
    for label in labels:
        if not isinstance(label, str) and not is_missing(label):
            return None
        counts[label.strip() if isinstance(label, str) else ""] += 1
    for separator in SEPARATORS_SEEN:
        joined = [text for text in counts if separator in text]
        if joined and all(text.endswith(separator) for text in counts):
            return separator
        mentions: Counter[str] = Counter()
        texts: Counter[str] = Counter()
        for text, number in counts.items():
            for label in set(_parts(text, separator)):
                mentions[label] += number
                texts[label] += 1
        shared = any(texts[label] > 1 for text in joined for label in _parts(text, separator))
        if shared and LEAST_MENTIONS * len(mentions) <= mentions.total():
            return separator
    return None


def _parts(label: Any, separator: str) -> list[Any]:
    if isinstance(label, str):
        return [part.strip() for part in label.split(separator) if part.strip()]
    if isinstance(label, list | tuple | set | frozenset):
        return [plain_label(one) for one in label]
    if is_missing(label):
        return []
    return [plain_label(label)]


def _checked(label: Any, where: str) -> Hashable:
    if isinstance(label, str):
        label = label.strip()
    if not isinstance(label, Hashable) or is_missing(label) or label == "":
        raise ValueError(f"{where} holds '{printable(str(label), 40)}', which is no name: give a list of names.")
    return label
