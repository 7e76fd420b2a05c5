"""The kernel: the covariance of the scores of two architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussians(NamedTuple):
    """Independent normal distributions of the parameters of a kernel.

    Attributes:
        mean: shape ``(groups + 2,)``.
        deviation: of the same shape.
    """

    mean: Tensor
    deviation: Tensor


class GroupedKernel:
    """``k(x, y) = s² exp(-Σ_g θ_g d_g²(x, y)) + 1``, a squared exponential that weighs groups of features together.

    ``d_g²`` is the squared distance in group ``g``, divided by its mean over pairs of architectures, so that one prior
    of ``θ`` fits all groups. The 1 is the prior variance of a constant mean. Parameters are logarithms, in one tensor:
    ``ln θ_g`` of each group, ``ln s²``, and the ``ln`` of the noise's variance, which is no part of ``k``.

    Args:
        widths: of the groups, as of an ``Encoding``.
        scales: mean squared distances by group, shape ``(groups,)``, as from ``mean_distances``.
    """

    def __init__(self, widths: Sequence[int], scales: Tensor) -> None:
        self.widths = tuple(widths)
        self.scales = scales.double()
        assert self.scales.shape == (len(self.widths),), self.scales.shape

    @property
    def prior(self) -> Gaussians:
        """``ln θ ~ N(ln 0.3, 1)``, ``ln s² ~ N(0, 0.7)``, ``ln noise ~ N(ln 0.1, 1)``; the second are deviations."""
        groups = len(self.widths)
        mean = torch.tensor([0.3] * groups + [1.0, 0.1], dtype=torch.float64).log()
        return Gaussians(mean, torch.tensor([1.0] * groups + [0.7, 1.0], dtype=torch.float64))

    def distances(self, left: Tensor, right: Tensor) -> Tensor:
        """Squared distances by group, in units of their mean.

        Args:
            left: shape ``(n, d)``.
            right: shape ``(m, d)``.

        Returns:
            Shape ``(groups, n, m)``.
        """
        parts = zip(left.split(self.widths, dim=1), right.split(self.widths, dim=1), self.scales, strict=True)
        return torch.stack([_squared_distances(own, other) / scale for own, other, scale in parts])

    def weights(self, parameters: Tensor) -> Tensor:
        """The weight of each feature's squared difference, shape ``(d,)``."""
        groups = len(self.widths)
        return (parameters[:groups].exp() / self.scales).repeat_interleave(torch.tensor(self.widths))

    def __call__(self, parameters: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """The covariance, shape ``(n, m)``, of features of shapes ``(n, d)`` and ``(m, d)``."""
        roots = self.weights(parameters).sqrt()
        return self.of_distance(parameters, _squared_distances(left * roots, right * roots))

    def of_distance(self, parameters: Tensor, distance: Tensor) -> Tensor:
        """The covariance at a weighted squared distance ``Σ_g θ_g d_g²``, of any shape."""
        return parameters[-2].exp() * (-distance).exp() + 1

    def variance(self, parameters: Tensor) -> float:
        """``k(x, x)``."""
        return float(parameters[-2].exp()) + 1


def mean_distances(features: Tensor, widths: Sequence[int]) -> Tensor:
    """Mean squared distance of two rows in each group, shape ``(groups,)``; 1 where all rows are equal.

    It is twice the sum of the features' variances.
    """
    variances = features.double().var(dim=0, correction=0) if len(features) else torch.zeros(features.shape[1])
    means = torch.stack([2 * part.sum() for part in variances.split(tuple(widths))])
    return torch.where(means > 1e-12, means, 1.0).double()


def _squared_distances(left: Tensor, right: Tensor) -> Tensor:
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :]
    return (squares - 2 * left @ right.T).clamp(min=0)
