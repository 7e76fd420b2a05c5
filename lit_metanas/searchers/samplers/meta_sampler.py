"""The sampler that learned from earlier searches, and the order of its candidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import cycle, islice
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.records.record import Cost
from lit_metanas.records.statistics import rank_gaussian
from lit_metanas.searchers.mutation import mutate
from lit_metanas.searchers.samplers.history_sampler import History, HistorySampler
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace
from lit_metanas.spaces.encodings import Encoding, OneHotEncoding, draw_buildable
from lit_metanas.surrogates.gaussian_process import GaussianProcess, GroupedKernel, by_improvement, fit_parameters
from lit_metanas.surrogates.meta_surrogate import MetaSurrogate, read_surrogate
from lit_metanas.surrogates.transfer import TransferSurrogate, combine_predictions, evidence_weights, portfolio

DRAWN_ANEW = 500  # number of architectures of a large space that are drawn for each proposal
MUTANTS = 500  # number of further ones that are mutated from good architectures, once or twice
PARENTS = 10
REFIT = 10  # the kernel's parameters are fitted again after so many scores
CONTEXT = 250  # most scores that the process takes, the best half and the latest, which bounds time and memory
FAR_APART = 32  # number of first architectures that are chosen far from one another

UNEXPLAINED = 0.6
"""Share of a process's deviation that remains when sources give its mean; the best of 0.3, 0.6 and 1 in development."""


class CandidatePool:
    """Architectures with their features ``(n, d)`` and the predictions of the sources ``(sources, n)``."""

    def __init__(self, architectures: Sequence[Architecture], features: Tensor, sources: Tensor) -> None:
        self.architectures, self.features, self.sources = architectures, features.double(), sources
        self._places = {architecture: place for place, architecture in enumerate(architectures)}

    def places(self, architectures: Sequence[Architecture]) -> list[int]:
        """Where some of its architectures stand."""
        return [self._places[one] for one in architectures]


class Tried(NamedTuple):
    """The architectures of a study, in the order of their trials."""

    architectures: Sequence[Architecture]
    scores: Tensor  # (n,), higher is better, on any scale
    pending: Sequence[Architecture]  # without a score yet


class SurrogateChoice:
    """Orders architectures by their expected improvement; ``source`` is a checkpoint, a surrogate or None."""

    # What it keeps only saves time, so copies share it.

    def __init__(self, encoding: Encoding, source: str | TransferSurrogate | None) -> None:
        self.encoding, self.source = encoding, source
        self._fitted: tuple[object, Tensor] | None = None  # the kernel's parameters, and what they were fitted to

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    @cached_property
    def surrogate(self) -> TransferSurrogate:
        """The surrogate of the source, or one without sources."""
        if isinstance(self.source, TransferSurrogate):
            return self.source
        if self.source is not None:
            return read_surrogate(self.source, self.encoding)
        kernel = GroupedKernel.of(self.encoding.candidates.features, self.encoding.groups)
        return TransferSurrogate(kernel, (), kernel.prior.mean)

    @cached_property
    def elite(self) -> list[Architecture]:
        """The best architectures of the sources, as far as the space has them."""
        space = self.encoding.space
        labels = {choice.name: space.proposed_labels(choice) for choice in space.choices}
        best = dict.fromkeys(architecture for source in self.surrogate.sources for architecture in source.elite)
        # The records may be of a larger space with further labels.
        return [one for one in best if all(label in labels[name] for name, label in one.items())]

    @cached_property
    def first_pool(self) -> CandidatePool:
        """All architectures of a small space; of a large one drawn ones and the best of the sources."""
        candidates = self.encoding.candidates
        if candidates.whole:
            return self._pool(candidates.architectures)
        return self._pool([*self.elite, *candidates.architectures])

    def first(self, number: int) -> list[Architecture]:
        """The first architectures of a task: a portfolio, then the best by the mean of the sources."""
        pool, sources = self.first_pool, self.surrogate.sources
        weights = torch.ones(len(sources), dtype=torch.float64) / len(sources)
        found = dict.fromkeys(portfolio(pool.sources, weights, number))
        # The deviation is that of the process before it has scores, as if the chosen ones had their expected scores, so
        # that the next lies elsewhere ("kriging believer", Ginsbourger et al. 2010).
        expected, parameters = weights @ pool.sources, self.surrogate.prior.mean
        wanted = min(number, len(expected))
        while len(found) < wanted:
            deviation = UNEXPLAINED * self._deviation(parameters, pool, list(found))
            ordered = by_improvement(expected, deviation, float(expected.max()))
            more = 1 if len(found) < FAR_APART else wanted - len(found)
            found |= dict.fromkeys(islice((place for place in ordered if place not in found), more))
        return [pool.architectures[place] for place in found]

    def next(self, tried: Tried, draw: np.random.Generator) -> Iterator[Architecture]:
        """All candidates, the most promising first, after at least two scores; tried ones are among them."""
        pool = self.first_pool
        if not self.encoding.candidates.whole:
            order = tried.scores.argsort(descending=True, stable=True).tolist()
            best = [tried.architectures[place] for place in order[:PARENTS]]
            drawn = self._drawn([*best, *self.elite[:PARENTS]], draw)
            pool = self._pool([*tried.architectures, *tried.pending, *self.elite, *drawn])
        mean, deviation = self._prediction(tried, pool)
        best_score = float(rank_gaussian(tried.scores).max())
        return (pool.architectures[place] for place in by_improvement(mean, deviation, best_score))

    def _pool(self, architectures: Sequence[Architecture]) -> CandidatePool:
        own = tuple(dict.fromkeys(architectures))
        features = self.encoding(own)
        return CandidatePool(own, features, self.surrogate.source_means(features))

    def _drawn(self, parents: Sequence[Architecture], draw: np.random.Generator) -> list[Architecture]:
        space = self.encoding.space
        generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
        mutants = []
        for number, parent in zip(range(MUTANTS), cycle(parents), strict=False):
            mutant = mutate(space, parent, generator)
            if number % 2 == 0:
                mutant = mutate(space, mutant, generator)
            mutants.append(mutant)
        built = [one for one in mutants if space.violation(one) is None]
        return [*built, *draw_buildable(space, DRAWN_ANEW, generator)]

    def _prediction(self, tried: Tried, pool: CandidatePool) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the rank-Gaussian score of each candidate, shape ``(n,)``, as of the surrogate."""
        base, later = self._split_places(tried.scores)
        parameters = self._fit([tried.architectures[place] for place in base], tried.scores[base], pool)
        values = rank_gaussian(tried.scores)[[*base, *later]]
        places = pool.places([tried.architectures[place] for place in [*base, *later]])
        own = GaussianProcess(self.surrogate.kernel, parameters, pool.features[places], values)(pool.features)
        mean = combine_predictions(own.mean, evidence_weights(values, pool.sources[:, places]), pool.sources)
        if not tried.pending:
            return mean, own.deviation
        # "Kriging believer" again: the pending scores are taken as expected, and keep the mean.
        return mean, self._deviation(parameters, pool, [*places, *pool.places(tried.pending)])

    def _deviation(self, parameters: Tensor, pool: CandidatePool, places: Sequence[int]) -> Tensor:
        """The deviation of all candidates if some have a score, whatever that is."""
        process = GaussianProcess(self.surrogate.kernel, parameters, pool.features[places], torch.zeros(len(places)))
        return process(pool.features).deviation

    def _split_places(self, scores: Tensor) -> tuple[list[int], list[int]]:
        """Places of the scores that fit the parameters, and of the later ones."""
        number = fitted = len(scores)
        if number >= REFIT:
            fitted -= number % REFIT
        base = set(range(fitted))
        if fitted > CONTEXT:
            half = CONTEXT // 2
            best = scores[:fitted].argsort(descending=True, stable=True)[:half].tolist()
            latest = [place for place in reversed(range(fitted)) if place not in set(best)]
            base = {*best, *latest[: CONTEXT - half]}
        return sorted(base), list(range(fitted, number))

    def _fit(self, architectures: Sequence[Architecture], scores: Tensor, pool: CandidatePool) -> Tensor:
        """The kernel's parameters; the last ones if nothing that fits them has changed."""
        values = rank_gaussian(scores)
        key = (tuple(architectures), tuple(values.tolist()))
        if self._fitted is None or self._fitted[0] != key:
            features, surrogate = pool.features[pool.places(architectures)], self.surrogate
            self._fitted = key, fit_parameters(surrogate.kernel, features, values, surrogate.prior)
        return self._fitted[1]


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
        # Earlier trials of other workers that have no architecture yet are about to take the most promising ones.
        running = [one for one in history.trials if one.state == TrialState.RUNNING and one.number < trial.number]
        skipped = sum(self._identities.choices.keys().isdisjoint(one.params) for one in running)
        for architecture in wanted:
            parameters = self.labelled(architecture, self._choice.encoding.space)
            if history.is_new(parameters):
                if not skipped:
                    return parameters
                skipped -= 1
        return history.draw(generator)

    def _collect_tried(self, history: History) -> Tried:
        """The study's scores; only their order counts, and constraints come before scores."""
        found = [(trial, self._identities(trial.params)) for trial in history.trials]
        # A study of another program may have architectures that the space cannot build.
        known = [(trial, own.architecture) for trial, own in found if own.architecture is not None and own.allowed]
        completed = [(trial, own) for trial, own in known if trial.state == TrialState.COMPLETE]
        pending = [own for trial, own in known if trial.state == TrialState.RUNNING]
        return Tried([own for _, own in completed], history.scores([trial for trial, _ in completed]), pending)
