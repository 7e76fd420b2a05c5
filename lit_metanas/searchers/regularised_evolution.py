"""Evolution in which the oldest die."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.searchers.history import History
from lit_metanas.searchers.history_sampler import HistorySampler
from lit_metanas.searchers.mutation import ATTEMPTS
from lit_metanas.spaces.choice_space import ChoiceSpace

AGE = "regularised_evolution:age"
"""System attribute of a trial: how many were finished when it was. Clocks of several machines differ."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class RegularisedEvolution(HistorySampler):
    """Mutates the best of a random sample of the youngest trials (Real et al. 2019, Algorithm 1).

    The population are the trials completed last, whoever proposed them. A parent is the best of ``sample`` members,
    drawn with replacement; a child has one parameter changed. Trials that violate constraints rank behind those that
    do not. Unlike in the paper a child that was tried already is not evaluated again: sample and mutation are drawn
    anew, and after many vain draws the whole parameter set.

    Args:
        population: number of members; as many trials at the start are drawn at random.
        sample: number of members among which the parent is the best.
        seed: of all draws, together with the trial's number; None takes one from the operating system.
        space: tells which architectures are the same, cannot be built, or have inactive choices; the study's
            parameters are its choices with the prefix ``arch.``, and any others.
    """

    def __init__(
        self, *, population: int = 20, sample: int = 5, seed: int | None = None, space: ChoiceSpace | None = None
    ) -> None:
        if population < 1 or sample < 1:
            raise ValueError(
                f"RegularisedEvolution needs a population and a sample of at least one: got {population} and {sample}."
            )
        super().__init__(seed=seed, space=space)
        self.population = population
        self.sample = sample

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """A child of the population, or at the start anything."""
        if len(history.completed) < self.population:
            return history.draw(generator)
        # Sorting keeps the order of the numbers where workers finished at one time.
        members = sorted(history.completed, key=_age)[-self.population :]
        ranks = [history.rank(member) for member in members]
        for _ in range(ATTEMPTS):
            sample: list[int] = generator.integers(len(members), size=self.sample).tolist()
            parent = members[min(sample, key=ranks.__getitem__)]
            child = history.mutant(parent.params, generator)
            if history.is_new(child):
                return child
        return history.draw(generator)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Note the place of a completed trial in the order of completion."""
        if state == TrialState.COMPLETE:
            finished = len(study.get_trials(deepcopy=False, states=FINISHED))
            study._storage.set_trial_system_attr(trial._trial_id, AGE, finished)


def _age(trial: FrozenTrial) -> int:
    """Place in the order of completion; that of trials from elsewhere is taken to be their number."""
    return trial.system_attrs.get(AGE, trial.number)
