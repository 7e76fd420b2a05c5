"""The architectures among which a surrogate chooses the next one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import torch
from torch import Tensor

from lit_metanas.searchers.mutation import mutate
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.encodings import Encoding, draw_buildable
from lit_metanas.surrogates.candidate_posterior import CandidateFeatures
from lit_metanas.surrogates.transfer import TransferSurrogate

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
