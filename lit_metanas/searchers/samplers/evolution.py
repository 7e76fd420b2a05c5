"""Regularised evolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial

from lit_metanas.searchers.mutation import FRUITLESS_DRAWS
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.spaces.architecture import check_positive
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace


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
            sample: list[int] = generator.integers(len(members), size=self.sample).tolist()
            parent = members[min(sample, key=ranks.__getitem__)]
            child = history.mutant(parent.params, generator)
            if history.is_new(child):
                return child
        return history.draw(generator)
