"""The candidates among which a surrogate chooses the next architectures, with caches kept from trial to trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from itertools import cycle, islice
from threading import RLock
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from lit_metanas.records.statistics import rank_gaussian
from lit_metanas.searchers.mutation import mutate
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.encodings import Encoding, draw_buildable
from lit_metanas.surrogates.candidate_posterior import CandidateFeatures, CandidatePosterior, by_improvement
from lit_metanas.surrogates.gaussian_process import GroupedKernel
from lit_metanas.surrogates.meta_surrogate import read_surrogate
from lit_metanas.surrogates.transfer import (
    TransferSurrogate,
    closeness,
    combine_predictions,
    evidence_weights,
    portfolio,
)

DRAWN_ANEW = 500
"""Number of architectures of a large space that are drawn for each proposal."""
MUTANTS = 500
"""Number of further ones that are mutated from good architectures, once or twice."""
PARENTS = 10


class CandidatePool:
    """Architectures with their features ``(n, d)`` and the predictions of the sources ``(sources, n)``."""

    def __init__(
        self,
        surrogate: TransferSurrogate,
        architectures: Sequence[Architecture],
        features: Tensor,
        sources: Tensor | None = None,
    ) -> None:
        self.architectures = architectures
        if sources is None:
            sources = surrogate.source_means(features)
        self.sources = sources
        self.pool = CandidateFeatures(surrogate.kernel, features.double())
        self.places = {architecture: place for place, architecture in enumerate(architectures)}

    def __len__(self) -> int:
        return len(self.architectures)


class CandidateProvider:
    """Gives the candidates of each proposal: all architectures of a small space, some of a large one."""

    # Those of a large space are drawn ones, and mutants of the best here and on the sources.
    def __init__(self, surrogate: TransferSurrogate, encoding: Encoding) -> None:
        self.surrogate, self.encoding = surrogate, encoding
        space, candidates = encoding.space, encoding.candidates
        if candidates.whole:
            known = [source.candidates for source in surrogate.sources]
            # A space with the same choices but another treatment of isomorphs has other candidates.
            same = bool(known) and all(len(own) == len(candidates.architectures) for own in known)
            means = torch.stack(known) if same else None
            self.first = CandidatePool(surrogate, candidates.architectures, candidates.features, means)
            return
        best = dict.fromkeys(architecture for source in surrogate.sources for architecture in source.elite)
        # The records may be of a larger space with further labels.
        labels = {choice.name: space.proposed_labels(choice) for choice in space.choices}
        self.elite = [one for one in best if all(label in labels[name] for name, label in one.items())]
        both = tuple(dict.fromkeys([*self.elite, *candidates.architectures]))
        self.first = CandidatePool(surrogate, both, encoding(both))

    def __call__(
        self, known: Sequence[Architecture], best: Sequence[Architecture], draw: np.random.Generator
    ) -> CandidatePool:
        """The candidates, among them the known ones; ``best`` are ordered by their scores."""
        if self.encoding.candidates.whole:
            return self.first
        space = self.encoding.space
        generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
        parents = [*best[:PARENTS], *self.elite[:PARENTS]]
        mutants = []
        for number, parent in zip(range(MUTANTS), cycle(parents), strict=False):
            mutant = mutate(space, parent, generator)
            if number % 2 == 0:
                mutant = mutate(space, mutant, generator)
            mutants.append(mutant)
        new = [*(one for one in mutants if space.violation(one) is None), *draw_buildable(space, DRAWN_ANEW, generator)]
        both = tuple(dict.fromkeys([*known, *self.elite, *new]))
        return CandidatePool(self.surrogate, both, self.encoding(both))


UNEXPLAINED = 0.6
"""Share of a process's deviation that remains when sources give its mean; the best of 0.3, 0.6 and 1 in development."""
FAR_APART = 32
"""Number of first architectures that are chosen far from one another."""


class Tried(NamedTuple):
    """The architectures of a study, in the order of their trials."""

    architectures: Sequence[Architecture]
    scores: Tensor  # (n,), higher is better, on any scale
    pending: Sequence[Architecture]  # without a score yet


class SurrogateChoice:
    """Orders architectures by their expected improvement; ``source`` is a checkpoint, a surrogate or None."""

    # Its caches only save time, so copies share them, and a pickled one starts without.

    def __init__(self, encoding: Encoding, source: str | TransferSurrogate | None, *, refit: int, context: int) -> None:
        self.encoding, self.source = encoding, source
        self.refit, self.context = refit, context
        self._lock = RLock()
        self._parameters: tuple[object, Tensor] | None = None
        self._posterior: tuple[object, CandidatePosterior] | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), refit=self.refit, context=self.context), (self.encoding, self.source)

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
    def _candidates(self) -> CandidateProvider:
        return CandidateProvider(self.surrogate, self.encoding)

    def first(self, embedding: Sequence[float], number: int) -> list[Architecture]:
        """The first architectures of a task: a portfolio, then the best by the mean of the sources."""
        with self._lock:
            pool, sources = self._candidates.first, self.surrogate.sources
            weights = torch.full((len(sources),), 1 / max(len(sources), 1), dtype=torch.float64)
            if embedding and all(len(source.embedding) for source in sources):
                others = torch.stack([source.embedding for source in sources])
                if others.shape[1] != len(embedding):
                    raise ValueError(
                        f"The study's task has an embedding of {len(embedding)} numbers, those of {self._name} have "
                        f"{others.shape[1]}: give the searcher the embedding of their records, or none."
                    )
                weights = closeness(torch.tensor(embedding, dtype=torch.float64), others)
            chosen = portfolio(pool.sources, weights, number)
            places = self._more_to_begin_with(chosen, weights @ pool.sources, number)
            return [pool.architectures[place] for place in places]

    def _more_to_begin_with(self, chosen: Sequence[int], expected: Tensor, number: int) -> list[int]:
        """The chosen places, and further ones up to ``number`` with the largest expected improvement."""
        # The deviation is that of the process before it has scores, as if the chosen ones had their expected scores, so
        # that the next lies elsewhere ("kriging believer", Ginsbourger et al. 2010).
        found, wanted, best = dict.fromkeys(chosen), min(number, len(expected)), float(expected.max())
        posterior = CandidatePosterior(self._candidates.first.pool, self.surrogate.prior.mean, list(found))
        while len(found) < wanted:
            ordered = by_improvement(expected, UNEXPLAINED * posterior.deviation, best)
            others = (place for place in ordered if place not in found)
            if len(found) >= FAR_APART:
                return [*found, *islice(others, wanted - len(found))]
            place = next(others)
            posterior.add(place)
            found[place] = None
        return list(found)

    @property
    def _name(self) -> str:
        if isinstance(self.source, str):
            return f"'{self.source}'"
        return "the surrogate"

    def next(self, tried: Tried, draw: np.random.Generator) -> Iterator[Architecture]:
        """All candidates, the most promising first, after at least two scores; tried ones are among them."""
        with self._lock:
            order = tried.scores.argsort(descending=True, stable=True).tolist()
            known = [*tried.architectures, *tried.pending]
            pool = self._candidates(known, [tried.architectures[place] for place in order], draw)
            mean, deviation = self._prediction(_within(tried, pool), pool)
        best = float(rank_gaussian(tried.scores).max())
        return (pool.architectures[place] for place in by_improvement(mean, deviation, best))

    def _prediction(self, tried: Tried, pool: CandidatePool) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the rank-Gaussian score of each candidate, shape ``(n,)``, as of the surrogate."""
        base, later = self._split_places(tried.scores)
        posterior = self._update_posterior(tried, pool, base, later)
        values = rank_gaussian(tried.scores)[[*base, *later]]
        weights = evidence_weights(values, pool.sources[:, posterior.places])
        mean = combine_predictions(posterior.mean(values), weights, pool.sources)
        return mean, posterior.deviation_beside([pool.places[one] for one in tried.pending])

    def _split_places(self, scores: Tensor) -> tuple[list[int], list[int]]:
        """Places of the scores that fit the parameters, and of the later ones."""
        number = fitted = len(scores)
        if number >= self.refit:
            fitted -= number % self.refit
        base = set(range(fitted))
        if fitted > self.context:
            half = self.context // 2
            best = scores[:fitted].argsort(descending=True, stable=True)[:half].tolist()
            latest = [place for place in reversed(range(fitted)) if place not in set(best)]
            base = {*best, *latest[: self.context - half]}
        return sorted(base), list(range(fitted, number))

    def _update_posterior(
        self, tried: Tried, pool: CandidatePool, base: list[int], later: list[int]
    ) -> CandidatePosterior:
        """The posterior, made anew after each fit of the parameters, and extended by later scores."""
        places = [pool.places[one] for one in tried.architectures]
        order = rank_gaussian(tried.scores[base])
        key = (tuple(tried.architectures[place] for place in base), tuple(order.tolist()))
        if self._parameters is None or self._parameters[0] != key:
            features = pool.pool.columns[:, [places[place] for place in base]].T.contiguous()
            self._parameters = key, self.surrogate.fit(features, order)
        wanted = [places[place] for place in [*base, *later]]
        kept, self._posterior = self._posterior, None  # an interruption could leave it half extended
        if kept is None or kept[0] != key or kept[1].pool is not pool.pool or not _begins(kept[1].places, wanted):
            kept = key, CandidatePosterior(pool.pool, self._parameters[1], wanted[: len(base)])
        for place in wanted[len(kept[1].places) :]:
            kept[1].add(place)
        self._posterior = kept
        return kept[1]


def _within(tried: Tried, pool: CandidatePool) -> Tried:
    """The tried candidates; a study may also have architectures that this space cannot build."""
    found = [place for place, one in enumerate(tried.architectures) if one in pool.places]
    return Tried(
        [tried.architectures[place] for place in found],
        tried.scores[found],
        [one for one in tried.pending if one in pool.places],
    )


def _begins(start: list[int], whole: list[int]) -> bool:
    return start == whole[: len(start)]
