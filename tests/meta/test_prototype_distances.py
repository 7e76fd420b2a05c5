"""Distances to class means, by a matrix product."""

import pytest
import torch

from lit_metanas.meta.heads import squared_distances


def pairwise(points, centres):
    return (points.double().unsqueeze(1) - centres.double().unsqueeze(0)).square().sum(-1)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_distances_are_exact_however_far_the_features_are_from_zero(offset):
    points, centres = offset + torch.rand(7, 5), offset + torch.rand(3, 5)
    torch.testing.assert_close(
        squared_distances(points, centres).double(), pairwise(points, centres), rtol=1e-4, atol=0
    )


def test_the_gradient_is_that_of_the_differences():
    points, centres = torch.rand(7, 5, dtype=torch.float64), torch.rand(3, 5, dtype=torch.float64)
    weights = torch.rand(7, 3, dtype=torch.float64)
    found, expected = (
        torch.func.grad(lambda both, f=function: (weights * f(*both)).sum())((points, centres))
        for function in (squared_distances, pairwise)
    )
    torch.testing.assert_close(found, expected)


def test_half_precision_takes_differences():
    points, centres = 10 + torch.rand(7, 5), 10 + torch.rand(3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = squared_distances(points, centres)
    torch.testing.assert_close(found.double(), pairwise(points, centres), rtol=1e-4, atol=0)
    few = squared_distances(points.bfloat16(), centres.bfloat16())
    torch.testing.assert_close(few.double(), pairwise(points.bfloat16(), centres.bfloat16()), rtol=0.05, atol=0.01)
