"""A set of choices: a search space without networks."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from math import prod
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from lit_metanas.io.settings import keeps_arguments, settings_of
from lit_metanas.spaces.architecture import Architecture, Choice, check_labels, labels_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

PREFIX = "arch."  # the beginning of the names of a study's parameters that are a space's choices


def _name_and_choices(space: ChoiceSpace) -> dict[str, Any]:
    settings = {"name": space.name, "choices": {choice.name: list(choice.labels) for choice in space.choices}}
    # Of limits only functions are settings, as the state of an object may change with time.
    limits = [settings_of(refusal) for refusal in space.refusals if isinstance(refusal, FunctionType | partial)]
    if limits:
        settings["limits"] = limits
    return settings


@keeps_arguments(_name_and_choices)
class ChoiceSpace(ABC):
    """A set of choices, without the networks that they stand for.

    Any class of choices is such a space, and enough to search a table or an Optuna study of one's own.

    Attributes:
        choices: the open questions, in a fixed order.
        refusals: functions that refuse architectures, of a limited space.
        layer_questions: the groups of a layer's choices, in the order in which data pass them; empty if unknown. A
            layer adds its ``skip`` where that stands.
        first_skip: the first layer that may have a skip; layers count from 1.

    Example:
        >>> space: lm.spaces.ChoiceSpace = lm.spaces.NASBench201()
        >>> space.size
        15625
        >>> space.sample(torch.Generator().manual_seed(0)).keys() == {choice.name for choice in space.choices}
        True
        >>> class Blocks(lm.spaces.ChoiceSpace):
        ...     choices = (lm.spaces.Choice("depth", (1, 2, 3)), lm.spaces.Choice("bias", (False, True)))
        >>> Blocks().canonical({"depth": 2, "bias": True})
        Architecture({'bias': 'True', 'depth': '2'})
    """

    choices: tuple[Choice, ...]
    refusals: tuple[Callable[[Architecture], str | None], ...] = ()
    layer_questions: ClassVar[tuple[str, ...]] = ()
    first_skip: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """The space's name in results."""
        return type(self).__name__

    @property
    def size(self) -> int:
        """Number of combinations of labels, inactive choices counted too."""
        return prod(len(choice.labels) for choice in self.choices)

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """Drop inactive choices. Two equal networks have one canonical architecture.

        Raises:
            ValueError: a choice is missing or unknown, or a label is not among its candidates.
        """
        labels = {name: str(label) for name, label in labels.items()}
        check_labels({name: (label,) for name, label in labels.items()}, labels_of(self.choices), self.name)
        kept: dict[str, str] = {}
        for choice in self.choices:
            if not choice.active(kept):
                continue
            if choice.name not in labels:
                raise ValueError(f"Choice '{choice.name}' is missing: use one of {', '.join(choice.labels)}.")
            kept[choice.name] = labels[choice.name]
        return Architecture(kept)

    def by_choice(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Spell out labels that are given for a whole group: a group's label goes to its choices not named themselves.

        Names that are neither a choice nor a group are left for ``canonical`` or ``restricted`` to refuse. What is a
        choice and a group is the choice.
        """
        spelled, names = dict(labels), {choice.name for choice in self.choices}
        for choice in self.choices:
            if choice.group in labels and choice.group not in names:
                spelled.setdefault(choice.name, labels[choice.group])
                spelled.pop(choice.group, None)
        return spelled

    def violation(self, architecture: Architecture) -> str | None:
        """Why ``architecture`` cannot be built, or None."""
        return None

    def recorded(self, space: str, architecture: Architecture) -> Architecture | None:
        """What a record of a space by its name stands for here; None if this space has no such network.

        Args:
            space: the name; empty if the record has none.
            architecture: in that space.
        """
        if space not in ("", self.name):
            return None
        try:
            known = self.canonical(architecture) == architecture
        except ValueError:  # another space's choice or label, or a choice without one
            return None
        if known and self.violation(architecture) is None:
            return architecture
        return None

    def equivalent(self, labels: Mapping[str, str], below: Callable[[int], int]) -> dict[str, str]:
        """Labels of the same canonical architecture, drawn at random where a space has several; these ones elsewhere.

        A change of one label leads from each of them to other architectures, so that searches that change what they
        know begin here.

        Args:
            labels: of all choices that matter.
            below: draws a number of 0, 1, … that is less than the given one.
        """
        return dict(labels)

    def derive(self, logits: Mapping[str, Tensor]) -> Architecture:
        """The architecture of the largest logits (``(labels,)`` for each choice)."""
        return self.canonical({c.name: c.labels[int(logits[c.name].argmax())] for c in self.choices})

    def proposed_labels(self, choice: Choice) -> tuple[str, ...]:
        """The labels that are drawn and proposed to Optuna: all, but for those that only a supernet needs."""
        return choice.labels

    def sample(self, generator: torch.Generator) -> Architecture:
        """Draw every choice uniformly."""
        proposed = {choice.name: self.proposed_labels(choice) for choice in self.choices}
        return self.canonical(
            {
                name: labels[int(torch.randint(len(labels), (), generator=generator))]
                for name, labels in proposed.items()
            }
        )

    def architectures(self) -> Iterator[Architecture]:
        """All that can be built, each once, in a fixed order; only for small spaces."""
        names = [choice.name for choice in self.choices]
        combinations = product(*map(self.proposed_labels, self.choices))
        yield from self._buildable(self.canonical(dict(zip(names, labels, strict=True))) for labels in combinations)

    def _buildable(self, architectures: Iterable[Architecture]) -> Iterator[Architecture]:
        seen: set[Architecture] = set()
        for architecture in architectures:
            if architecture not in seen and self.violation(architecture) is None:
                seen.add(architecture)
                yield architecture

    def distributions(self, prefix: str = PREFIX) -> dict[str, BaseDistribution]:
        """Optuna's distributions of all choices, whose parameters are named with a prefix."""
        from optuna.distributions import CategoricalDistribution

        return {prefix + choice.name: CategoricalDistribution(self.proposed_labels(choice)) for choice in self.choices}

    def suggest(self, trial: BaseTrial, prefix: str = PREFIX) -> Architecture:
        """Ask a trial for every choice, active or not, and return the canonical architecture."""
        return self.canonical(
            {c.name: trial.suggest_categorical(prefix + c.name, self.proposed_labels(c)) for c in self.choices}
        )

    def from_parameters(self, parameters: Mapping[str, object], prefix: str = PREFIX) -> Architecture:
        """The canonical architecture that a trial's parameters stand for.

        A number or a boolean stands for the label that is its text. Other parameters do not matter, and a choice that
        is inactive, given the others, may be missing.

        Raises:
            ValueError: an active choice is missing, or a value is none of its labels.
        """
        labels: dict[str, str] = {}
        for choice in self.choices:
            name, matters = prefix + choice.name, choice.active(labels)
            if name in parameters:
                value = parameters[name]
                if (label := choice.label_of(value)) is None:
                    raise ValueError(
                        f"'{name}' is {value!r}, which is not a label of the choice: use {', '.join(choice.labels)}."
                    )
                if matters:
                    labels[choice.name] = label
            elif matters:
                has = ", ".join(f"'{given}'" for given in list(parameters)[:5]) or "none"
                raise ValueError(f"There is no parameter '{name}' for the choice '{choice.name}', but {has}.")
        return self.canonical(labels)


FRUITLESS = 1000
"""Draws without an architecture that can be built, after which a space or a policy counts as having none."""


def first_buildable(space: ChoiceSpace, draw: Callable[[], Architecture]) -> Architecture:
    """The first architecture that can be built among those that are drawn."""
    for _ in range(FRUITLESS):
        architecture = draw()
        if space.violation(architecture) is None:
            return architecture
    raise ValueError(f"None of {FRUITLESS} architectures drawn from {space.name} can be built: widen the space.")


def complete(space: ChoiceSpace, labels: Mapping[str, str]) -> Architecture:
    """Complete labels, given by choice or by group, with that of the same choice one layer below, or the first."""
    full = space.by_choice(labels)
    last: dict[str, str] = {}
    for choice in space.choices:
        default = choice.labels[0]
        if choice.group and last.get(choice.group) in choice.labels:
            default = last[choice.group]
        full.setdefault(choice.name, default)
        last[choice.group] = full[choice.name]
    return space.canonical(full)


def named_networks(space: ChoiceSpace, named: Iterable[Mapping[str, str]]) -> list[Architecture]:
    """Those of some networks that the space can build, named by labels of choices or groups; see ``complete``."""
    known = {(choice.name, label) for choice in space.choices for label in choice.labels}
    networks = [complete(space, labels) for labels in map(space.by_choice, named) if labels.items() <= known]
    return list(dict.fromkeys(one for one in networks if space.violation(one) is None))
