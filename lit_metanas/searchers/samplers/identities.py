"""Which parameter sets of a study stand for the same network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from copy import copy
from typing import Any, NamedTuple, Self

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from lit_metanas.searchers.mutation import values_by_label
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace


class Identity(NamedTuple):
    """The properties of a parameter set."""

    key: Hashable  # equal for sets that stand for the same canonical architecture
    allowed: bool  # whether the architecture can be built
    inactive: frozenset[str]  # parameters without effect
    architecture: Architecture | None  # None if the parameters give none of the space


class Identities:
    """Identifies parameter sets: equal keys for the same network of a space, or without one for equal values."""

    def __init__(self, space: ChoiceSpace | None = None, prefix: str = PREFIX) -> None:
        self.space, self.prefix = space, prefix
        self.choices: dict[str, Choice] = {}
        if space is not None:
            self.choices = {prefix + choice.name: choice for choice in space.choices}
        self._seen: dict[Hashable, Identity] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # it only saves time, and a sampler is copied for each trial

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
        """Parameters of the same identity, drawn if the space has several: see ``ChoiceSpace.equivalent``."""
        if self.space is None or not all(name in parameters for name in self.choices):
            return dict(parameters)
        drawn = self.space.equivalent({choice.name: parameters[name] for name, choice in self.choices.items()}, below)
        return {**parameters, **{name: drawn[choice.name] for name, choice in self.choices.items()}}

    def with_labels(self, trial: FrozenTrial) -> FrozenTrial:
        """A trial with labels instead of numbers and booleans; missing inactive choices get their first label."""
        others = [name for name in self.choices if not isinstance(trial.params.get(name), str)]
        if not others:
            return trial
        labelled = copy(trial)
        labelled.params = dict(trial.params)
        whole = self(trial.params).architecture is not None
        for name in others:
            choice = self.choices[name]
            if name in trial.params:
                labelled.params[name] = choice.label_of(trial.params[name]) or trial.params[name]
            elif whole and self.space is not None:
                labelled.params[name] = self.space.proposed_labels(choice)[0]
        return labelled

    def distributions(self, asked: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
        """The labels of each choice; only those that a study can have, if its trials have ``asked`` for it."""
        assert self.space is not None
        found = self.space.distributions(self.prefix)
        for name, choice in self.choices.items():
            if name not in asked:
                continue
            values = values_by_label(asked[name], choice)
            if kept := [label for label in self.space.proposed_labels(choice) if label in values]:
                found[name] = CategoricalDistribution(kept)
        return found

    def _identify(self, parameters: dict[str, Any]) -> Identity:
        architecture, allowed, inactive = None, True, frozenset[str]()
        if self.space is not None:
            with suppress(ValueError):  # an incomplete architecture is identified by its values
                architecture = self.space.from_parameters(parameters, self.prefix)
                allowed = self.space.violation(architecture) is None
                inactive = frozenset(name for name, choice in self.choices.items() if choice.name not in architecture)
                parameters = {name: value for name, value in parameters.items() if name not in self.choices}
        others = tuple((name, _round(parameters[name])) for name in sorted(parameters))
        return Identity((architecture, others), allowed, inactive, architecture)


def _round(value: Any) -> Any:
    """A value without its last digits, which a step up and a step down can change."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return value
