"""Which labels of a space an architecture fixes."""

from __future__ import annotations

import math

from lit_metanas.records.files import read_architectures
from lit_metanas.spaces import SearchSpace


def fixed_labels(architecture: dict[str, str] | str | None, space: SearchSpace) -> dict[str, str]:
    """The labels to restrict a space to.

    Args:
        architecture: labels of some or all choices, each for one choice or for all of a group; or the path of an
            ``architectures.json``, of which the best entry of this space is taken.
        space: the search space.

    Returns:
        A label for each choice that is no longer open: choices that the fixed labels make inactive get their first.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no architecture of this space.
    """
    labels = _best(architecture, space) if isinstance(architecture, str) else space.by_choice(architecture or {})
    inactive: set[str] = set()
    for choice in space.choices:
        if any(n in inactive or (n in labels and labels[n] not in allowed) for n, allowed in choice.active_if):
            inactive.add(choice.name)
            labels.setdefault(choice.name, choice.labels[0])
    return labels


def _best(path: str, space: SearchSpace) -> dict[str, str]:
    entries = [entry for entry in read_architectures(path) if entry.space == space.name]
    if not entries:
        raise ValueError(f"'{path}' holds no architecture of {space.name}: give the file of a search in it.")
    return max(entries, key=lambda entry: -math.inf if math.isnan(entry.value) else entry.value).architecture.to_json()
