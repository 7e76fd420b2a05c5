"""The sampler that learned from earlier searches where to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.records.budget import Cost
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.searchers.samplers.memory import EMBEDDING, PREFIX
from lit_metanas.searchers.samplers.surrogate_choice import SurrogateChoice, Tried
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.encodings import Encoding, OneHotEncoding


class MetaSampler(HistorySampler):
    """Searches a new task with what a ``MetaSurrogate`` learned from searches of other tasks.

    First comes a portfolio: architectures of which at least one is expected to be good on each source task, where
    sources count the more the nearer the embedding of their task, if the study and the checkpoint have embeddings.
    Then each trial has the largest expected improvement over the best score so far under a ``TransferSurrogate``: a
    Gaussian process with what the sources tell of its kernel, whose mean is averaged with those of the sources that
    order the architectures that were scored nearly as their scores do. Sources that mislead so drop out; without any
    this is a plain Gaussian process.

    In a space of up to 100,000 combinations all architectures are weighed, in a larger one 500 drawn ones, as many
    mutants of the best, and the best of the sources. Trials that other workers run count as if they scored what is
    expected. Parameters that are not the space's choices are drawn at random.

    Args:
        space: its choices are the study's parameters with the prefix ``arch.``.
        encoding: of the architectures, the one with which the checkpoint was fitted; None is one-hot.
        checkpoint: of a ``MetaSurrogate``; None searches without sources.
        first: size of the portfolio; without sources as many trials are drawn at random.
        refit: scores after which the kernel's parameters are fitted again.
        context: most scores that the process takes, the best half of them and the latest, so that time and memory of a
            proposal are bounded.
        seed: of all draws, together with the trial's number; None takes one from the operating system.

    Raises:
        ValueError: a number is too small, or the encoding is of another space.

    Example:
        >>> import lit_metanas as lm
        >>> encoding = lm.OneHotEncoding(lm.LayeredSpace(shared=True))
        >>> searcher = lm.QuerySearcher(sampler=lm.MetaSampler(space=encoding.space, encoding=encoding), trials=10)
        >>> type(searcher.sampler).__name__
        'MetaSampler'
    """

    def __init__(
        self,
        *,
        space: ChoiceSpace,
        encoding: Encoding | None = None,
        checkpoint: str | None = None,
        first: int = 5,
        refit: int = 10,
        context: int = 250,
        seed: int | None = None,
    ) -> None:
        for name, value, least in (("first", first, 0), ("refit", refit, 1), ("context", context, 2)):
            if value < least:
                raise ValueError(f"MetaSampler: {name} is {value}; give at least {least}.")
        if encoding is not None and encoding.space.distributions() != space.distributions():
            raise ValueError(f"The encoding is of another space than {space.name}: give both the same.")
        super().__init__(seed=seed, space=space)
        self.first = first
        self.encoding, self.checkpoint, self.refit, self.context = encoding, checkpoint, refit, context
        self._choice = SurrogateChoice(encoding or OneHotEncoding(space), checkpoint, refit=refit, context=context)

    @property
    def meta_cost(self) -> Cost:
        """That of the searches from which the checkpoint learned."""
        return self._choice.surrogate.cost

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """The next of the portfolio, or what promises most."""
        tried = self._tried(history)
        asked = len(history.trials)
        wanted: Iterable[Architecture] = ()
        if asked >= self.first and len(tried.architectures) >= 2:
            wanted = self._choice.next(tried, generator)
        elif self._choice.surrogate.sources:
            embedding = [float(number) for number in study.user_attrs.get(EMBEDDING, ())]
            wanted = self._choice.first(embedding, max(self.first, asked + 1))
        skipped = self._deciding(trial, history)
        for architecture in wanted:
            parameters = self._parameters(architecture)
            if history.is_new(parameters):
                if not skipped:
                    return parameters
                skipped -= 1
        return history.draw(generator)

    def _deciding(self, trial: FrozenTrial, history: History) -> int:
        """How many earlier trials of other workers are about to take what promises most."""
        running = [one for one in history.trials if one.state == TrialState.RUNNING and one.number < trial.number]
        return sum(not any(name.startswith(PREFIX) for name in one.params) for one in running)

    def _tried(self, history: History) -> Tried:
        """What the study tells. Constraints come before scores, and only the order of these counts."""
        completed = [(trial, found) for trial in history.completed if (found := self._architecture(trial)) is not None]
        keys = [history.rank(trial) for trial, _ in completed]
        places = {key: place for place, key in enumerate(sorted(set(keys), reverse=True))}
        running = [trial for trial in history.trials if trial.state == TrialState.RUNNING]
        pending = [found for trial in running if (found := self._architecture(trial)) is not None]
        scores = torch.tensor([float(places[key]) for key in keys], dtype=torch.float64)
        return Tried([architecture for _, architecture in completed], scores, pending)

    def _architecture(self, trial: FrozenTrial) -> Architecture | None:
        """What a trial tried; None where it is not known yet, or not of the space."""
        labels = {name.removeprefix(PREFIX): label for name, label in trial.params.items() if name.startswith(PREFIX)}
        return self._choice.named(labels)

    def _parameters(self, architecture: Architecture) -> dict[str, Any]:
        """An architecture as parameters; inactive choices have the first label."""
        space = self._choice.encoding.space
        return {
            PREFIX + choice.name: architecture.get(choice.name, space.proposed(choice)[0]) for choice in space.choices
        }
