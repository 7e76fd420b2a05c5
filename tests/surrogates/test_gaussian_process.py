"""The process and its acquisition against textbook formulas in plain loops, float64 and high precision."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from lit_metanas.surrogates import GaussianProcess
from lit_metanas.surrogates.gaussian_process import (
    GroupedKernel,
    fit_parameters,
    log_expected_improvement,
    negative_log_posterior,
)

WIDTHS = (3, 1, 2)


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(number=12, others=5, seed=0):
    """Features, scores, other features, a kernel and some parameters of it."""
    features = (3 * drawn(number + others, sum(WIDTHS), seed=seed)).round()
    kernel = GroupedKernel.of(features, WIDTHS)
    parameters = torch.tensor([-1.0, 0.2, -0.5, 0.3, -2.0], dtype=torch.float64)
    values = torch.randn(number, generator=torch.Generator().manual_seed(1)).double()
    return features[:number], values, features[number:], kernel, parameters


def plain_covariance(scales, parameters, one, other):
    """``s² exp(-Σ θ_g d_g² / scale_g) + 1`` of two rows."""
    total, start = 0.0, 0
    for group, width in enumerate(WIDTHS):
        squared = sum((one[k] - other[k]) ** 2 for k in range(start, start + width))
        total += math.exp(parameters[group]) * squared / scales[group]
        start += width
    return math.exp(parameters[-2]) * math.exp(-total) + 1


def plain_posterior(scales, parameters, features, values, candidates):
    """Means and deviations by inverting the covariance."""
    rows = [[plain_covariance(scales, parameters, a, b) for b in features] for a in features]
    inverse = np.linalg.inv(np.array(rows) + math.exp(parameters[-1]) * np.eye(len(features)))
    found = []
    for candidate in candidates:
        cross = np.array([plain_covariance(scales, parameters, candidate, known) for known in features])
        prior = plain_covariance(scales, parameters, candidate, candidate)
        found.append((cross @ inverse @ values, math.sqrt(prior - cross @ inverse @ cross)))
    return np.array(found).T


def test_mean_distances_are_those_over_all_pairs():
    features = drawn(9, 6)
    expected = []
    for start, width in ((0, 3), (3, 1), (4, 2)):
        part = features[:, start : start + width]
        pairs = [float(((a - b) ** 2).sum()) for a in part for b in part]
        expected.append(sum(pairs) / len(pairs))
    torch.testing.assert_close(GroupedKernel.of(features, WIDTHS).scales, torch.tensor(expected, dtype=torch.float64))
    assert GroupedKernel.of(torch.ones(4, 6), WIDTHS).scales.tolist() == [1, 1, 1]


def test_posterior_equals_the_textbook(monkeypatch):
    monkeypatch.setattr("lit_metanas.surrogates.gaussian_process.PREDICTION_CHUNK", 2)
    features, values, candidates, kernel, parameters = problem()
    found = GaussianProcess(kernel, parameters, features, values)(candidates)
    plain = (kernel.scales.numpy(), parameters.numpy(), features.numpy(), values.numpy(), candidates.numpy())
    mean, deviation = plain_posterior(*plain)
    torch.testing.assert_close(found.mean, torch.from_numpy(mean), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.deviation, torch.from_numpy(deviation), rtol=1e-9, atol=1e-9)


def plain_objective(kernel, parameters, features, values):
    """Minus the log density by determinant and inverse; the prior's numbers are those of the documentation."""
    scales, rows = kernel.scales.tolist(), features.tolist()
    covariance = np.array([[plain_covariance(scales, parameters, a, b) for b in rows] for a in rows])
    covariance += math.exp(parameters[-1]) * np.eye(len(rows))
    quadratic = values.numpy() @ np.linalg.solve(covariance, values.numpy())
    means = [math.log(0.3)] * 3 + [0.0, math.log(0.1)]
    prior = sum(((p - m) / d) ** 2 for p, m, d in zip(parameters, means, [1, 1, 1, 0.7, 1], strict=True))
    return 0.5 * (quadratic + np.linalg.slogdet(covariance)[1] + prior)


def test_objective_and_gradient_equal_the_plain_formula_and_differences():
    features, values, _, kernel, parameters = problem()
    distances = kernel.distances(features, features)
    value, gradient = negative_log_posterior(parameters, distances, values, kernel.prior, kernel)
    assert float(value) == pytest.approx(plain_objective(kernel, parameters.tolist(), features, values), rel=1e-10)
    for place in range(len(parameters)):
        sides = ([p + step * (k == place) for k, p in enumerate(parameters.tolist())] for step in (1e-5, -1e-5))
        high, low = (plain_objective(kernel, side, features, values) for side in sides)
        assert float(gradient[place]) == pytest.approx((high - low) / 2e-5, rel=1e-5, abs=1e-7)


def test_fit_finds_a_minimum():
    features, values, _, kernel, _ = problem(number=30)
    best = fit_parameters(kernel, features, values, kernel.prior)
    distances = kernel.distances(features, features)
    value, gradient = negative_log_posterior(best, distances, values, kernel.prior, kernel)
    assert gradient.abs().max() < 1e-2
    for place in range(len(best)):
        for step in (-0.1, 0.1):
            moved = best.clone()
            moved[place] += step
            assert negative_log_posterior(moved, distances, values, kernel.prior, kernel)[0] > value


def test_equal_scores_however_many_are_no_evidence_of_a_kernel():
    features, _, _, kernel, _ = problem(number=200)
    values = torch.zeros(200, dtype=torch.float64)
    parameters = fit_parameters(kernel, features, values, kernel.prior)
    assert torch.equal(parameters, kernel.prior.mean)
    assert float(GaussianProcess(kernel, parameters, features, values)(features).mean.abs().max()) < 1e-12


def exact_log_h(z):
    x = Fraction(-z)
    tail = x
    for k in range(300, 0, -1):
        tail = x + Fraction(k) / Fraction(float(tail)) if k > 60 else x + k / Fraction(tail).limit_denominator(10**30)
    mills = 1 / tail  # Φ(z) / φ(z)
    return -(z**2) / 2 - math.log(2 * math.pi) / 2 + math.log(1 - x * mills)


@pytest.mark.parametrize("z", [-6.0, -31.0, -299.0, -301.0, -5000.0])
def test_log_expected_improvement_where_the_improvement_underflows(z):
    found = log_expected_improvement(torch.tensor([z]).double(), torch.ones(1).double(), 0.0)
    assert float(found) == pytest.approx(exact_log_h(z), rel=1e-10)


def test_log_expected_improvement_is_the_integral_and_continuous():
    grid = torch.linspace(-9, 9, 200001, dtype=torch.float64)
    density = torch.distributions.Normal(0.0, 1.0).log_prob(grid).exp()
    for mean, deviation, best in ((0.3, 0.5, 0.1), (-2.0, 1.5, 0.4), (4.0, 0.1, 1.0), (0.0, 1.0, 1.0), (0.0, 1.0, 3.5)):
        expected = torch.trapezoid((mean + deviation * grid - best).clamp(min=0) * density, grid).log()
        found = log_expected_improvement(torch.tensor(mean).double(), torch.tensor(deviation).double(), best)
        assert float(found) == pytest.approx(float(expected), abs=1e-6)
    for place in (-1.0, -300.0):
        near = torch.tensor([place - 1e-9, place + 1e-9], dtype=torch.float64)
        low, high = log_expected_improvement(near, torch.ones(2).double(), 0.0)
        assert 0 < float(high - low) < 1e-6 * abs(place)
