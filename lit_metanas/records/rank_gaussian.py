"""Scores of one task on a scale that all tasks share."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_gaussian(scores: Tensor) -> Tensor:
    """Replace scores by the normal quantiles of their ranks, ``Φ⁻¹((rank - 1/2) / n)``; equal scores stay equal.

    Tasks differ in how high their scores are and how far they lie apart, and only the order of the architectures is
    theirs to share. Ties get the mean of their ranks (Conover and Iman, 1981, rank transformations; the quantiles are
    Hazen's). It is made anew whenever a score is added.

    Args:
        scores: of one task's architectures, the higher the better, shape ``(n,)``; infinite ones count as extremes.

    Returns:
        Shape ``(n,)``, float64, in the order of the scores.

    Raises:
        ValueError: a score is not a number, or they are not a vector.
    """
    if scores.dim() != 1:
        raise ValueError(f"Scores of one task are a vector, not a tensor of shape {tuple(scores.shape)}.")
    if bool(torch.isnan(scores).any()):
        raise ValueError("A score is not a number (NaN): leave out the architectures that were not scored.")
    values, places, counts = torch.unique(scores.double(), sorted=True, return_inverse=True, return_counts=True)
    del values
    ranks = counts.cumsum(0).double() - (counts.double() - 1) / 2  # the mean of the ranks, from 1, of those that tie
    return torch.special.ndtri((ranks[places] - 0.5) / max(len(scores), 1))
