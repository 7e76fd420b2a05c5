"""Transfer between tasks: Gaussian processes of source tasks, their weights by evidence, and the surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log
from typing import Self

import torch
from torch import Tensor

from lit_metanas.records.budget import Cost
from lit_metanas.records.record import TaskScores
from lit_metanas.records.statistics import rank_gaussian
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.surrogates.gaussian_process import (
    GaussianProcess,
    Gaussians,
    GroupedKernel,
    Prediction,
    fit_parameters,
)

OWN_WEIGHT = 0.75
"""Weight of the new task's own process, and the largest of each source's."""
BANDWIDTH = 0.2
"""Share of discordant pairs from which on a source counts nothing; 0.5 is chance."""


def discordance(values: Tensor, predictions: Tensor) -> Tensor:
    """The share of pairs of architectures that each source orders otherwise than their scores do.

    Pairs of equal scores do not count; where there are no others it is 0.

    Args:
        values: scores on the task, shape ``(n,)``.
        predictions: of each source for the same architectures, ``(sources, n)``.

    Returns:
        Shape ``(sources,)``.
    """
    better = values[:, None] > values[None, :]
    wrong = predictions[:, :, None] < predictions[:, None, :]
    even = predictions[:, :, None] == predictions[:, None, :]
    missed = ((wrong.double() + 0.5 * even.double()) * better).sum((1, 2))
    return missed / better.sum().clamp(min=1)


def evidence_weights(values: Tensor, predictions: Tensor) -> Tensor:
    """The weight of each source: ``OWN_WEIGHT · max(0, 1 - (d / BANDWIDTH)²)`` with ``d`` its discordance.

    Wistuba, Schilling and Schmidt-Thieme (2016), "Two-stage transfer surrogate model", Section 5: the Epanechnikov
    kernel. A source that misleads loses its weight, and without any the plain process is left.
    """
    return OWN_WEIGHT * (1 - (discordance(values, predictions) / BANDWIDTH) ** 2).clamp(min=0)


def combine_predictions(own: Tensor, weights: Tensor, predictions: Tensor) -> Tensor:
    """The weighted mean of the task's own prediction and those of the sources.

    Args:
        own: shape ``(n,)``.
        weights: shape ``(sources,)``.
        predictions: shape ``(sources, n)``.
    """
    return (OWN_WEIGHT * own + weights @ predictions) / (OWN_WEIGHT + weights.sum())


def portfolio(predictions: Tensor, weights: Tensor, size: int) -> list[int]:
    """Candidates of which at least one is good on every source, the most useful first.

    Greedily each raises most the weighted mean over sources of the best ``-ln(predicted rank / n)`` so far; the
    earliest of equals. Choosing so is within ``1 - 1/e`` of the best set, for that mean is submodular. Once each source
    has its best, nothing raises the mean, and there are no more: one source has one.

    Args:
        predictions: of each source for all candidates, shape ``(sources, n)``, the higher the better.
        weights: of the sources, shape ``(sources,)``.
        size: most candidates to choose.
    """
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


def closeness(embedding: Tensor, others: Tensor) -> Tensor:
    """Weights of sources by how near their tasks are, ``exp(-d² / mean d²)``; they sum to 1.

    ``d²`` is the squared distance of embeddings whose features are standardised over the sources and the task.

    Args:
        embedding: of the task, shape ``(e,)``.
        others: of the sources, shape ``(sources, e)``.
    """
    everything = torch.cat([embedding[None], others]).double()
    spread = everything.std(dim=0, correction=0)
    standard = (everything - everything.mean(0)) / torch.where(spread > 1e-12, spread, 1.0)
    squares = ((standard[1:] - standard[0]) ** 2).sum(1)
    weights = (-squares / squares.mean().clamp(min=1e-12)).exp()
    return weights / weights.sum()


FITTED = 400
"""Scores by which the kernel's parameters are fitted, evenly over their ranks; the process then takes all."""
ELITE = 32
"""Best architectures of the searches that are kept by name."""
PREDICTION_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class SourceGP:
    """The posterior mean of a Gaussian process on the rank-Gaussian scores of one task.

    Attributes:
        task_id: the task.
        parameters: of the kernel, shape ``(groups + 2,)``.
        features: of the scored architectures, shape ``(n, d)``.
        weights: of their covariances in the posterior mean, shape ``(n,)``.
        location: mean of the posterior mean over the candidates.
        spread: its deviation over the candidates.
        candidates: the posterior mean of the encoding's candidates, in standard units, shape ``(m,)``.
        embedding: of the task, shape ``(e,)``, or of length 0.
        elite: the best architectures, the best first.
        cost: of the searches that scored them.
    """

    task_id: str
    parameters: Tensor
    features: Tensor
    weights: Tensor
    location: float
    spread: float
    candidates: Tensor
    embedding: Tensor
    elite: tuple[Architecture, ...] = ()
    cost: Cost = field(default_factory=Cost)

    def mean(self, kernel: GroupedKernel, features: Tensor) -> Tensor:
        """The posterior mean in standard units over the candidates, shape ``(m,)``, for features ``(m, d)``."""
        parts = [
            self.weights @ kernel(self.parameters, self.features, part) for part in features.split(PREDICTION_CHUNK)
        ]
        return (torch.cat(parts) - self.location) / self.spread if parts else self.weights.new_empty(0)


def fit_source(scores: TaskScores, kernel: GroupedKernel, candidates: Tensor) -> SourceGP:
    """Learn from the scores of one task.

    Args:
        scores: of at least two architectures.
        kernel: of their features.
        candidates: features of the encoding's candidates, over which the posterior mean is standardised, ``(m, d)``.
    """
    values = rank_gaussian(scores.scores)
    features = scores.features.double()
    order = values.argsort(descending=True, stable=True)
    even = order[torch.linspace(0, len(order) - 1, min(FITTED, len(order))).round().long()]
    parameters = fit_parameters(kernel, features[even], values[even], kernel.prior)
    process = GaussianProcess(kernel, parameters, features, values)
    best = order[:ELITE].tolist() if scores.architectures else []
    raw = SourceGP(
        task_id=scores.task_id,
        parameters=parameters,
        features=features,
        weights=process.weights,
        location=0.0,
        spread=1.0,
        candidates=features.new_empty(0),
        embedding=scores.embedding.double(),
        elite=tuple(scores.architectures[place] for place in best),
        cost=scores.cost,
    )
    means = raw.mean(kernel, candidates)
    location, spread = float(means.mean()), max(float(means.std(correction=0)), 1e-6)
    return replace(raw, location=location, spread=spread, candidates=(means - location) / spread)


DEVIATION = 1.0
"""Of the logarithms of a kernel's parameters on a new task, around their mean over the sources."""


class TransferSurrogate:
    """A Gaussian process on the new task's scores, averaged with those of earlier tasks.

    It takes two things from the sources. The prior of its kernel's parameters is centred on their mean over the
    sources, for what matters in an architecture, how smoothly and how noisily, is much the same on related tasks. And
    its mean is averaged with the means of those sources that order the task's scores nearly rightly
    (``combine_predictions``); the deviation is that of the process. With no sources it is a plain Gaussian process.

    Args:
        kernel: of the sources' processes and of the new task's.
        sources: the earlier tasks' processes.
        mean: the mean over the sources of the parameters of their kernel, shape ``(groups + 2,)``; without sources it
            is not used.

    Attributes:
        prior: of the parameters of the new task's kernel.

    Example:
        >>> import lit_metanas as lm
        >>> kernel = lm.MetaSurrogate(encoding=lm.OneHotEncoding(lm.LayeredSpace(shared=True))).kernel
        >>> plain = lm.TransferSurrogate(kernel, sources=[], mean=kernel.prior.mean)
        >>> plain.cost
        Cost(queries=0, steps=0, images=0, flops=0, seconds=0.0)
    """

    def __init__(self, kernel: GroupedKernel, sources: Sequence[SourceGP], mean: Tensor) -> None:
        self.kernel = kernel
        self.sources = tuple(sources)
        self.mean = mean.double()
        self.prior = Gaussians(self.mean, torch.full_like(self.mean, DEVIATION)) if self.sources else kernel.prior

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # nothing changes it, and a sampler that holds it is copied for each trial

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
        return fit_parameters(self.kernel, features, values, self.prior)

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
        return own._replace(mean=combine_predictions(own.mean, weights, self.source_means(candidates)))
