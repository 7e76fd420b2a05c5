"""Rank-Gaussian scores against plain loops over the standard library's normal distribution."""

import math
from statistics import NormalDist, fmean

import pytest
import torch

from lit_metanas.records import rank_gaussian


def by_loops(scores: list[float]) -> list[float]:
    """The normal quantile of the mean of each score's possible ranks."""
    ordered = sorted(scores)
    found = []
    for score in scores:
        rank = fmean(place for place, other in enumerate(ordered, start=1) if other == score)
        found.append(NormalDist().inv_cdf((rank - 0.5) / len(scores)))
    return found


@pytest.mark.parametrize(
    "scores",
    [
        [0.3],
        [0.2, 0.9, 0.5],
        [0.5, 0.5, 0.5],
        [0.1, 0.4, 0.4, 0.4, 0.7, 0.1],
        [-math.inf, 0.4, math.inf, 0.4],
        [float(number) for number in torch.randint(30, (64,), generator=torch.Generator().manual_seed(0))],
    ],
)
def test_equals_plain_loops(scores: list[float]) -> None:
    found = rank_gaussian(torch.tensor(scores, dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor(by_loops(scores), dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_refuses_what_is_no_score() -> None:
    with pytest.raises(ValueError, match="not a number"):
        rank_gaussian(torch.tensor([0.1, math.nan]))
    with pytest.raises(ValueError, match=r"vector, not a tensor of shape \(2, 3\)"):
        rank_gaussian(torch.zeros(2, 3))
