"""Regularised evolution and local search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.searchers.mutation import FRUITLESS_DRAWS
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.searchers.samplers.memory import note_on_trial
from lit_metanas.spaces.architecture import check_positive
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace

AGE = "regularised_evolution:age"
"""System attribute of a trial: the number of finished trials when it finished. Clocks of several machines differ."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


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
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> evolution = lm.searchers.RegularisedEvolution(population=2, sample=1)
        >>> method = lm.searchers.QuerySearcher(sampler=evolution, trials=3)
        >>> result = lm.search(task, lm.LayeredSpace(widths=(4,)), method=method, recipe=lm.Recipe(epochs=1))
        >>> len(result.record.trials)
        3
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
        # The sort is stable: trials that finished at the same time keep the order of their numbers.
        members = sorted(history.completed, key=_age)[-self.population :]
        ranks = [history.rank(member) for member in members]
        for _ in range(FRUITLESS_DRAWS):
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
            note_on_trial(study, trial, AGE, finished)


def _age(trial: FrozenTrial) -> int:
    """Place in the order of completion; trials of other programs take their number."""
    age = trial.system_attrs.get(AGE)
    if type(age) is not int:
        return trial.number
    return age


MARK = "local_search"
"""System attribute of a trial: the number of its climb, whether it starts the climb, and the oldest open climb."""


class LocalSearch(HistorySampler):
    """Tries all neighbours of the best so far, moves, and starts again at a local optimum (White et al. 2021).

    A climb starts from the best of ``initial`` random trials. Neighbours differ in one parameter: in the label of a
    categorical one, or by one step of a number, which is a tenth of a range without steps. A parameter set is tried
    once, and its value counts in all climbs. Trials that violate constraints rank behind those that do not. Trials of
    other programs are further starts of the current climb. Several workers share a climb; while its last neighbours are
    evaluated, the others start the next one.

    Args:
        initial: number of random trials at the start of each climb; the paper has one, its authors' code ten.
        first_improvement: move to the first better neighbour, and not to the best of all.
        seed: of all draws, together with the trial's number; None takes one from the operating system.
        space: identifies architectures that are the same, cannot be built, or have inactive choices. The study's
            parameters are its choices, and any others.
        prefix: of the parameters that are the space's choices.

    Example:
        >>> import lit_metanas as lm
        >>> searcher = lm.searchers.QuerySearcher(sampler=lm.searchers.LocalSearch(initial=1), trials=20)
        >>> searcher.sampler.initial
        1
    """

    def __init__(
        self,
        *,
        initial: int = 10,
        first_improvement: bool = False,
        seed: int | None = None,
        space: ChoiceSpace | None = None,
        prefix: str = PREFIX,
    ) -> None:
        check_positive("LocalSearch", {"initial": initial})
        super().__init__(seed=seed, space=space, prefix=prefix)
        self.initial = initial
        self.first_improvement = first_improvement

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """A neighbour in the oldest open climb, or a random start."""
        starts, oldest = _climbs(history)
        start = True
        for climb in range(oldest, len(starts) + 1):
            if climb == len(starts) or len(starts[climb]) < self.initial:
                proposal = history.draw(generator)
                break
            fresh, ended = self._climb(history, starts[climb])
            if fresh:
                proposal = fresh[int(generator.integers(len(fresh)))]
                start = False
                break
            if ended and climb == oldest:
                oldest += 1
        mark = {"climb": climb, "start": start, "oldest": oldest}
        note_on_trial(study, trial, MARK, mark)
        return proposal

    def _climb(self, history: History, starts: list[FrozenTrial]) -> tuple[list[dict[str, Any]], bool]:
        """Climb over the known values; give the untried neighbours at the end, and whether the climb is over."""
        running = [start for start in starts if start.state == TrialState.RUNNING]
        if len(running) == len(starts):
            return [], False
        place = min((start for start in starts if start.state == TrialState.COMPLETE), key=history.rank)
        while True:
            neighbours = history.neighbours(place)
            known = [trial for neighbour in neighbours for trial in neighbour.trials]
            fresh = [neighbour.parameters for neighbour in neighbours if not neighbour.trials]
            completed = [trial for trial in known if trial.state == TrialState.COMPLETE]
            better = [trial for trial in completed if history.rank(trial) < history.rank(place)]
            if self.first_improvement and better:
                place = min(better, key=lambda trial: trial.number)
            elif fresh or not better:
                running += [trial for trial in known if trial.state == TrialState.RUNNING]
                return fresh, not running
            else:
                place = min(better, key=lambda trial: (history.rank(trial), trial.number))


def _climbs(history: History) -> tuple[list[list[FrozenTrial]], int]:
    """The starts of each climb that have a value or are running, and the oldest climb that is not over."""
    starts: list[list[FrozenTrial]] = [[]]
    oldest = 0
    for trial in history.trials:
        mark = _mark(trial, len(history.trials)) or {"climb": len(starts) - 1, "start": True, "oldest": oldest}
        if not mark["start"]:
            continue
        oldest = max(oldest, mark["oldest"])
        while len(starts) <= mark["climb"]:
            starts.append([])
        if trial.state != TrialState.PRUNED:
            starts[mark["climb"]].append(trial)
    return starts, min(oldest, len(starts))


def _mark(trial: FrozenTrial, most: int) -> Mapping[str, int] | None:
    """A trial's note on its climb; None if it is absent or not possible."""
    mark = trial.system_attrs.get(MARK)
    if not isinstance(mark, Mapping) or not {"climb", "start", "oldest"} <= mark.keys():
        return None
    numbers = (mark["climb"], mark["oldest"])
    if not all(type(number) is int and 0 <= number <= most for number in numbers):
        return None
    return mark
