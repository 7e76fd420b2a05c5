"""How much earlier tasks count on a new one, and what to try on it first."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

OWN = 0.75
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
    """The weight of each source beside ``OWN``: ``OWN · max(0, 1 - (d / BANDWIDTH)²)`` with ``d`` its discordance.

    Wistuba, Schilling and Schmidt-Thieme (2016), "Two-stage transfer surrogate model", Section 5: the Epanechnikov
    kernel. A source that misleads loses its weight, and without any the plain process is left.
    """
    return OWN * (1 - (discordance(values, predictions) / BANDWIDTH) ** 2).clamp(min=0)


def combined(own: Tensor, weights: Tensor, predictions: Tensor) -> Tensor:
    """The weighted mean of the task's own prediction and those of the sources.

    Args:
        own: shape ``(n,)``.
        weights: shape ``(sources,)``.
        predictions: shape ``(sources, n)``.
    """
    return (OWN * own + weights @ predictions) / (OWN + weights.sum())


def portfolio(predictions: Tensor, weights: Tensor, size: int) -> list[int]:
    """Candidates of which at least one is good on every source, the most useful first.

    Greedily each raises most the weighted mean over sources of the best ``-ln(predicted rank / n)`` so far; the
    earliest of equals. Choosing so is within ``1 - 1/e`` of the best set, for that mean is submodular.

    Args:
        predictions: of each source for all candidates, shape ``(sources, n)``, the higher the better.
        weights: of the sources, shape ``(sources,)``.
        size: candidates to choose.
    """
    number = predictions.shape[1]
    # argsort twice gives ranks from 0, the best first
    ranks = (-predictions).argsort(dim=1, stable=True).argsort(dim=1).double() + 1
    merit = log(number) - ranks.log()
    best = torch.zeros(len(predictions), 1, dtype=torch.float64)
    chosen: list[int] = []
    for _ in range(min(size, number)):
        gain = weights @ torch.maximum(merit, best)
        gain[chosen] = -torch.inf
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
