"""A portfolio of networks that covers earlier tasks, tried first on a new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import Any, Self

import numpy as np
import torch
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.estimators.estimator import Query
from lit_metanas.records.record import Cost, SearchRecord, best_trials, by_task, cost_of, grouped
from lit_metanas.records.record_lines import records_of_space
from lit_metanas.searchers.mutation import can_have
from lit_metanas.searchers.query.ledger import RECIPE_PREFIX
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace

CHANCE = 0.5  # a source with at least this share of discordant pairs has no weight
ASSUMED = 2.0
"""Number of pairs that count as seen at the start, ``ASSUMED_WRONG`` of them discordant, to damp the first trials."""
ASSUMED_WRONG = 0.4


class SourceScores:
    """Scores of networks on earlier tasks, from 0 (a task's lowest) to 1 (its highest; Feurer et al. 2022)."""

    # A network's score on a task is that of the highest fidelity, then of the longest recorded training, then the
    # first. Tasks on which all scores are equal are left out.
    def __init__(self, records: Sequence[SearchRecord], space: ChoiceSpace) -> None:
        tasks: dict[str, dict[Query, float]] = {}
        for name, own in by_task(records).items():
            best = best_trials(own, lambda trial: Query.of(space.canonical(trial.architecture), trial.recipe))
            values = [trial.value for trial in best.values()]
            low, high = min(values, default=0.0), max(values, default=0.0)
            if low < high:
                tasks[name] = {member: (trial.value - low) / (high - low) for member, trial in best.items()}
        self.members = tuple(dict.fromkeys(member for heights in tasks.values() for member in heights))
        # The members of each architecture.
        self.places: dict[Architecture | None, list[int]] = grouped(
            (member.architecture, place) for place, member in enumerate(self.members)
        )
        scores = [heights.get(member, nan) for heights in tasks.values() for member in self.members]
        self.scores = torch.tensor(scores, dtype=torch.float64).view(len(tasks), len(self.members))  # NaN if not tried
        self.cost = cost_of(records)
        # Of the tasks before the first trial, shape (tasks,).
        self.weights = torch.ones(len(self.scores), dtype=torch.float64) / len(self.scores)

    def cover(self, number: int, least: float = 0.0) -> list[Query]:
        """The first ``number`` members on a new task; each adds ``least`` or more to the mean of the best so far."""
        known, tried, covered = self.scores.nan_to_num(nan=0.0), list[int](), 0.0
        for _ in range(min(number, len(self.members))):
            order = order_members(self.scores, self.weights, torch.tensor(tried, dtype=torch.int64))
            place = next(place for place in order if place not in tried)
            before, covered = covered, float(known[:, [*tried, place]].amax(1).mean())
            if tried and covered - before < least:
                break
            tried.append(place)
        return [self.members[place] for place in tried]

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # it never changes, and a sampler is copied for each trial


def agreement(scores: Tensor, tried: Tensor, values: Tensor) -> Tensor:
    """The weight of each source ``(tasks,)``, from 0 to 1, by its order of ``tried`` members and their ``values``."""
    # max(0, 1 - (d / CHANCE)²) (Wistuba, Schilling and Schmidt-Thieme 2016, Section 5), with d the share of discordant
    # pairs. Pairs that a source has not tried, or that are equal, do not count.
    known = scores[:, tried]
    theirs = known[:, :, None] - known[:, None, :]  # (tasks, n, n)
    better = values[:, None] > values[None, :]
    counted = better & theirs.isfinite() & (theirs != 0)
    wrong = (counted & (theirs < 0)).sum((1, 2)).double()
    share = (wrong + ASSUMED_WRONG) / (counted.sum((1, 2)) + ASSUMED)
    return (1 - (share / CHANCE) ** 2).clamp(min=0)


def order_members(scores: Tensor, weights: Tensor, tried: Tensor) -> list[int]:
    """Places of all members, first those that add most to the weighted mean over sources of the best so far."""
    known = scores.nan_to_num(nan=0.0)  # an unknown member counts as a source's worst
    best = torch.cat([known.new_zeros(len(known), 1), known[:, tried]], dim=1).amax(1, keepdim=True)
    gains = weights @ (known - best).clamp(min=0)
    means = weights @ known
    return sorted(range(len(gains)), key=lambda place: (-float(gains[place]), -float(means[place]), place))


class PortfolioSampler(HistorySampler):
    """Tries first the networks that cover the tasks of earlier searches, then the proposals of another sampler.

    The first network has the best mean score over the earlier tasks. Each next one adds most to the mean, over these
    tasks, of the best so far (Wistuba, Schilling and Schmidt-Thieme 2015; Feurer et al. 2022, Section 4), so that the
    portfolio is within ``1 - 1/e`` of the best of its size. A score counts as its height between the lowest and highest
    of its task. A network that a task has not tried counts as its worst there.

    Two departures from the papers. The best so far is that of all networks that the study has tried, whoever proposed
    them. And an earlier task counts less if it disagrees with the study about the order of the tried networks.
    Misleading tasks thus drop out. The portfolio ends when all have, or after ``size`` networks.

    A network comes with its recorded training hyper-parameters, if the study searches these.

    Args:
        space: its choices are parameters of the study.
        paths: files of records, such as the ``records.jsonl`` of several searches.
        records: further records in memory, such as ``record_of`` an Optuna study.
        size: most networks of the portfolio, counted over all trials of the study.
        then: proposes after the portfolio; None draws at random.
        prefix: of the parameters that are the space's choices.
        seed: of all draws, together with the trial's number; None takes one from the operating system.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file has no usable record of this space, or a record is of another; or the size is negative.

    Example:
        >>> space, generator = lm.SequenceSpace(shared=True), torch.Generator().manual_seed(0)
        >>> trials = [lm.records.Trial(space.sample(generator), value, lm.Cost(queries=1)) for value in (0.5, 0.7)]
        >>> record = lm.records.SearchRecord("letters", trials)
        >>> sampler = lm.searchers.PortfolioSampler(space=space, records=[record], size=3)
        >>> sampler.sources.cover(1)[0].architecture == trials[1].architecture
        True
    """

    def __init__(
        self,
        *,
        space: ChoiceSpace,
        paths: list[str] | None = None,
        records: Sequence[SearchRecord] = (),
        size: int = 10,
        then: HistorySampler | None = None,
        prefix: str = PREFIX,
        seed: int | None = None,
    ) -> None:
        if size < 0:
            raise ValueError(f"PortfolioSampler: size is {size}; give at least 0.")
        super().__init__(seed=seed, space=space, prefix=prefix)
        if then is not None and then.prefix != prefix:
            raise ValueError(
                f"PortfolioSampler has the prefix '{prefix}', and {type(then).__name__}, which follows it, has "
                f"'{then.prefix}': give both the same."
            )
        self.sources = SourceScores(records_of_space(paths or (), records, space), space)
        self.size, self.then = size, then

    @property
    def meta_cost(self) -> Cost:
        """Cost of the portfolio's searches and of the other sampler's; searches that both use count twice."""
        return self.sources.cost + self.then.meta_cost if self.then else self.sources.cost

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """The next new network of the portfolio, or the other sampler's proposal."""
        if len(history.trials) < self.size:
            for parameters in self._wanted(study, history):
                if history.is_new(parameters):
                    return parameters
        if self.then is None:
            return history.draw(generator)
        return self.then.propose(study, trial, history, generator)

    def check(self, space: ChoiceSpace) -> None:
        """Refuse to search another space than this sampler's and the other's."""
        super().check(space)
        if self.then is not None:
            self.then.check(space)

    def _wanted(self, study: Study, history: History) -> Iterable[dict[str, Any]]:
        """Parameters of all members, the next of the portfolio first; none if no source has any weight."""
        places = [(trial, place) for trial in history.trials for place in self._places(trial)]
        tried = torch.tensor([place for _, place in places], dtype=torch.int64)
        completed = [(trial, place) for trial, place in places if trial.state == TrialState.COMPLETE]
        values = history.scores([trial for trial, _ in completed])
        known = torch.tensor([place for _, place in completed], dtype=torch.int64)
        weights = self.sources.weights * agreement(self.sources.scores, known, values)
        if float(weights.sum()) <= 0:
            return []
        asked = history.distributions if history.completed else None
        members = order_members(self.sources.scores, weights, tried)
        return filter(None, (self._parameters(self.sources.members[place], asked) for place in members))

    def _places(self, trial: FrozenTrial) -> list[int]:
        """The members that a trial tried: those with its architecture and its numbers of a recipe."""
        known, members = trial.params, self.sources.members
        return [
            place
            for place in self.sources.places.get(self._identities(known).architecture, [])
            if all(known.get(RECIPE_PREFIX + name, value) == value for name, value in members[place].recipe)
        ]

    def _parameters(self, member: Query, known: Mapping[str, BaseDistribution] | None) -> dict[str, Any]:
        """A member as parameters that the study asks for (``known``), or none if it cannot have the recipe."""
        assert self.space is not None
        found: dict[str, Any] = dict(self.labelled(member.architecture, self.space))
        recipe = {RECIPE_PREFIX + name: value for name, value in member.recipe}
        if known is None:
            return found | recipe
        asked = {name: value for name, value in recipe.items() if name in known}
        if not all(can_have(known[name], value) for name, value in asked.items()):
            return {}
        return found | asked
