"""Samplers whose whole state is what the study holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from lit_metanas.records.budget import Cost
from lit_metanas.searchers.history import History
from lit_metanas.searchers.memory import Memory
from lit_metanas.searchers.proposals import Proposals
from lit_metanas.searchers.trial_generator import TrialGenerator
from lit_metanas.searchers.values import any_value
from lit_metanas.spaces.choice_space import ChoiceSpace


class HistorySampler(BaseSampler, ABC):
    """Proposes parameters from the stored trials, for any Optuna study of one objective.

    With a seed and one worker a study is the same each time, stopped and resumed or not. Threads propose one after the
    other and know what was proposed to each other's trials; other workers share nothing but the storage. A parameter
    that no trial has had yet, or that the proposal leaves open, is drawn at random.

    Args:
        seed: of all draws, together with the trial's number; None takes one from the operating system.
        space: the space whose choices, with the prefix ``arch.``, are among the parameters. Then the first trials,
            too, are proposed as a whole; architectures that are isomorphic to a tried one or cannot be built are not
            proposed; and inactive choices are not searched.
    """

    def __init__(self, *, seed: int | None = None, space: ChoiceSpace | None = None) -> None:
        self._generator = TrialGenerator(seed)
        self._memory = Memory(space)
        self._proposals = Proposals()

    @property
    def space(self) -> ChoiceSpace | None:
        """The space that was given."""
        return self._memory.identities.space

    def check(self, space: ChoiceSpace) -> None:
        """Refuse to search another space than the one that was given, whose choices would be drawn in vain.

        Raises:
            ValueError: the two differ in a choice or a label.
        """
        if self.space is not None and self.space.distributions() != space.distributions():
            raise ValueError(
                f"{type(self).__name__} was given a space ({self.space.name}) whose choices are not those of the space "
                f"that is searched ({space.name}): give it the same one."
            )

    @property
    def meta_cost(self) -> Cost:
        """What was paid once, before any study, for what the sampler knows."""
        return Cost()

    @abstractmethod
    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """Parameters for ``trial``; names that it was not asked for are left out."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters that a trial has had: where some depend on others, these are inherited, too.

        Raises:
            ValueError: the study has several objectives.
        """
        if len(study.directions) > 1:
            raise ValueError(
                f"{type(self).__name__} searches for one objective, and the study has {len(study.directions)}: "
                "use a sampler for several, such as NSGAIISampler."
            )
        found = dict(self._memory.read(study.get_trials(deepcopy=False)).distributions)
        if self.space is not None:
            found.update(self.space.distributions())
        return found

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose the parameters in ``search_space``."""
        with self._proposals.lock:
            trials = self._proposals.shown(study.study_name, study.get_trials(deepcopy=False))
            history = History(trials, study.direction, trial, search_space, self._memory)
            wanted = self.propose(study, trial, history, self._generator.of(trial.number))
            proposal = {name: value for name, value in wanted.items() if name in search_space}
            self._proposals.keep(study.study_name, trial.number, proposal)
        return proposal

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter at random."""
        return any_value(param_distribution, self._generator.of(trial.number, param_name))

    def reseed_rng(self) -> None:
        """Do nothing: no two trials draw the same, in whatever worker."""
