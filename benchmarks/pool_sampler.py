"""Samplers of a whole space, held to the members of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from pool_space import PoolSpace

from lit_metanas.searchers.samplers.history_sampler import TrialGenerator
from lit_metanas.spaces import Architecture

PREFIX = "arch."


class PoolSampler(BaseSampler):
    """Proposes the untried member of a pool that is nearest to what another sampler proposes.

    The distance is the share of different labels among the choices that are active in either; of equally near members
    one is drawn. The study holds the members' labels, so that the other sampler learns from what was scored.

    Args:
        space: the members.
        sampler: of the whole space; None draws members uniformly.
    """

    def __init__(self, space: PoolSpace, sampler: BaseSampler | None = None) -> None:
        self.space = space
        self.sampler = sampler
        self._generator = TrialGenerator(0)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All choices."""
        del study, trial
        return self.space.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A member; its inactive choices are as the other sampler proposes."""
        known = (TrialState.COMPLETE, TrialState.RUNNING)
        tried = {self._named(t.params) for t in study.get_trials(deepcopy=False, states=known) if t.params}
        open_members = [member for member in self.space.pool if member not in tried] or list(self.space.pool)
        generator = self._generator.of(trial.number)
        proposed = {} if self.sampler is None else self._proposed(self.sampler, study, trial, search_space)
        if proposed:
            wanted = self._named(proposed)
            distances = [distance(wanted, member) for member in open_members]
            open_members = [m for m, d in zip(open_members, distances, strict=True) if d == min(distances)]
        member = open_members[int(generator.integers(len(open_members)))]
        first = {PREFIX + choice.name: choice.labels[0] for choice in self.space.choices}
        return {**first, **proposed, **{PREFIX + name: label for name, label in member.items()}}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Refuse: members have all of a space's choices.

        Raises:
            ValueError: a parameter is asked for that is none of these.
        """
        raise ValueError(f"The members of the pool have no parameter '{param_name}': search the space's choices only.")

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the other sampler know."""
        if self.sampler is not None:
            self.sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Let the other sampler know."""
        if self.sampler is not None:
            self.sampler.after_trial(study, trial, state, values)

    def _proposed(
        self, sampler: BaseSampler, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """What the other sampler proposes for all choices, together or one by one."""
        together = sampler.infer_relative_search_space(study, trial)
        found = sampler.sample_relative(study, trial, together)
        for name, kind in search_space.items():
            if name not in found:
                found[name] = sampler.sample_independent(study, trial, name, kind)
        return {name: found[name] for name in search_space}

    def _named(self, parameters: dict[str, Any]) -> Architecture:
        return self.space.canonical({name.removeprefix(PREFIX): label for name, label in parameters.items()})


def distance(one: Architecture, other: Architecture) -> float:
    """The share of choices, of those active in either, whose labels differ."""
    mine, theirs = dict(one), dict(other)
    same = len(mine.items() & theirs.items())
    names = len(mine.keys() | theirs.keys())
    return (names - same) / names
