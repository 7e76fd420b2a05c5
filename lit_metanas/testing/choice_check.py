"""Whether a space's choices and architectures keep what searchers rely on."""

from __future__ import annotations

from random import Random

import torch

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import ChoiceSpace

MAX_SAMPLES = 1000
"""Architectures that are sampled to find some that can be built."""


def require(condition: bool, failure: str) -> None:
    """Raise ``failure`` as an ``AssertionError`` unless the condition holds."""
    if not condition:
        raise AssertionError(f"{failure[0].upper()}{failure[1:]}.")


def sample_architectures(space: ChoiceSpace, seed: int, number: int = 6) -> list[Architecture]:
    """Different architectures that can be built, as many as are found, at most ``number``."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[Architecture, None] = {}
    for _ in range(MAX_SAMPLES):
        architecture = space.sample(generator)
        if space.violation(architecture) is None:
            found[architecture] = None
        if len(found) == min(number, space.size):
            break
    require(bool(found), f"of {MAX_SAMPLES} architectures none can be built")
    return list(found)


def check_choices(space: ChoiceSpace, seed: int) -> None:
    """Check labels, ``canonical``, ``derive`` and suggestions."""
    names = [choice.name for choice in space.choices]
    require(bool(names), f"{space.name} has no choice: ask for one in its body, for instance by build.choice")
    require(len(set(names)) == len(names), f"two choices have one name among {', '.join(names)}")
    for place, choice in enumerate(space.choices):
        require(
            set(space.proposed_labels(choice)) <= set(choice.labels), f"'{choice.name}' proposes a label that it lacks"
        )
        for name, _ in choice.active_if:
            require(name in names[:place], f"'{choice.name}' depends on '{name}', which does not come before it")
    draws = Random(seed)  # noqa: S311 (the same each time)
    for _ in range(20):
        labels = {choice.name: draws.choice(space.proposed_labels(choice)) for choice in space.choices}
        _check_labels(space, labels, draws)
    for architecture in sample_architectures(space, seed):
        require(architecture == space.canonical(architecture), f"the sampled {architecture} is not canonical")
    again, other = sample_architectures(space, seed), sample_architectures(space, seed)
    require(again == other, "two generators of one seed sample different architectures")
    generator = torch.Generator().manual_seed(seed)
    logits = {choice.name: torch.randn(len(choice.labels), generator=generator) for choice in space.choices}
    derived = space.derive(logits)
    require(derived == space.canonical(derived), f"the derived {derived} is not canonical")


def _check_labels(space: ChoiceSpace, labels: dict[str, str], draws: Random) -> None:
    import optuna

    architecture = space.canonical(labels)
    require(architecture == space.canonical(architecture), f"canonical changes {architecture} a second time")
    require(set(architecture) <= set(labels), f"{architecture} has a choice that the space does not have")
    require(
        list(space.distributions()) == [f"arch.{name}" for name in labels],
        "the distributions for Optuna are not one for each choice, under the prefix 'arch.'",
    )
    trial = optuna.trial.FixedTrial({f"arch.{name}": label for name, label in labels.items()})
    require(space.suggest(trial) == architecture, f"a trial of {labels} suggests another architecture")
    if space.violation(architecture) is None:
        equal = space.equivalent({**labels, **architecture}, draws.randrange)
        require(space.canonical(equal) == architecture, f"equivalent labels of {architecture} are another architecture")
