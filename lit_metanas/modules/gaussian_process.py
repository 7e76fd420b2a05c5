"""A Gaussian process over architectures: its parameters, fitted, and its posterior."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.modules.grouped_kernel import Gaussians, GroupedKernel

STEPS = 60
"""Most steps of L-BFGS; it settles after about 25."""


class Prediction(NamedTuple):
    """What is expected of architectures.

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


def objective(
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


def fitted(kernel: GroupedKernel, features: Tensor, values: Tensor, prior: Gaussians) -> Tensor:
    """The parameters of the largest posterior density, by L-BFGS from the prior's mean, shape ``(groups + 2,)``.

    Equal scores tell nothing of them, but that there is no noise: without it no covariance could be inverted, so the
    prior's mean is kept.
    """
    if len(values.unique()) < 2:
        return prior.mean.clone()
    distances = kernel.distances(features, features)
    parameters = prior.mean.clone().requires_grad_()
    search = torch.optim.LBFGS([parameters], max_iter=STEPS, tolerance_grad=1e-3, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        with torch.no_grad():
            value, parameters.grad = objective(parameters.detach(), distances, values, prior, kernel)
        return value

    search.step(evaluate)
    return parameters.detach()


def _noisy(covariance: Tensor, parameters: Tensor) -> Tensor:
    return covariance + torch.diag(parameters[-1].exp().expand(len(covariance)))
