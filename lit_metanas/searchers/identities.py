"""Which parameter sets are the same thing under different names."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import count
from typing import Any, NamedTuple

from lit_metanas.spaces.choice_space import ChoiceSpace

PREFIX = "arch."
"""Of the parameters that are a space's choices."""


class Identity(NamedTuple):
    """What a parameter set is.

    Attributes:
        number: equal for equal parameter sets, and for those that stand for one canonical architecture.
        allowed: whether the architecture can be built.
        inactive: parameters that do not matter beside the others.
    """

    number: int
    allowed: bool
    inactive: frozenset[str]


class Identities:
    """Numbers parameter sets, and remembers the numbers.

    Args:
        space: tells which architectures are the same network; None tells parameter sets apart by their values.
    """

    def __init__(self, space: ChoiceSpace | None = None) -> None:
        self.space = space
        self._choices = [] if space is None else [(PREFIX + choice.name, choice.name) for choice in space.choices]
        self._seen: dict[Hashable, Identity] = {}
        self._numbers: dict[Hashable, int] = {}
        self._count = count()

    def __call__(self, parameters: Mapping[str, Any]) -> Identity:
        """The identity of a parameter set."""
        key = tuple(parameters.items())
        try:
            found = self._seen.get(key)
        except TypeError:  # a storage in memory takes labels that have no hash
            key = tuple((name, repr(value)) for name, value in key)
            found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = self._identify(dict(key))
        return found

    def equivalent(self, parameters: Mapping[str, Any], below: Callable[[int], int]) -> dict[str, Any]:
        """Parameters of the same identity, drawn where the space has several: see ``ChoiceSpace.equivalent``."""
        if self.space is None or not all(name in parameters for name, _ in self._choices):
            return dict(parameters)
        drawn = self.space.equivalent({choice: parameters[name] for name, choice in self._choices}, below)
        return {**parameters, **{name: drawn[choice] for name, choice in self._choices}}

    def _identify(self, parameters: dict[str, Any]) -> Identity:
        architecture, allowed, inactive = None, True, frozenset[str]()
        if self.space is not None and all(name in parameters for name, _ in self._choices):
            architecture = self.space.canonical({choice: parameters.pop(name) for name, choice in self._choices})
            allowed = self.space.violation(architecture) is None
            inactive = frozenset(name for name, choice in self._choices if choice not in architecture)
        others = tuple((name, _rounded(parameters[name])) for name in sorted(parameters))
        # Two threads may get here at once: what both count is kept once.
        return Identity(self._numbers.setdefault((architecture, others), next(self._count)), allowed, inactive)


def _rounded(value: Any) -> Any:
    """A step up and a step down lead back, but for the last digits."""
    return float(f"{value:.12g}") if isinstance(value, float) else value
