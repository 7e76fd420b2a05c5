"""Jacobian covariance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lit_metanas.estimators.proxy import Proxy, gradients

OFFSET = 1e-5
"""Added to eigenvalues."""


class Jacov(Proxy):
    """How differently the network responds to different images (Mellor et al. 2020, first version; Abdelfattah 2021).

    A row for each image: the gradient of its summed class scores with respect to its pixels. Of the rows' correlation
    matrix with eigenvalues ``v`` the score is ``-sum(log(v + k) + 1 / (v + k))``, ``k = 1e-5``. No number where the
    scores do not depend on an image, such as in a cell without a path from input to output.
    """

    passes = 2
    needs_data = True

    def value(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        """The score; labels do not matter.

        Raises:
            ValueError: there are less than two images.
        """
        del labels
        if len(inputs) < 2:
            raise ValueError(f"Jacov compares images: give at least 2 in a minibatch instead of {len(inputs)}.")
        network.requires_grad_(False)
        inputs.requires_grad_(True)
        (jacobian,) = gradients(network(inputs).sum(), [inputs])
        correlation = torch.corrcoef(jacobian.flatten(1).cpu().double())
        if not bool(torch.isfinite(correlation).all()):
            return math.nan
        shifted = torch.linalg.eigvalsh(correlation) + OFFSET
        return -float((shifted.log() + 1 / shifted).sum())
