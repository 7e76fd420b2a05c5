"""The sampler that learned from earlier searches where to look."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from optuna import Study
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.records.budget import Cost
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.searchers.samplers.memory import embedding_of
from lit_metanas.searchers.samplers.surrogate_choice import SurrogateChoice, Tried
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace
from lit_metanas.spaces.encodings import Encoding, OneHotEncoding
from lit_metanas.surrogates.meta_surrogate import MetaSurrogate
from lit_metanas.surrogates.transfer import TransferSurrogate


class MetaSampler(HistorySampler):
    """Searches a new task with what a ``MetaSurrogate`` learned from searches of other tasks.

    First comes a portfolio: architectures of which at least one is expected to be good on each source task, where
    sources count the more the nearer the embedding of their task, if the study and the checkpoint have embeddings.
    If few sources make it short, architectures of other parts of the space follow that they expect to be good, too.
    Then each trial has the largest expected improvement over the best score so far under a ``TransferSurrogate``: a
    Gaussian process with what the sources tell of its kernel, whose mean is averaged with those of the sources that
    order the architectures that were scored nearly as their scores do. Sources that mislead so drop out; without any
    this is a plain Gaussian process.

    In a space of up to 100,000 combinations all architectures are weighed, in a larger one 500 drawn ones, as many
    mutants of the best, and the best of the sources. Trials that other workers run count as if they scored what is
    expected. Parameters that are not the space's choices are drawn at random. Where a trial has none of the choices,
    or a study has a label that the space lacks, a warning says so, once.

    Args:
        space: its choices are parameters of the study, suggested as labels or as the numbers or booleans that these
            spell.
        encoding: of the architectures, the one with which the checkpoint was fitted; None is one-hot, or that of
            ``surrogate``.
        checkpoint: of a ``MetaSurrogate``.
        surrogate: a fitted one in memory, in place of a checkpoint; without either it searches without sources.
        prefix: of the parameters that are the space's choices.
        first: how many to begin with, the portfolio among them; without sources as many trials are drawn at random.
        refit: scores after which the kernel's parameters are fitted again.
        context: most scores that the process takes, the best half of them and the latest, so that time and memory of a
            proposal are bounded.
        seed: of all draws, together with the trial's number; None takes one from the operating system.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: a number is too small; the encoding, checkpoint or surrogate is of another space; the checkpoint
            cannot be read; or a surrogate is given beside a checkpoint or an encoding.

    Example:
        >>> import lit_metanas as lm
        >>> encoding = lm.OneHotEncoding(lm.LayeredSpace(shared=True))
        >>> searcher = lm.QuerySearcher(sampler=lm.MetaSampler(space=encoding.space, encoding=encoding), trials=10)
        >>> type(searcher.sampler).__name__
        'MetaSampler'
    """

    surrogate: TransferSurrogate | None = None

    def __init__(
        self,
        *,
        space: ChoiceSpace,
        encoding: Encoding | None = None,
        checkpoint: str | None = None,
        surrogate: MetaSurrogate | None = None,
        prefix: str = PREFIX,
        first: int = 5,
        refit: int = 10,
        context: int = 250,
        seed: int | None = None,
    ) -> None:
        for name, value, least in (("first", first, 0), ("refit", refit, 1), ("context", context, 2)):
            if value < least:
                raise ValueError(f"MetaSampler: {name} is {value}; give at least {least}.")
        for name, other in (("checkpoint", checkpoint), ("encoding", encoding)):
            if surrogate is not None and other is not None:
                raise ValueError(f"MetaSampler: a fitted surrogate has all that it needs; leave out the {name}.")
        used = encoding or (surrogate.encoding if surrogate is not None else OneHotEncoding(space))
        if used.space.distributions() != space.distributions():
            given = "surrogate" if encoding is None else "encoding"
            raise ValueError(f"The {given} is of another space than {space.name}: give both the same.")
        super().__init__(seed=seed, space=space, prefix=prefix)
        self.first = first
        self.encoding, self.checkpoint, self.refit, self.context = encoding, checkpoint, refit, context
        if surrogate is not None:  # else a search that was finished without this argument would count as another one
            self.surrogate = surrogate.surrogate
        self._choice = SurrogateChoice(used, self.surrogate or checkpoint, refit=refit, context=context)
        if checkpoint is not None:
            _ = self._choice.surrogate  # what cannot be read is to be told now
        self._warned = False

    @property
    def meta_cost(self) -> Cost:
        """That of the searches from which the checkpoint learned."""
        return self._choice.surrogate.cost

    def propose(
        self, study: Study, trial: FrozenTrial, history: History, generator: np.random.Generator
    ) -> Mapping[str, Any]:
        """The next of the portfolio, or what promises most."""
        tried = self._collect_tried(history)
        asked = len(history.trials)
        wanted: Iterable[Architecture] = ()
        if asked >= self.first and len(tried.architectures) >= 2:
            wanted = self._choice.next(tried, generator)
        elif self._choice.surrogate.sources:
            embedding = embedding_of(study)
            wanted = self._choice.first(embedding, max(self.first, asked + 1))
        skipped = self._deciding(trial, history)
        for architecture in wanted:
            parameters = self.labelled(architecture, self._choice.encoding.space)
            if history.is_new(parameters):
                if not skipped:
                    return parameters
                skipped -= 1
        return history.draw(generator)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Warn, once, of a trial that tells of no architecture, and of labels that are never proposed."""
        if self._warned or state != TrialState.COMPLETE or self.space is None:
            return
        told = self._unknown_label(trial)
        if told is None:
            try:
                self.space.from_parameters(trial.params, self.prefix)
            except ValueError as error:
                told = (
                    f"MetaSampler learns nothing from trial {trial.number} of the study '{study.study_name}', and "
                    f"draws its parameters at random. {error} Name the parameters as '{self.prefix}"
                    f"{self.space.choices[0].name}', or give the sampler another prefix."
                )
        if told is not None:
            self._warned = True
            warnings.warn(told, stacklevel=2)

    def _unknown_label(self, trial: FrozenTrial) -> str | None:
        """Of a trial's parameters one that can have a label that its choice lacks, as a sentence."""
        for name, choice in self._memory.identities.choices.items():
            kind = trial.distributions.get(name)
            for value in kind.choices if isinstance(kind, CategoricalDistribution) else ():
                if choice.label_of(value) is None:
                    return f"MetaSampler never proposes {choice.lacks(value)}"
        return None

    def _deciding(self, trial: FrozenTrial, history: History) -> int:
        """How many earlier trials of other workers are about to take what promises most."""
        running = [one for one in history.trials if one.state == TrialState.RUNNING and one.number < trial.number]
        return sum(self._memory.identities.choices.keys().isdisjoint(one.params) for one in running)

    def _collect_tried(self, history: History) -> Tried:
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
        return self._memory.identities(trial.params).architecture
