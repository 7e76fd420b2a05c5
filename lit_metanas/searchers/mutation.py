"""New architectures, drawn or mutated; values of one parameter; and which parameter sets stand for one network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from math import exp, isclose, log
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from lit_metanas.io.quantities import rounded
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace, complete


def any_value(distribution: BaseDistribution, generator: np.random.Generator) -> Any:
    """Draw uniformly, on a logarithmic scale if the distribution has one."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(generator.integers(len(distribution.choices)))]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    half = (distribution.step or 0) / 2  # the ends are as likely as the others
    low, high = distribution.low - half, distribution.high + half
    if distribution.log:
        return _nearest(distribution, exp(generator.uniform(log(low), log(high))))
    return _nearest(distribution, generator.uniform(low, high))


def can_have(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a parameter can have a value: one of the labels, or a number of the range and its steps."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_of_range(distribution, value)


def other_value(distribution: BaseDistribution, value: Any, generator: np.random.Generator) -> Any:
    """Draw as ``any_value`` among the values that differ from ``value``; there must be one."""
    assert not distribution.single()
    if isinstance(distribution, CategoricalDistribution):
        place = int(generator.integers(len(distribution.choices) - 1))
        return distribution.choices[place + (place >= distribution.to_internal_repr(value))]
    other = value
    while other == value:
        other = any_value(distribution, generator)
    return other


def values_by_label(distribution: BaseDistribution, choice: Choice) -> dict[str, Any]:
    """The values of a parameter by the labels of a choice that they stand for."""
    if isinstance(distribution, CategoricalDistribution):
        values = reversed(distribution.choices)  # of several values of one label the first counts
        return {label: value for value in values if (label := choice.label_of(value)) is not None}
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    named: dict[str, Any] = {}
    for label in choice.labels:
        with suppress(ValueError):  # of a label that is no number
            if _is_of_range(distribution, float(label)):
                named[label] = _nearest(distribution, float(label))
    return named


def _is_of_range(distribution: IntDistribution | FloatDistribution, value: float) -> bool:
    return distribution.low <= value <= distribution.high and isclose(
        _nearest(distribution, value), value, rel_tol=1e-9
    )


def _nearest(distribution: IntDistribution | FloatDistribution, value: float) -> int | float:
    low, step = distribution.low, distribution.step
    if step is not None:
        value = low + round((value - low) / step) * step
    value = min(max(value, low), distribution.high)
    return round(value) if isinstance(distribution, IntDistribution) else float(value)


FRUITLESS_DRAWS = 200
"""A space, or a neighbourhood, counts as exhausted after so many draws in a row without anything new."""


Drawn = TypeVar("Drawn", bound=Hashable)


def draw_new(
    draw: Callable[[], Drawn], number: int, *, refusal: Callable[[Drawn], str | None], known: Collection[Drawn] = ()
) -> list[Drawn]:
    """Draw up to ``number`` different items that ``refusal`` gives no reason against and that are not ``known``."""
    found: dict[Drawn, None] = {}
    misses = 0
    while len(found) < number and misses < FRUITLESS_DRAWS:
        one = draw()
        misses += 1
        if one not in known and one not in found and refusal(one) is None:
            found[one] = None
            misses = 0
    return list(found)


def mutate(
    space: ChoiceSpace, architecture: Architecture, generator: torch.Generator, *, whole_groups: float = 0.0
) -> Architecture:
    """Give one active choice another label, or with probability ``whole_groups`` all choices of its group."""
    # If several labels stand for one architecture, one of them is drawn.
    labels = space.equivalent(architecture, partial(below, generator=generator))
    open_choices = [c for c in space.choices if c.name in labels and len(space.proposed_labels(c)) > 1]
    if not open_choices:
        return architecture
    choice = open_choices[below(len(open_choices), generator)]
    others = [label for label in space.proposed_labels(choice) if label != labels[choice.name]]
    label = others[below(len(others), generator)]
    changed = {choice.name: label}
    # Drawn in any case, so that the later draws do not depend on the group.
    if torch.rand((), generator=generator) < whole_groups and choice.group:
        changed |= {c.name: label for c in open_choices if c.group == choice.group and label in c.labels}
    return complete(space, {**labels, **changed})


def below(number: int, generator: torch.Generator) -> int:
    """Draw a whole number from 0 to ``number - 1``."""
    return int(torch.randint(number, (), generator=generator))


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
        self.choices = {prefix + choice.name: choice for choice in (space.choices if space else ())}
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
        for name in self.choices.keys() & asked.keys():
            values = values_by_label(asked[name], self.choices[name])
            if kept := [label for label in self.space.proposed_labels(self.choices[name]) if label in values]:
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
    return rounded(value) if isinstance(value, float) else value
