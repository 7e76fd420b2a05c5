"""A Gaussian process over architectures, and its posterior over a fixed set of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.surrogates.kernel import Gaussians, GroupedKernel

LIKELIHOOD_STEPS = 60
"""Most steps of L-BFGS; it settles after about 25."""


class Prediction(NamedTuple):
    """The predicted scores of architectures.

    Attributes:
        mean: of the score without noise, shape ``(n,)``.
        deviation: of the same.
        noise: deviation of a score around it.
    """

    mean: Tensor
    deviation: Tensor
    noise: float


class GaussianProcess:
    """The posterior of scores under a kernel and normal noise (Rasmussen and Williams 2006, Algorithm 2.1).

    Args:
        kernel: the covariance.
        parameters: its parameters, shape ``(groups + 2,)``.
        features: of the architectures that were scored, shape ``(n, d)``.
        values: their scores, shape ``(n,)``.
    """

    def __init__(self, kernel: GroupedKernel, parameters: Tensor, features: Tensor, values: Tensor) -> None:
        self.kernel, self.parameters, self.features = kernel, parameters, features
        self.factor = torch.linalg.cholesky(_noisy(kernel(parameters, features, features), parameters))
        self.weights = torch.cholesky_solve(values.double()[:, None], self.factor)[:, 0]

    def __call__(self, features: Tensor) -> Prediction:
        """Predict the scores of architectures, ``(m, d)``; they do not depend on the order of what was scored."""
        covariance = self.kernel(self.parameters, self.features, features)
        explained = torch.linalg.solve_triangular(self.factor, covariance, upper=False)
        variance = self.kernel.variance(self.parameters) - (explained**2).sum(0)
        noise = float((self.parameters[-1] / 2).exp())
        return Prediction(self.weights @ covariance, variance.clamp(min=1e-12).sqrt(), noise)


def negative_log_posterior(
    parameters: Tensor, distances: Tensor, values: Tensor, prior: Gaussians, kernel: GroupedKernel
) -> tuple[Tensor, Tensor]:
    """Minus the logarithm of the parameters' posterior density, up to a constant, and its gradient.

    ``½ yᵀK⁻¹y + ½ ln|K| + ½ Σ ((p - m) / d)²`` with ``K`` the covariance of the scores, noise included (Rasmussen and
    Williams 2006, Equations 5.8 and 5.9).

    Args:
        parameters: shape ``(groups + 2,)``.
        distances: as of the kernel, ``(groups, n, n)``.
        values: shape ``(n,)``.
        prior: of the parameters.
        kernel: the covariance.
    """
    scales = parameters[:-2].exp()
    similar = kernel.of_distance(parameters, torch.tensordot(scales, distances, dims=1)) - 1
    factor = torch.linalg.cholesky(_noisy(similar + 1, parameters))
    inverse = torch.cholesky_inverse(factor)
    weights = inverse @ values
    standard = (parameters - prior.mean) / prior.deviation
    value = 0.5 * values @ weights + factor.diagonal().log().sum() + 0.5 * (standard**2).sum()
    slope = 0.5 * (inverse - torch.outer(weights, weights))  # of the value, by the entries of K
    shared = slope * similar
    by_scale = -scales * (distances.flatten(1) @ shared.flatten())
    by_noise = parameters[-1].exp() * slope.diagonal().sum()
    return value, torch.cat([by_scale, shared.sum()[None], by_noise[None]]) + standard / prior.deviation


def fit_parameters(kernel: GroupedKernel, features: Tensor, values: Tensor, prior: Gaussians) -> Tensor:
    """The parameters of the largest posterior density, by L-BFGS from the prior's mean, shape ``(groups + 2,)``.

    Equal scores say nothing about them except that there is no noise, and without noise no covariance could be
    inverted: the prior's mean is kept.
    """
    if len(values.unique()) < 2:
        return prior.mean.clone()
    distances = kernel.distances(features, features)
    parameters = prior.mean.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [parameters], max_iter=LIKELIHOOD_STEPS, tolerance_grad=1e-3, line_search_fn="strong_wolfe"
    )

    def evaluate() -> Tensor:
        with torch.no_grad():
            value, parameters.grad = negative_log_posterior(parameters.detach(), distances, values, prior, kernel)
        return value

    search.step(evaluate)
    return parameters.detach()


def _noisy(covariance: Tensor, parameters: Tensor) -> Tensor:
    return covariance + torch.diag(parameters[-1].exp().expand(len(covariance)))


POOL_CHUNK = 2048
"""Candidates whose rows are solved for at once, so that no second copy of all rows is made."""

SPARE_ROWS = 16
"""Rows that are laid out ahead."""


class CandidateFeatures:
    """The features of all candidates, laid out for one row of their covariance at a time.

    Args:
        kernel: of these features.
        features: shape ``(n, d)``.
    """

    def __init__(self, kernel: GroupedKernel, features: Tensor) -> None:
        self.kernel = kernel
        self.columns = features.T.contiguous()  # (d, n): features of one candidate are mostly zeros
        squares = [(part**2).sum(0) for part in self.columns.split(kernel.widths)]
        self.norms = torch.stack(squares)  # (groups, n)

    def __len__(self) -> int:
        return self.columns.shape[1]

    def covariance(self, parameters: Tensor, place: int) -> Tensor:
        """The covariance of one candidate with all, shape ``(n,)``."""
        own = self.columns[:, place]
        used = own.nonzero()[:, 0]
        weights = self.kernel.weights(parameters)
        by_group = parameters[:-2].exp() / self.kernel.scales
        common = (weights * own)[used] @ self.columns[used]
        distance = by_group @ self.norms + by_group @ self.norms[:, place] - 2 * common
        return self.kernel.of_distance(parameters, distance.clamp(min=0))

    def covariances(self, parameters: Tensor, places: Sequence[int], others: slice) -> Tensor:
        """The covariance of some candidates with others, shape ``(len(places), len(others))``."""
        weights = self.kernel.weights(parameters)
        by_group = parameters[:-2].exp() / self.kernel.scales
        norms = by_group @ self.norms
        common = (self.columns[:, places].T * weights) @ self.columns[:, others]
        distance = norms[others] + norms[places][:, None] - 2 * common
        return self.kernel.of_distance(parameters, distance.clamp(min=0))


class CandidatePosterior:
    """The posterior of all candidates given the scores of some, for fixed parameters of the kernel.

    The rows of ``L⁻¹ k(scored, all)``, with ``L`` the Cholesky factor of the covariance of the scores, are kept: one
    more score adds one row, in a time that grows with the number of rows, and nothing is inverted again.

    Args:
        pool: the candidates.
        parameters: of the kernel.
        places: the candidates that have been scored.
    """

    def __init__(self, pool: CandidateFeatures, parameters: Tensor, places: Sequence[int]) -> None:
        self.pool, self.parameters = pool, parameters
        self.places = list(places)
        count, capacity = len(self.places), len(self.places) + SPARE_ROWS
        self._rows = torch.empty(capacity, len(pool), dtype=torch.float64)
        self._factor = torch.zeros(capacity, capacity, dtype=torch.float64)
        self._variance = torch.full((len(pool),), pool.kernel.variance(parameters), dtype=torch.float64)
        rows = self._rows[:count]
        for start in range(0, len(pool), POOL_CHUNK):
            rows[:, start : start + POOL_CHUNK] = pool.covariances(
                parameters, self.places, slice(start, start + POOL_CHUNK)
            )
        noise = torch.diag(parameters[-1].exp().expand(count))
        factor = self._factor[:count, :count]
        factor.copy_(torch.linalg.cholesky(rows[:, self.places] + noise))
        for part in rows.split(POOL_CHUNK, dim=1):
            part.copy_(torch.linalg.solve_triangular(factor, part.contiguous(), upper=False))
        for row in rows:
            self._variance -= row**2

    @property
    def deviation(self) -> Tensor:
        """Of the scores without noise, shape ``(n,)``."""
        return self._variance.clamp(min=1e-12).sqrt()

    def mean(self, values: Tensor) -> Tensor:
        """What is expected of all candidates, shape ``(n,)``, where those added have these scores, in their order."""
        count = len(self.places)
        solved = torch.linalg.solve_triangular(self._factor[:count, :count], values.double()[:, None], upper=False)
        return solved[:, 0] @ self._rows[:count]

    def add(self, place: int) -> None:
        """Take one candidate as scored, or scored once more."""
        count = len(self.places)
        if count == len(self._rows):
            self._rows = torch.cat([self._rows, self._rows.new_empty(SPARE_ROWS, len(self.pool))])
            self._factor = torch.nn.functional.pad(self._factor, (0, SPARE_ROWS, 0, SPARE_ROWS))
        known = self._rows[:count, place].clone()
        covariance = self.pool.covariance(self.parameters, place)
        diagonal = (covariance[place] + self.parameters[-1].exp() - known @ known).clamp(min=1e-12).sqrt()
        row = (covariance - known @ self._rows[:count]) / diagonal
        self._factor[count, :count], self._factor[count, count] = known, diagonal
        self._rows[count] = row
        self._variance -= row**2
        self.places.append(place)

    def deviation_beside(self, pending: Sequence[int]) -> Tensor:
        """The deviation once these candidates, too, have been scored: it does not depend on what they score.

        That is the deviation beside scores that are as expected, which leave the mean as it is ("kriging believer",
        Ginsbourger et al. 2010).
        """
        if not pending:
            return self.deviation
        kept, variance = len(self.places), self._variance.clone()
        for place in pending:
            self.add(place)
        deviation = self.deviation
        del self.places[kept:]
        self._variance = variance
        return deviation
