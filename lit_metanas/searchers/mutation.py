"""New architectures: drawn anew, or by changing one that is known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import torch

from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.choice_space import ChoiceSpace

ATTEMPTS = 200
"""Draws in a row without anything new after which a space, or a neighbourhood, counts as exhausted."""


def draw_new(
    draw: Callable[[], Architecture], space: ChoiceSpace, number: int, known: Collection[Architecture]
) -> list[Architecture]:
    """Draw up to ``number`` different architectures that can be built and are not among ``known``."""
    found: dict[Architecture, None] = {}
    misses = 0
    while len(found) < number and misses < ATTEMPTS:
        architecture = draw()
        if architecture in known or architecture in found or space.violation(architecture) is not None:
            misses += 1
            continue
        found[architecture] = None
        misses = 0
    return list(found)


def complete(space: ChoiceSpace, labels: Mapping[str, str]) -> Architecture:
    """Answer the choices that ``labels``, given by choice or by group, leaves open.

    An open choice takes the label of the choice before it in its group, so that a further layer is like the one
    below; the first of a group takes its first label.
    """
    full = space.by_choice(labels)
    last: dict[str, str] = {}
    for choice in space.choices:
        before = last.get(choice.group) if choice.group else None
        default = before if before in choice.labels else choice.labels[0]
        full.setdefault(choice.name, default)
        last[choice.group] = full[choice.name]
    return space.canonical(full)


def mutate(
    space: ChoiceSpace, architecture: Architecture, generator: torch.Generator, *, whole_groups: float = 0.0
) -> Architecture:
    """Give one active choice another label, or with probability ``whole_groups`` all choices of its group.

    Where several labels stand for one architecture, those of one of them are changed: see ``ChoiceSpace.equivalent``.
    An architecture whose active choices have one candidate each is returned unchanged.
    """
    labels = space.equivalent(architecture, partial(_below, generator=generator))
    open_choices = [c for c in space.choices if c.name in labels and len(space.proposed(c)) > 1]
    if not open_choices:
        return architecture
    choice = open_choices[_below(len(open_choices), generator)]
    others = [label for label in space.proposed(choice) if label != labels[choice.name]]
    label = others[_below(len(others), generator)]
    together = bool(torch.rand((), generator=generator) < whole_groups)
    changed = {c.name: label for c in open_choices if c is choice or (together and _tied(c, choice, label))}
    return complete(space, {**labels, **changed})


def _tied(choice: Choice, other: Choice, label: str) -> bool:
    return bool(choice.group) and choice.group == other.group and label in choice.labels


def _below(number: int, generator: torch.Generator) -> int:
    return int(torch.randint(number, (), generator=generator))
