"""Restricting choices to some of their labels, and what is said where a name or a label is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from lit_metanas.spaces.architecture import Choice


def check_labels(
    labels: Mapping[str, Sequence[str]], left: Mapping[str, Sequence[str]], space: str, *, nearest: bool = False
) -> None:
    """Compare labels with the candidates that are left.

    Args:
        labels: of some choices, by name.
        left: the candidates of all choices, by name.
        space: its name in messages.
        nearest: whether an unknown choice is answered with the one of the nearest name, not with all.

    Raises:
        ValueError: a choice is unknown, or a label is not among its candidates.
    """
    for name, wanted in labels.items():
        if name not in left:
            near = (get_close_matches(name, left, n=1) or list(left))[0] if nearest else ""
            known = f"'{near}'" if nearest else ", ".join(left)
            raise ValueError(f"Unknown choice '{name}': {space} has {known}.")
        for label in wanted:
            if label not in left[name]:
                raise ValueError(f"Choice '{name}' has no label '{label}': use {', '.join(left[name])}.")


def restrict(choices: Sequence[Choice], fixed: Mapping[str, Sequence[str]], space: str) -> tuple[Choice, ...]:
    """The choices with the labels that are left, in the usual order.

    Raises:
        ValueError: a choice is unknown, or a label is not among its candidates.
    """
    check_labels(fixed, {choice.name: choice.labels for choice in choices}, space, nearest=True)
    kept = []
    for choice in choices:
        wanted = fixed.get(choice.name, choice.labels)
        labels = tuple(label for label in choice.labels if label in wanted)
        kept.append(Choice(choice.name, labels, choice.group, choice.active_if))
    return tuple(kept)
