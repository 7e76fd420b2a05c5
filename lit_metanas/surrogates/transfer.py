"""Transfer between tasks: Gaussian processes of source tasks, their weights by evidence, and the surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log

import torch
from torch import Tensor
from torch.distributions import Normal

from lit_metanas.records import Cost, TaskScores
from lit_metanas.records.statistics import rank_gaussian
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.surrogates.gaussian_process import (
    PREDICTION_CHUNK,
    GaussianProcess,
    GroupedKernel,
    fit_parameters,
)

OWN_WEIGHT = 0.75  # weight of the new task's own process, and the largest of each source's
BANDWIDTH = 0.2  # a source with at least this share of discordant pairs has no weight; 0.5 is chance


def discordance(values: Tensor, predictions: Tensor) -> Tensor:
    """The share of pairs that each source orders unlike the scores: ``(n,)``, ``(sources, n)`` to ``(sources,)``."""
    better = values[:, None] > values[None, :]  # pairs of equal scores do not count
    wrong = predictions[:, :, None] < predictions[:, None, :]
    even = predictions[:, :, None] == predictions[:, None, :]
    return ((wrong.double() + 0.5 * even.double()) * better).sum((1, 2)) / better.sum().clamp(min=1)


def evidence_weights(values: Tensor, predictions: Tensor) -> Tensor:
    """The weight of each source: ``OWN_WEIGHT · max(0, 1 - (d / BANDWIDTH)²)`` with ``d`` its discordance."""
    # The Epanechnikov kernel of Wistuba, Schilling and Schmidt-Thieme (2016), "Two-stage transfer surrogate model",
    # Section 5. If no source has a weight, the plain process is left.
    return OWN_WEIGHT * (1 - (discordance(values, predictions) / BANDWIDTH) ** 2).clamp(min=0)


def combine_predictions(own: Tensor, weights: Tensor, predictions: Tensor) -> Tensor:
    """The weighted mean of the task's own prediction ``(n,)`` and those of the sources ``(sources, n)``."""
    return (OWN_WEIGHT * own + weights @ predictions) / (OWN_WEIGHT + weights.sum())


def portfolio(predictions: Tensor, weights: Tensor, size: int) -> list[int]:
    """At most ``size`` candidates that together are good on all sources, by predictions ``(sources, n)``."""
    # Each in turn raises most the weighted mean over sources of the best -ln(predicted rank / n) so far. The mean is
    # submodular, so this greedy choice is within 1 - 1/e of the best set. It ends when every source has its best.
    number = predictions.shape[1]
    # argsort twice gives ranks from 0, the best first
    ranks = (-predictions).argsort(dim=1, stable=True).argsort(dim=1).double() + 1
    merit = log(number) - ranks.log()
    best = torch.zeros(len(predictions), 1, dtype=torch.float64)
    chosen: list[int] = []
    for _ in range(min(size, number)):
        gain = weights @ (merit - best).clamp(min=0)
        if float(gain.max()) <= 0:
            break
        chosen.append(int(gain.argmax()))
        best = torch.maximum(best, merit[:, chosen[-1]][:, None])
    return chosen


FITTED = 400  # number of scores, evenly over their ranks, that fit the kernel's parameters; the process then takes all
ELITE = 32  # number of best architectures that a source keeps by name


@dataclass(frozen=True, eq=False)
class SourceGP:
    """The posterior mean of a Gaussian process on the rank-Gaussian scores of one task."""

    task_id: str
    parameters: Tensor  # of the kernel, (groups + 2,)
    features: Tensor  # of the scored architectures, (n, d)
    weights: Tensor  # of their covariances in the posterior mean, (n,)
    location: float  # mean of the posterior mean over the candidates
    spread: float  # its deviation over the candidates
    elite: tuple[Architecture, ...] = ()  # best first
    cost: Cost = field(default_factory=Cost)  # of the searches

    def mean(self, kernel: GroupedKernel, features: Tensor) -> Tensor:
        """The posterior mean in standard units over the candidates, shape ``(m,)``, for features ``(m, d)``."""
        parts = (kernel(self.parameters, self.features, part) for part in features.split(PREDICTION_CHUNK))
        return (torch.cat([self.weights @ part for part in parts]) - self.location) / self.spread


def fit_source(scores: TaskScores, kernel: GroupedKernel, candidates: Tensor) -> SourceGP:
    """Learn from two or more scores of one task; candidates ``(m, d)`` standardise the posterior mean."""
    values = rank_gaussian(scores.scores)
    features = scores.features.double()
    order = values.argsort(descending=True, stable=True)
    even = order[torch.linspace(0, len(order) - 1, min(FITTED, len(order))).round().long()]
    parameters = fit_parameters(kernel, features[even], values[even], kernel.prior)
    best = order[:ELITE].tolist() if scores.architectures else []  # which may be left out
    raw = SourceGP(
        task_id=scores.task_id,
        parameters=parameters,
        features=features,
        weights=GaussianProcess(kernel, parameters, features, values).weights,
        location=0.0,
        spread=1.0,
        elite=tuple(scores.architectures[place] for place in best),
        cost=scores.cost,
    )
    means = raw.mean(kernel, candidates)
    return replace(raw, location=float(means.mean()), spread=max(float(means.std(correction=0)), 1e-6))


DEVIATION = 1.0
"""Prior deviation of the logarithms of a kernel's parameters on a new task, around their mean over the sources."""


class TransferSurrogate:
    """A Gaussian process on the new task's scores, averaged with those of earlier tasks.

    The sources help in two ways. First, the prior of the kernel's parameters is centred on their mean over the sources,
    because related tasks agree on the important choices, on smoothness and on noise. Second, the mean is averaged with
    those of the sources that order the task's scores almost rightly (``combine_predictions``). The deviation is that of
    the new process. Without sources it is a plain Gaussian process.

    Args:
        kernel: of the sources' processes and of the new task's.
        sources: the earlier tasks' processes.
        mean: the mean over the sources of their kernels' parameters, shape ``(groups + 2,)``; unused without sources.

    Attributes:
        prior: of the parameters of the new task's kernel.

    Example:
        >>> encoding = lm.spaces.OneHotEncoding(lm.LayeredSpace(shared=True))
        >>> kernel = lm.surrogates.MetaSurrogate(encoding=encoding).kernel
        >>> lm.surrogates.TransferSurrogate(kernel, sources=[], mean=kernel.prior.mean).cost.queries
        0
    """

    def __init__(self, kernel: GroupedKernel, sources: Sequence[SourceGP], mean: Tensor) -> None:
        self.kernel = kernel
        self.sources = tuple(sources)
        self.mean = mean.double()
        self.prior = kernel.prior
        if self.sources:
            self.prior = Normal(self.mean, torch.full_like(self.mean, DEVIATION))

    @property
    def cost(self) -> Cost:
        """Cost of all searches of the earlier tasks."""
        return sum((source.cost for source in self.sources), Cost())

    def source_means(self, features: Tensor) -> Tensor:
        """The prediction of each source, in standard units, shape ``(sources, n)``, for features ``(n, d)``."""
        if not self.sources:
            return features.new_empty(0, len(features), dtype=torch.float64)
        return torch.stack([source.mean(self.kernel, features) for source in self.sources])
