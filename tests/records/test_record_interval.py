import math

import pytest

from lit_metanas.records.statistics import clearly_above, t_interval, t_quantile, wilson, wilson_reach


def integrated(t: float, freedom: int, steps: int = 20_000) -> float:
    """Distribution function of Student's t by Simpson's rule."""
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)

    def density(x: float) -> float:
        return constant * (1 + x * x / freedom) ** (-(freedom + 1) / 2)

    h = t / steps
    inner = sum((4 if k % 2 else 2) * density(k * h) for k in range(1, steps))
    return 0.5 + h / 3 * (density(0) + inner + density(t))


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 20, 99, 499, 500, 501, 999])
def test_quantile_inverts_the_integrated_density(freedom):
    for probability in (0.9, 0.975):
        assert integrated(t_quantile(probability, freedom), freedom) == pytest.approx(probability, abs=1e-9)


def test_interval_by_hand():
    interval = t_interval([0.5, 0.6, 0.7])
    assert interval.mean == pytest.approx(0.6)
    assert interval.half == pytest.approx(4.302652729911275 * 0.1 / math.sqrt(3))
    assert math.isnan(t_interval([0.5]).half)
    with pytest.raises(ValueError, match="at least one value"):
        t_interval([])


@pytest.mark.parametrize(("probability", "freedom"), [(0.4, 3), (1.0, 3), (0.9, 0)])
def test_impossible_quantiles_are_refused(probability, freedom):
    with pytest.raises(ValueError, match="No t quantile"):
        t_quantile(probability, freedom)


@pytest.mark.parametrize("other", [-0.2, 0.0, 0.4, 1.0])
def test_a_score_is_clearly_above_from_a_standard_error_on(other):
    share = max(other, 0.0)
    error = math.sqrt(share * (1 - share) / 50 + 1 / (4 * 50**2)) / (1 + 1 / 50)
    assert clearly_above(other + error + 1e-9, other, 50)
    assert not clearly_above(other + error - 1e-9, other, 50)


@pytest.mark.parametrize(("right", "number"), [(0, 10), (7, 10), (50, 100), (100, 100)])
def test_wilsons_interval_solves_its_equation(right, number):
    share, z = right / number, 1.959964
    half = wilson(share, number)
    centre = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    bounds = (centre - half, centre + half)
    for bound in bounds:
        assert (share - bound) ** 2 == pytest.approx(z**2 * bound * (1 - bound) / number, abs=1e-9)
    assert wilson_reach(share, number) == pytest.approx(max(abs(share - bound) for bound in bounds))


@pytest.mark.parametrize(("accuracy", "number"), [(0.9, 20), (0.98, 100), (0.99, 200), (0.6, 40)])
def test_shown_intervals_hold_the_true_accuracy_in_about_95_of_100_cases(accuracy, number):
    chances = [math.comb(number, k) * accuracy**k * (1 - accuracy) ** (number - k) for k in range(number + 1)]
    held = [abs(k / number - accuracy) <= wilson_reach(k / number, number) for k in range(number + 1)]
    assert sum(chance for chance, right in zip(chances, held, strict=True) if right) >= 0.945
