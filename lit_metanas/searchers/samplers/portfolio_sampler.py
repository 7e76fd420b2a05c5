"""A portfolio of networks that covers earlier tasks, tried first on a new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan
from typing import Any, Self

import numpy as np
import torch
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.records.budget import Cost
from lit_metanas.records.record import SearchRecord, Trial, cost_of
from lit_metanas.records.record_lines import check_record, read_record_lines
from lit_metanas.searchers.mutation import can_have
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.searchers.query.objectives import RECIPE_PREFIX
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.searchers.samplers.memory import embedding_of
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace
from lit_metanas.surrogates.transfer import closeness

CHANCE = 0.5
"""Share of discordant pairs from which on a source counts nothing."""
ASSUMED = 2.0
"""Pairs that count as seen before any is, ``ASSUMED_WRONG`` of them discordant: the first trials decide little."""
ASSUMED_WRONG = 0.4


class SourceScores:
    """What networks scored on earlier tasks.

    A score is the height between the task's lowest and highest (Feurer et al. 2022): 0 to 1. What failed or was given
    up has none, and of several scores of a network on one task that of the largest fidelity counts, of equals that
    of the longest training where that was kept, and of these the first. Tasks on which all scored the same tell nothing
    and are left out.

    Args:
        records: of searches, those of one task in any number.
        space: theirs.

    Attributes:
        members: each network with its recipe once.
        scores: shape ``(tasks, members)``, float64; NaN where a task has not tried a network.
        places: of the members of each architecture.
        embeddings: of the tasks, shape ``(tasks, e)``; None where one has none, or of another length.
        cost: of all searches.

    Raises:
        ValueError: a record is of another space.
    """

    def __init__(self, records: Sequence[SearchRecord], space: ChoiceSpace) -> None:
        by_task: dict[str, dict[Query, Trial]] = {}
        embeddings: dict[str, tuple[float, ...]] = {}
        for place, record in enumerate(records, start=1):
            try:
                check_record(record, space)
            except ValueError as error:
                raise ValueError(
                    f"Record {place} {error}: leave it out, or give the space that was searched."
                ) from None
            own = by_task.setdefault(record.task_id, {})
            for trial in record.trials:
                if trial.scored and isfinite(trial.value) and not trial.duplicate:
                    member = Query.of(space.canonical(trial.architecture), trial.recipe)
                    if member not in own or trial.outweighs(own[member]):
                        own[member] = trial
            if record.embedding:
                embeddings[record.task_id] = record.embedding
        values = {name: {m: t.value for m, t in own.items()} for name, own in by_task.items()}
        told = {name: own for name, own in sorted(values.items()) if own and min(own.values()) < max(own.values())}
        self.members = tuple(dict.fromkeys(member for own in told.values() for member in own))
        self.places: dict[Architecture, list[int]] = {}
        for place, member in enumerate(self.members):
            self.places.setdefault(member.architecture, []).append(place)
        self.scores = torch.full((len(told), len(self.members)), nan, dtype=torch.float64)
        places = {member: place for place, member in enumerate(self.members)}
        for row, scores in enumerate(told.values()):
            low, high = min(scores.values()), max(scores.values())
            for member, value in scores.items():
                self.scores[row, places[member]] = (value - low) / (high - low)
        found = [embeddings.get(name, ()) for name in told]
        same = bool(found) and all(found) and len({len(each) for each in found}) == 1
        self.embeddings = torch.tensor(found, dtype=torch.float64) if same else None
        self.cost = cost_of(records)

    def cover(self, number: int, least: float = 0.0) -> list[Query]:
        """The first members of the portfolio on a task of which nothing is known.

        Args:
            number: at most so many.
            least: what each but the first must add to the mean of the best so far over the tasks, of heights 0 to 1.
        """
        weights = torch.full((len(self.scores),), 1 / max(len(self.scores), 1), dtype=torch.float64)
        known, tried, covered = self.scores.nan_to_num(nan=0.0), list[int](), 0.0
        for _ in range(min(number, len(self.members))):
            order = order_members(self.scores, weights, torch.tensor(tried, dtype=torch.int64))
            place = next(place for place in order if place not in tried)
            before, covered = covered, float(known[:, [*tried, place]].amax(1).mean())
            if tried and covered - before < least:
                break
            tried.append(place)
        return [self.members[place] for place in tried]

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # nothing changes it, and a sampler is copied for each trial


def agreement(scores: Tensor, tried: Tensor, values: Tensor) -> Tensor:
    """How far each source orders what a new task has tried as the new task does: its weight, from 0 to 1.

    ``max(0, 1 - (d / CHANCE)²)`` (Wistuba, Schilling and Schmidt-Thieme 2016, Section 5), where ``d`` is the share of
    discordant pairs; pairs that a source has not tried, or that are equal, do not count.

    Args:
        scores: of the sources, shape ``(tasks, members)``; NaN where unknown.
        tried: places of members, shape ``(n,)``.
        values: their scores on the new task, the higher the better, shape ``(n,)``.

    Returns:
        Shape ``(tasks,)``.
    """
    known = scores[:, tried]
    theirs = known[:, :, None] - known[:, None, :]  # (tasks, n, n)
    better = values[:, None] > values[None, :]
    told = better & theirs.isfinite() & (theirs != 0)
    wrong = (told & (theirs < 0)).sum((1, 2)).double()
    share = (wrong + ASSUMED_WRONG) / (told.sum((1, 2)) + ASSUMED)
    return (1 - (share / CHANCE) ** 2).clamp(min=0)


def order_members(scores: Tensor, weights: Tensor, tried: Tensor) -> list[int]:
    """Members in the order in which they would be tried next: each adds to the weighted mean of the best so far.

    A member that a source has not tried adds nothing there. Of equal ones, as where each source has its best, those
    come first whose own weighted mean is highest.

    Args:
        scores: of the sources, shape ``(tasks, members)``, 0 to 1; NaN where unknown.
        weights: of the sources, shape ``(tasks,)``.
        tried: places of the members that were tried, shape ``(n,)``.

    Returns:
        Places of all members, those that were tried among them.
    """
    known = scores.nan_to_num(nan=0.0)
    best = known[:, tried].amax(1) if len(tried) else known.new_zeros(len(known))
    gains = weights @ (known - best[:, None]).clamp(min=0)
    means = weights @ known
    return sorted(range(len(gains)), key=lambda place: (-float(gains[place]), -float(means[place]), place))


class PortfolioSampler(HistorySampler):
    """Tries networks first that cover the tasks of earlier searches, then what another sampler proposes.

    The first is the one of the best mean score over the earlier tasks, and each next one adds most to the mean, over
    these, of the best so far (Wistuba, Schilling and Schmidt-Thieme 2015; Feurer et al. 2022, Section 4): as what is
    added is submodular, the portfolio is within ``1 - 1/e`` of the best of its size. Scores count as their height
    between the lowest and highest of their task. A network that a task has not tried counts as its worst there, so
    searches that share few networks can be learned from, too: the portfolio is then the best of each.

    Two departures from the papers: what is best so far is asked of the networks that the study has tried, whoever
    proposed them; and each earlier task counts the less the more it disagrees with the study about the order of what
    was tried, and the less the farther its embedding is, where study and records have embeddings. Tasks that mislead
    so drop out. Once all have, or ``size`` networks were tried, the portfolio is at its end.

    Networks come with the training hyper-parameters that searches chose with them, where the study has such, too.

    Args:
        space: its choices are parameters of the study.
        paths: files of records, such as the ``records.jsonl`` of several searches.
        records: others in memory, such as ``record_of`` an Optuna study.
        size: most networks of the portfolio, counted over all trials of the study.
        then: proposes after it; None draws at random.
        weigh: whether tasks count the less the more they disagree with the study.
        prefix: of the parameters that are the space's choices.
        seed: of all draws, together with the trial's number; None takes one from the operating system.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file has no usable record of this space, or a record is of another; or the size is negative.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.SequenceSpace(shared=True)
        >>> generator = torch.Generator().manual_seed(0)
        >>> trials = [lm.Trial(space.sample(generator), value, lm.Cost(queries=1)) for value in (0.5, 0.7)]
        >>> sampler = lm.PortfolioSampler(space=space, records=[lm.SearchRecord("letters", trials)], size=3)
        >>> searcher = lm.QuerySearcher(sampler=sampler, trials=10)
        >>> sampler.portfolio(1) == [trials[1].architecture]
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
        weigh: bool = True,
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
        read = [record for path in paths or () for record in read_record_lines(path, space)]
        self.sources = SourceScores([*read, *records], space)
        self.size, self.then, self.weigh = size, then, weigh

    @property
    def meta_cost(self) -> Cost:
        """That of the searches from which the portfolio is made, and of what the other sampler knows.

        Searches that both learn from are counted twice.
        """
        return self.sources.cost if self.then is None else self.sources.cost + self.then.meta_cost

    def portfolio(self, number: int) -> list[Architecture]:
        """The first networks on a task of which nothing is known."""
        return [member.architecture for member in self.sources.cover(number)]

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """The next of the portfolio that is new, or what the other sampler proposes."""
        for parameters in self._wanted(study, history) if len(history.trials) < self.size else ():
            if history.is_new(parameters):
                return parameters
        if self.then is None:
            return history.draw(generator)
        return self.then.propose(study, trial, history, generator)

    def check(self, space: ChoiceSpace) -> None:
        """Refuse to search another space than the one that was given, or that the other sampler was given."""
        super().check(space)
        if self.then is not None:
            self.then.check(space)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell the other sampler."""
        if self.then is not None:
            self.then.after_trial(study, trial, state, values)

    def _wanted(self, study: Study, history: History) -> Iterable[dict[str, Any]]:
        """Parameters of all members, the next of the portfolio first; none where no source is worth anything."""
        weights = self._prior(embedding_of(study))
        places = [(trial, place) for trial in history.trials for place in self._places(trial)]
        tried = torch.tensor([place for _, place in places], dtype=torch.int64)
        if self.weigh:
            ranked = [(place, history.rank(trial)) for trial, place in places if trial.state == TrialState.COMPLETE]
            order = sorted({rank for _, rank in ranked}, reverse=True)
            values = torch.tensor([float(order.index(rank)) for _, rank in ranked], dtype=torch.float64)
            known = torch.tensor([place for place, _ in ranked], dtype=torch.int64)
            weights = weights * agreement(self.sources.scores, known, values)
        if float(weights.sum()) <= 0:
            return []
        asked = history.distributions if history.completed else None
        members = order_members(self.sources.scores, weights, tried)
        wanted = (self._parameters(self.sources.members[place], asked) for place in members)
        return (parameters for parameters in wanted if parameters)

    def _prior(self, embedding: Sequence[float]) -> Tensor:
        """Weights of the sources before anything is tried, shape ``(tasks,)``."""
        number, others = len(self.sources.scores), self.sources.embeddings
        if not embedding or others is None or others.shape[1] != len(embedding):
            return torch.full((number,), 1 / max(number, 1), dtype=torch.float64)
        return closeness(torch.tensor(embedding, dtype=torch.float64), others)

    def _places(self, trial: FrozenTrial) -> list[int]:
        """The members that a trial tried: those of its architecture that differ in no number of a recipe it has."""
        architecture = self._memory.identities(trial.params).architecture
        found = [] if architecture is None else self.sources.places.get(architecture, [])

        def same(place: int) -> bool:
            recipe = self.sources.members[place].recipe
            return all(trial.params.get(RECIPE_PREFIX + name, value) == value for name, value in recipe)

        return [place for place in found if same(place)]

    def _parameters(self, member: Query, known: Mapping[str, BaseDistribution] | None) -> dict[str, Any]:
        """A member as parameters; none where the study cannot have its recipe.

        Args:
            member: the network and its recipe.
            known: what the study asks for, so that other numbers of a recipe are left out; None before that is known.
        """
        assert self.space is not None
        found: dict[str, Any] = dict(self.labelled(member.architecture, self.space))
        recipe = {RECIPE_PREFIX + name: value for name, value in member.recipe}
        if known is None:
            return found | recipe
        asked = {name: value for name, value in recipe.items() if name in known}
        return found | asked if all(can_have(known[name], value) for name, value in asked.items()) else {}
