"""The sampler that learned from earlier searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.records.budget import Cost
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.searchers.samplers.surrogate_choice import SurrogateChoice, Tried
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace
from lit_metanas.spaces.encodings import Encoding, OneHotEncoding
from lit_metanas.surrogates.meta_surrogate import MetaSurrogate
from lit_metanas.surrogates.transfer import TransferSurrogate


class MetaSampler(HistorySampler):
    """Searches a new task with a ``MetaSurrogate`` that learned from searches of other tasks.

    It starts with a portfolio: architectures of which at least one should be good on each source task. If few sources
    make the portfolio short, promising architectures from other parts of the space follow. Then each trial has the
    largest expected improvement over the best score so far under a ``TransferSurrogate``, from which misleading sources
    drop out.

    In a space of up to 100,000 combinations all architectures are compared. In a larger space these are 500 drawn ones,
    as many mutants of the best, and the best of the sources. Trials that other workers run count with their expected
    score. Parameters that are not the space's choices are drawn at random.

    Args:
        space: its choices are parameters of the study, suggested as labels, or as the numbers or booleans that labels
            spell.
        encoding: of the architectures, the same as the checkpoint's; None is one-hot, or that of ``surrogate``.
        checkpoint: of a ``MetaSurrogate``.
        surrogate: a fitted one in memory, instead of a checkpoint. Without either there are no sources.
        prefix: of the parameters that are the space's choices.
        first: number of architectures at the start, the portfolio included; without sources they are drawn at random.
        seed: of all draws, together with the trial's number; None takes one from the operating system.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: a number is too small; the encoding, checkpoint or surrogate is of another space; the checkpoint
            cannot be read; or a surrogate is given together with a checkpoint or an encoding.

    Example:
        >>> sampler = lm.searchers.MetaSampler(space=lm.LayeredSpace(shared=True))
        >>> lm.searchers.QuerySearcher(sampler=sampler, trials=10).meta_cost.flops
        0
    """

    def __init__(
        self,
        *,
        space: ChoiceSpace,
        encoding: Encoding | None = None,
        checkpoint: str | None = None,
        surrogate: MetaSurrogate | None = None,
        prefix: str = PREFIX,
        first: int = 5,
        seed: int | None = None,
    ) -> None:
        if first < 0:
            raise ValueError(f"MetaSampler: first is {first}; give at least 0.")
        if surrogate is not None and (checkpoint is not None or encoding is not None):
            raise ValueError("MetaSampler: a fitted surrogate needs nothing else; leave out checkpoint and encoding.")
        source: str | TransferSurrogate | None = checkpoint
        if surrogate is not None:
            encoding, source = surrogate.encoding, surrogate.surrogate
        encoding = encoding or OneHotEncoding(space)
        if encoding.space.distributions() != space.distributions():
            raise ValueError(f"The encoding or surrogate is of another space than {space.name}: give both the same.")
        super().__init__(seed=seed, space=space, prefix=prefix)
        self.first = first
        self._choice = SurrogateChoice(encoding, source)
        if checkpoint is not None:
            _ = self._choice.surrogate  # refuses an unreadable checkpoint now

    @property
    def meta_cost(self) -> Cost:
        """Cost of the searches from which the checkpoint learned."""
        return self._choice.surrogate.cost

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """The next of the portfolio, or the most promising architecture."""
        tried = self._collect_tried(history)
        asked = len(history.trials)
        wanted: Iterable[Architecture] = ()
        if asked >= self.first and len(tried.architectures) >= 2:
            wanted = self._choice.next(tried, generator)
        elif self._choice.surrogate.sources:
            wanted = self._choice.first(max(self.first, asked + 1))
        skipped = self._deciding(trial, history)
        for architecture in wanted:
            parameters = self.labelled(architecture, self._choice.encoding.space)
            if history.is_new(parameters):
                if not skipped:
                    return parameters
                skipped -= 1
        return history.draw(generator)

    def _deciding(self, trial: FrozenTrial, history: History) -> int:
        """The number of earlier trials of other workers that are about to take the most promising architectures."""
        running = [one for one in history.trials if one.state == TrialState.RUNNING and one.number < trial.number]
        return sum(self._identities.choices.keys().isdisjoint(one.params) for one in running)

    def _collect_tried(self, history: History) -> Tried:
        """The study's scores; only their order counts, and constraints come before scores."""
        completed = [(trial, found) for trial in history.completed if (found := self._architecture(trial)) is not None]
        keys = [history.rank(trial) for trial, _ in completed]
        places = {key: place for place, key in enumerate(sorted(set(keys), reverse=True))}
        running = [trial for trial in history.trials if trial.state == TrialState.RUNNING]
        pending = [found for trial in running if (found := self._architecture(trial)) is not None]
        scores = torch.tensor([float(places[key]) for key in keys], dtype=torch.float64)
        return Tried([architecture for _, architecture in completed], scores, pending)

    def _architecture(self, trial: FrozenTrial) -> Architecture | None:
        """The architecture of a trial; None if it is not known yet, or not of the space."""
        return self._identities(trial.params).architecture
