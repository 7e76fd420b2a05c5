"""Predicts the scores of a new task from a few of them and from earlier tasks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_metanas.modules.gaussian_process import GaussianProcess, Prediction, fitted
from lit_metanas.modules.grouped_kernel import Gaussians, GroupedKernel
from lit_metanas.modules.source_process import SourceProcess
from lit_metanas.modules.transfer import combined, evidence_weights
from lit_metanas.records.budget import Cost
from lit_metanas.records.rank_gaussian import rank_gaussian

DEVIATION = 1.0
"""Of the logarithms of a kernel's parameters on a new task, around their mean over the sources."""


class TransferSurrogate:
    """A Gaussian process on the new task's scores that knows what earlier tasks expect.

    From the sources it has two things. The prior of its kernel's parameters is around their mean over the sources: what
    of an architecture matters, how smoothly and how noisily, is much the same on related tasks. And its mean is
    averaged with the means of those sources that order the task's scores nearly rightly (``transfer.combined``); the
    deviation is that of the process. With no sources it is a Gaussian process and nothing else.

    Args:
        kernel: of the sources' processes and of the new task's.
        sources: the earlier tasks' processes.
        mean: the mean over the sources of the parameters of their kernel, shape ``(groups + 2,)``; without sources it
            is not used.

    Attributes:
        prior: of the parameters of the new task's kernel.
    """

    def __init__(self, kernel: GroupedKernel, sources: Sequence[SourceProcess], mean: Tensor) -> None:
        self.kernel = kernel
        self.sources = tuple(sources)
        self.mean = mean.double()
        self.prior = Gaussians(self.mean, torch.full_like(self.mean, DEVIATION)) if self.sources else kernel.prior

    @property
    def cost(self) -> Cost:
        """Of all searches of the earlier tasks."""
        return sum((source.cost for source in self.sources), Cost())

    def source_means(self, features: Tensor) -> Tensor:
        """What each source expects, in standard units, shape ``(sources, n)``, for features ``(n, d)``."""
        means = [source.mean(self.kernel, features) for source in self.sources]
        return torch.stack(means) if means else features.new_empty(0, len(features), dtype=torch.float64)

    def fit(self, features: Tensor, values: Tensor) -> Tensor:
        """The parameters of the task's own process, for features ``(n, d)`` and rank-Gaussian scores ``(n,)``."""
        return fitted(self.kernel, features, values, self.prior)

    def __call__(self, features: Tensor, scores: Tensor, candidates: Tensor) -> Prediction:
        """Predict the rank-Gaussian scores of candidates.

        Args:
            features: of the architectures that were scored, shape ``(n, d)``, in any order.
            scores: the higher the better, on any scale, shape ``(n,)``.
            candidates: shape ``(m, d)``.
        """
        values = rank_gaussian(scores)
        features = features.double()
        process = GaussianProcess(self.kernel, self.fit(features, values), features, values)
        own = process(candidates.double())
        weights = evidence_weights(values, self.source_means(features))
        return own._replace(mean=combined(own.mean, weights, self.source_means(candidates)))
