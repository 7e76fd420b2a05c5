"""Among which architectures a model of scores chooses the next one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lit_metanas.searchers.mutation import mutate
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.encodings import Candidates, Encoding, draw_buildable
from lit_metanas.surrogates.candidate_posterior import CandidateFeatures
from lit_metanas.surrogates.transfer import TransferSurrogate

DRAWN_ANEW = 500
"""Architectures of a large space that are drawn again for each proposal."""
MUTANTS = 500
"""And those that are mutated from good ones, once or twice."""
PARENTS = 10


class CandidatePool:
    """Architectures, with what the sources expect of them.

    Args:
        surrogate: holds the sources.
        architectures: each once.
        features: shape ``(n, d)``.
        sources: what each source expects, shape ``(sources, n)``; None works it out.

    Attributes:
        architectures: as given.
        pool: their features, laid out for a posterior.
        sources: what each source expects, shape ``(sources, n)``.
        places: the inverse of ``architectures``.
    """

    def __init__(
        self,
        surrogate: TransferSurrogate,
        architectures: Sequence[Architecture],
        features: Tensor,
        sources: Tensor | None = None,
    ) -> None:
        self.architectures = architectures
        self.sources = surrogate.source_means(features) if sources is None else sources
        self.pool = CandidateFeatures(surrogate.kernel, features.double())
        self.places = {architecture: place for place, architecture in enumerate(architectures)}

    def __len__(self) -> int:
        return len(self.architectures)


class CandidateProvider(ABC):
    """Gives the candidates of each proposal."""

    first: CandidatePool
    """Those of a task of which nothing is known."""

    @abstractmethod
    def __call__(
        self, known: Sequence[Architecture], best: Sequence[Architecture], draw: np.random.Generator
    ) -> CandidatePool:
        """The candidates, among them those that are known.

        Args:
            known: what was tried.
            best: the best of it.
            draw: of whatever is drawn.
        """


class WholeSpaceProvider(CandidateProvider):
    """All architectures of a small space."""

    def __init__(self, surrogate: TransferSurrogate, candidates: Candidates) -> None:
        known = [source.candidates for source in surrogate.sources]
        # A space of the same choices that merges isomorphs otherwise has other candidates.
        same = bool(known) and all(len(own) == len(candidates.architectures) for own in known)
        sources = torch.stack(known) if same else None
        self.first = CandidatePool(surrogate, candidates.architectures, candidates.features, sources)

    def __call__(
        self, known: Sequence[Architecture], best: Sequence[Architecture], draw: np.random.Generator
    ) -> CandidatePool:
        """The same ones, whatever is known."""
        return self.first


class DrawnCandidateProvider(CandidateProvider):
    """Architectures of a large space: drawn ones, and mutants of the best and of what was best on the sources."""

    def __init__(self, surrogate: TransferSurrogate, encoding: Encoding) -> None:
        self.surrogate, self.encoding = surrogate, encoding
        known = dict.fromkeys(architecture for source in surrogate.sources for architecture in source.elite)
        space = encoding.space
        # Records may be of a space that this one restricts.
        labels = {choice.name: space.proposed_labels(choice) for choice in space.choices}
        self.elite = [one for one in known if all(label in labels[name] for name, label in one.items())]
        both = tuple(dict.fromkeys([*self.elite, *encoding.candidates.architectures]))
        self.first = CandidatePool(surrogate, both, encoding(both))

    def __call__(
        self, known: Sequence[Architecture], best: Sequence[Architecture], draw: np.random.Generator
    ) -> CandidatePool:
        """New ones for each proposal."""
        space = self.encoding.space
        generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
        parents = [*best[:PARENTS], *self.elite[:PARENTS]]
        mutants = []
        for number in range(MUTANTS if parents else 0):
            mutant = mutate(space, parents[number % len(parents)], generator)
            mutants.append(mutant if number % 2 else mutate(space, mutant, generator))
        new = [*(one for one in mutants if space.violation(one) is None), *draw_buildable(space, DRAWN_ANEW, generator)]
        both = tuple(dict.fromkeys([*known, *self.elite, *new]))
        return CandidatePool(self.surrogate, both, self.encoding(both))
