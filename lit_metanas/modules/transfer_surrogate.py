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

DEVIATION = 0.5
"""Of the logarithms of a kernel's parameters on a new task, around their mean over the sources."""


class TransferSurrogate:
    """A Gaussian process on the new task's scores that knows what earlier tasks expect.

    In two ways. What the sources expect of an architecture is a further group of features: architectures are alike if
    they did alike elsewhere, as far as the task's scores bear it out, which the fit of the kernel decides. And the mean
    is the weighted mean of the process and of those sources that order the task's scores rightly
    (``transfer.combined``); the deviation is that of the process. With no sources it is a Gaussian process and nothing
    else. ``MetaSampler`` takes turns between the two ways: the *informed* process, with that group of features, and the
    weighted mean with a process that lacks it.

    Args:
        source_kernel: of the sources' processes.
        sources: the earlier tasks' processes.
        mean: the mean over the sources of the parameters of their kernel, shape ``(groups + 2,)``; without sources it
            is not used.

    Attributes:
        kernel: of the new task's process, whose last group of features, if any, are the sources' expectations.
        prior: of its parameters.
    """

    def __init__(self, source_kernel: GroupedKernel, sources: Sequence[SourceProcess], mean: Tensor) -> None:
        self.source_kernel = self.kernel = source_kernel
        self.sources = tuple(sources)
        self.mean = mean.double()
        self.prior = source_kernel.prior
        if self.sources:
            number = len(self.sources)
            # In standard units two architectures differ by 2 in the square, on average, for each source.
            scales = torch.cat([source_kernel.scales, torch.tensor([2.0 * number], dtype=torch.float64)])
            self.kernel = GroupedKernel((*source_kernel.widths, number), scales)
            self.prior = _with_group(self.mean, self.kernel.prior)

    @property
    def cost(self) -> Cost:
        """Of all searches of the earlier tasks."""
        return sum((source.cost for source in self.sources), Cost())

    def source_means(self, features: Tensor) -> Tensor:
        """What each source expects, in standard units, shape ``(sources, n)``, for features ``(n, d)``."""
        means = [source.mean(self.source_kernel, features) for source in self.sources]
        return torch.stack(means) if means else features.new_empty(0, len(features), dtype=torch.float64)

    def extended(self, features: Tensor, means: Tensor) -> Tensor:
        """Features for ``kernel``: ``(n, d)`` and what the sources expect, ``(sources, n)``, side by side."""
        return torch.cat([features.double(), means.T], dim=1)

    def fit(self, features: Tensor, values: Tensor, *, informed: bool = True) -> Tensor:
        """The parameters of the task's own process, for extended features and rank-Gaussian scores ``(n,)``.

        Args:
            features: shape ``(n, d + sources)``.
            values: shape ``(n,)``.
            informed: whether what the sources expect makes architectures alike; else that group weighs nothing.
        """
        if informed or not self.sources:
            return fitted(self.kernel, features, values, self.prior)
        inner = [*range(len(self.mean) - 2), -2, -1]
        prior = Gaussians(self.prior.mean[inner], self.prior.deviation[inner])
        found = torch.full_like(self.prior.mean, -torch.inf)
        found[inner] = fitted(self.source_kernel, features[:, : -len(self.sources)], values, prior)
        return found

    def __call__(self, features: Tensor, scores: Tensor, candidates: Tensor) -> Prediction:
        """Predict the rank-Gaussian scores of candidates.

        Args:
            features: of the architectures that were scored, shape ``(n, d)``, in any order.
            scores: the higher the better, on any scale, shape ``(n,)``.
            candidates: shape ``(m, d)``.
        """
        values = rank_gaussian(scores)
        known, means = self.source_means(features), self.source_means(candidates)
        inputs = self.extended(features, known)
        process = GaussianProcess(self.kernel, self.fit(inputs, values), inputs, values)
        own = process(self.extended(candidates, means))
        return own._replace(mean=combined(own.mean, evidence_weights(values, known), means))


def _with_group(mean: Tensor, wide: Gaussians) -> Gaussians:
    """The prior around the sources' mean, but wide for the group that the sources do not have."""
    found = Gaussians(wide.mean.clone(), wide.deviation.clone())
    inner = [*range(len(mean) - 2), -2, -1]
    found.mean[inner], found.deviation[inner] = mean, DEVIATION
    return found
