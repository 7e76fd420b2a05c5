"""What was learned from the searches of one earlier task."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lit_metanas.modules.gaussian_process import GaussianProcess, fitted
from lit_metanas.modules.grouped_kernel import GroupedKernel
from lit_metanas.records.budget import Cost
from lit_metanas.records.rank_gaussian import rank_gaussian
from lit_metanas.records.task_scores import TaskScores
from lit_metanas.spaces.architecture import Architecture

FITTED = 400
"""Scores by which the kernel's parameters are fitted, evenly over their ranks; the process then takes all."""
ELITE = 32
"""Best architectures of the searches that are kept by name."""
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class SourceProcess:
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
        parts = [self.weights @ kernel(self.parameters, self.features, part) for part in features.split(CHUNK)]
        return (torch.cat(parts) - self.location) / self.spread if parts else self.weights.new_empty(0)


def learned(scores: TaskScores, kernel: GroupedKernel, candidates: Tensor) -> SourceProcess:
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
    parameters = fitted(kernel, features[even], values[even], kernel.prior)
    process = GaussianProcess(kernel, parameters, features, values)
    best = order[:ELITE].tolist() if scores.architectures else []
    raw = SourceProcess(
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
