"""The posterior of a Gaussian process over a fixed set of candidates, and the expected improvement of each."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi, sqrt

import torch
from torch import Tensor

from lit_metanas.surrogates.gaussian_process import GroupedKernel

POOL_CHUNK = 2048
"""Number of candidates that are solved at once, so that no second copy of all rows is made."""

SPARE_ROWS = 16
"""Number of rows that are allocated ahead."""


class CandidateFeatures:
    """The features ``(n, d)`` of all candidates, laid out for one row of their covariance at a time."""

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
    """The posterior of all candidates given the scores of some, for fixed parameters of the kernel."""

    # It keeps the rows of L⁻¹ k(scored, all), with L the Cholesky factor of the covariance of the scores. A further
    # score adds one row, in a time that grows with the number of rows, and nothing is inverted again.

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
        """Deviation of the scores without noise, shape ``(n,)``."""
        return self._variance.clamp(min=1e-12).sqrt()

    def mean(self, values: Tensor) -> Tensor:
        """The expected scores of all candidates, shape ``(n,)``, given those of the added ones, in their order."""
        count = len(self.places)
        solved = torch.linalg.solve_triangular(self._factor[:count, :count], values.double()[:, None], upper=False)
        return solved[:, 0] @ self._rows[:count]

    def add(self, place: int) -> None:
        """Count one candidate as scored, or scored once more."""
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
        """The deviation after these candidates, too, have been scored, which does not depend on their scores."""
        # "Kriging believer" (Ginsbourger et al. 2010): the pending scores are taken as expected, and keep the mean.
        if not pending:
            return self.deviation
        kept, variance = len(self.places), self._variance.clone()
        for place in pending:
            self.add(place)
        deviation = self.deviation
        del self.places[kept:]
        self._variance = variance
        return deviation


def log_expected_improvement(mean: Tensor, deviation: Tensor, best: float) -> Tensor:
    """``ln E[max(f - best, 0)]`` for ``f ~ N(mean, deviation²)``, exact even if the expectation underflows."""
    # Ament et al. (2023), "Unexpected improvements to expected improvement", Equation 9.
    z = (mean - best) / deviation
    return deviation.log() + _log_h(z)


def by_improvement(mean: Tensor, deviation: Tensor, best: float) -> list[int]:
    """Places in the order of their expected improvement, the largest first; the earlier of equals."""
    order: list[int] = log_expected_improvement(mean, deviation, best).argsort(descending=True, stable=True).tolist()
    return order


def _log_h(z: Tensor) -> Tensor:
    """``ln(φ(z) + z Φ(z))``."""
    high = z.clamp(min=-1)
    direct = (torch.exp(-(high**2) / 2) / sqrt(2 * pi) + high * torch.special.ndtr(high)).log()
    low = z.clamp(min=-1e4, max=-1)
    # |z| Φ(z) / φ(z), which grows to 1, by the scaled complementary error function
    ratio = sqrt(pi / 2) * torch.special.erfcx(-low / sqrt(2)) * low.abs()
    scaled = -(low**2) / 2 - log(2 * pi) / 2 + torch.log1p(-ratio)
    # 1 - ratio -> 1 / z²: beyond this the difference has no digits left.
    far = z.clamp(max=-1)
    limit = -(far**2) / 2 - log(2 * pi) / 2 - 2 * far.abs().log() + torch.log1p(-3 / far**2 + 15 / far**4)
    return torch.where(z > -1, direct, torch.where(z > -300, scaled, limit))
