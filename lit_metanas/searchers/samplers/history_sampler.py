"""Samplers that know only the history of a study, of which the simplest is regularised evolution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.io.settings import keeps_arguments
from lit_metanas.records.record import Cost
from lit_metanas.searchers.mutation import (
    FRUITLESS_DRAWS,
    Identities,
    any_value,
    can_have,
    other_value,
    values_by_label,
)
from lit_metanas.spaces.architecture import Architecture, check_positive
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace

UNFAILED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
CHANCES = 2  # parameters count as tried after so many failures: a single one may be the machine's fault


class History:
    """The other trials of a study of one objective, with labels for choices, and the parameter sets near to theirs."""

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        direction: StudyDirection,
        trial: FrozenTrial,
        distributions: Mapping[str, BaseDistribution],
        identities: Identities,
    ) -> None:
        self._identities = identities
        others = [identities.with_labels(one) for one in trials if one.number != trial.number]
        self.trials = [one for one in others if one.state in UNFAILED]
        self.completed = [one for one in self.trials if one.state == TrialState.COMPLETE]
        failures = Counter(identities(one.params).key for one in others if one.state == TrialState.FAIL)
        self._tried = {
            *(key for key, times in failures.items() if times >= CHANCES),
            *(identities(one.params).key for one in self.trials),
        }
        # Storages differ in the order of parameters, and draws should not.
        self.distributions = dict(sorted(distributions.items()))
        self._sign = {StudyDirection.MAXIMIZE: -1.0}.get(direction, 1.0)

    def rank(self, trial: FrozenTrial) -> tuple[float, float]:
        """The order of completed trials, best first: the sum of their constraints' violations, then the value."""
        assert trial.value is not None
        return sum(value for value in trial.constraints.values() if value > 0), self._sign * trial.value

    def scores(self, trials: Sequence[FrozenTrial]) -> Tensor:
        """The places of completed trials in their order, the higher the better, equal ones alike, shape ``(n,)``."""
        ranks = [self.rank(trial) for trial in trials]
        places = {rank: place for place, rank in enumerate(sorted(set(ranks), reverse=True))}
        return torch.tensor([places[rank] for rank in ranks], dtype=torch.float64)

    def is_new(self, parameters: Mapping[str, Any]) -> bool:
        """Whether parameters can be built, are among the study's, and were not tried."""
        for name in self._identities.choices:
            kind = self.distributions.get(name)
            if isinstance(kind, CategoricalDistribution) and parameters.get(name, kind.choices[0]) not in kind.choices:
                return False
        identity = self._identities(parameters)
        return identity.allowed and identity.key not in self._tried

    def draw(self, generator: np.random.Generator) -> dict[str, Any]:
        """Draw parameters, new ones if some are found."""
        for _ in range(FRUITLESS_DRAWS):
            parameters = {name: any_value(kind, generator) for name, kind in self.distributions.items()}
            if self.is_new(parameters):
                break
        return parameters

    def mutant(self, parameters: Mapping[str, Any], generator: np.random.Generator) -> dict[str, Any]:
        """Give one active parameter another value, in one of the sets that stand for the same architecture."""
        parameters = self._identities.equivalent(parameters, lambda number: int(generator.integers(number)))
        active = parameters.keys() - self._identities(parameters).inactive
        names = [name for name, kind in self.distributions.items() if name in active and not kind.single()]
        if not names:
            return parameters
        name = names[int(generator.integers(len(names)))]
        return {**parameters, name: other_value(self.distributions[name], parameters[name], generator)}


@keeps_arguments()
class HistorySampler(BaseSampler, ABC):
    """Proposes parameters from the stored trials, for any Optuna study of one objective."""

    # With a seed and one worker a study is the same each time, resumed or not. Workers share only the storage.
    # Parameters that are new, or that a proposal lacks, are drawn at random. With a space, isomorphic or impossible
    # architectures are never proposed.
    def __init__(self, *, seed: int | None = None, space: ChoiceSpace | None = None, prefix: str = PREFIX) -> None:
        self.space, self.prefix = space, prefix
        self._rng = np.random.default_rng(seed)
        self._first_state = self._rng.bit_generator.state
        self._identities = Identities(space, prefix)
        self._proposals: dict[tuple[str, int], Mapping[str, Any]] = {}  # to trials of this process

    def check(self, space: ChoiceSpace) -> None:
        """Refuse to search a space with other choices, or under another prefix, than the sampler's."""
        if self.prefix != PREFIX:
            raise ValueError(
                f"{type(self).__name__} has the prefix '{self.prefix}', which is for studies of your own: leave it out."
            )
        if self.space is not None and self.space.distributions() != space.distributions():
            raise ValueError(
                f"{type(self).__name__} was given a space ({self.space.name}) whose choices are not those of the space "
                f"that is searched ({space.name}): give it the same one."
            )

    @property
    def meta_cost(self) -> Cost:
        """Cost that was paid once, before any study."""
        return Cost()

    def labelled(self, architecture: Architecture, space: ChoiceSpace) -> dict[str, str]:
        """An architecture of a space as parameters; inactive choices have the first label."""
        return {
            self.prefix + choice.name: architecture.get(choice.name, space.proposed_labels(choice)[0])
            for choice in space.choices
        }

    @abstractmethod
    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """Parameters for ``trial``; it ignores those that it does not ask for."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters that any trial has had, because some may depend on others."""
        if len(study.directions) > 1:
            raise ValueError(
                f"{type(self).__name__} searches for one objective, and the study has {len(study.directions)}: "
                "use a sampler for several, such as NSGAIISampler."
            )
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        found = {name: kind for known in trials for name, kind in known.distributions.items()}
        if self.space is not None:
            found.update(self._identities.distributions(found))
        return found

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose the parameters in ``search_space``, without the space's choices."""
        # Choices and new parameters wait until the trial asks for them, which shows whether it takes labels or values.
        history = History(study.get_trials(deepcopy=False), study.direction, trial, search_space, self._identities)
        proposal = dict(self.propose(study, trial, history, self._draws(trial.number)))
        self._proposals[study.study_name, trial.number] = proposal
        later = {*self._identities.choices, *(proposal.keys() - search_space.keys())}
        return {name: value for name, value in proposal.items() if name not in later}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The proposed value, or else any value that the parameter can have."""
        generator = self._draws(trial.number, param_name)
        proposed = self._proposals.get((study.study_name, trial.number), {}).get(param_name)
        if (choice := self._identities.choices.get(param_name)) is not None:
            values = values_by_label(param_distribution, choice)
            if proposed in values:
                return values[proposed]
            if values:
                return list(values.values())[int(generator.integers(len(values)))]
        elif proposed is not None and can_have(param_distribution, proposed):
            return proposed
        return any_value(param_distribution, generator)

    def _draws(self, number: int, name: str = "") -> np.random.Generator:
        """The generator of one trial, or of one parameter in it: a function of the seed and the trial's number."""
        # A resumed study thus draws as an uninterrupted one, and parallel workers never draw the same: Optuna's
        # ``reseed_rng`` does nothing, and need not. Code that sets the state for each trial, as ``reseed`` does, gets
        # draws from that.
        state = self._rng.bit_generator.state
        if state != self._first_state:
            return self._rng
        return np.random.default_rng([state["state"]["state"], number, crc32(name.encode())])


class RegularisedEvolution(HistorySampler):
    """Mutates the best of a random sample of the youngest trials (Real et al. 2019, Algorithm 1).

    The population is the trials completed last, whoever proposed them. A parent is the best of ``sample`` members,
    drawn with replacement. A child has one changed parameter. Trials that violate constraints rank behind those that do
    not. Unlike in the paper, a child that was already tried is drawn again, and after many fruitless draws the whole
    parameter set.

    Args:
        population: number of members; as many trials at the start are drawn at random.
        sample: number of members from which the parent is the best.
        seed: of all draws, together with the trial's number; None takes one from the operating system.
        space: identifies architectures that are the same, cannot be built, or have inactive choices. The study's
            parameters are its choices, and any others.
        prefix: of the parameters that are the space's choices.

    Example:
        >>> evolution = lm.searchers.RegularisedEvolution(population=2, sample=1)
        >>> method = lm.searchers.QuerySearcher(sampler=evolution, trials=3)
    """

    def __init__(
        self,
        *,
        population: int = 20,
        sample: int = 5,
        seed: int | None = None,
        space: ChoiceSpace | None = None,
        prefix: str = PREFIX,
    ) -> None:
        check_positive("RegularisedEvolution", {"population": population, "sample": sample})
        super().__init__(seed=seed, space=space, prefix=prefix)
        self.population = population
        self.sample = sample

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """A child of the population, or at the start a random draw."""
        if len(history.completed) < self.population:
            return history.draw(generator)
        # By number, as the clocks of several machines differ.
        members = sorted(history.completed, key=lambda one: one.number)[-self.population :]
        ranks = [history.rank(member) for member in members]
        for _ in range(FRUITLESS_DRAWS):
            sample = generator.integers(len(members), size=self.sample).tolist()
            child = history.mutant(members[min(sample, key=ranks.__getitem__)].params, generator)
            if history.is_new(child):
                return child
        return history.draw(generator)
