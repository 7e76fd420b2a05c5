"""Statistics of scores against plain loops and integrals: intervals, fronts, ranks, forecasts."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist, fmean

import pytest
import torch
from hypothesis import given, strategies as st

from lit_metanas.records import Cost, SearchRecord, Trial
from lit_metanas.records.statistics import (
    clearly_above,
    forecast,
    hypervolume,
    non_dominated,
    rank_gaussian,
    t_interval,
    t_quantile,
    widest,
    wilson,
    wilson_reach,
)
from lit_metanas.spaces import Architecture


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


def plain_front(points):
    def dominates(a, b):
        return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))

    return [i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)]


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[st.integers(-3, 3)] * n), max_size=25)))
def test_the_front_is_what_no_point_dominates(points):
    assert non_dominated(points) == plain_front(points)


@given(st.lists(st.tuples(st.integers(-2, 6), st.integers(-2, 6)), max_size=12))
def test_the_hyper_volume_is_the_number_of_dominated_cells(points):
    cells = sum(any(x > i and y > j for x, y in points) for i in range(6) for j in range(6))
    assert hypervolume(points, (0, 0)) == cells


def test_the_widest_points_add_most_to_the_hyper_volume():
    points = [(1.0, 9.0), (9.0, 1.0), (5.0, 5.0), (5.1, 4.9), (4.0, 4.0)]
    assert widest(points, 2, (0.0, 0.0)) == [2, 0]
    assert widest(points, 9, (0.0, 0.0)) == [2, 0, 1, 3]
    assert widest([], 3, (0.0, 0.0)) == []


def test_the_front_and_the_best_of_a_record():
    rows = [("a", 0.5, 30), ("b", 0.7, 50), ("c", 0.7, 40), ("d", 0.4, 30), ("e", 0.1, 10), ("f", 0.9, 5)]
    trials = [Trial(Architecture({"n": n}), v, Cost(), pruned=n == "f", measures={"parameters": p}) for n, v, p in rows]
    repeated = [*trials, trials[2], replace(trials[2], duplicate=True)]
    record = SearchRecord("t", repeated, objectives=("accuracy", "parameters"))
    assert "".join(trial.architecture["n"] for trial in record.front) == "acec"
    assert (record.best.architecture["n"], record.trade_offs) == ("c", record.front)
    assert SearchRecord("t", trials).best.architecture["n"] == "b"
    assert SearchRecord("t", trials).trade_offs == ()
    assert record.value_of(Architecture({"n": "c"})) == 0.7
    assert math.isnan(record.value_of(Architecture({"n": "f"})))  # given up
    assert math.isnan(record.value_of(Architecture({"n": "z"})))


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


def test_ranks_are_of_the_scores_of_one_task() -> None:
    for scores, told in (([[1.0]], r"a vector, not a tensor of shape \(1, 1\)"), ([math.nan], "not a number")):
        with pytest.raises(ValueError, match=told):
            rank_gaussian(torch.tensor(scores))


def error(trained: float) -> float:
    """A power law."""
    return 0.9 * trained**-0.25


def test_a_power_law_is_continued() -> None:
    curve = [(1.0, 0.2), (10.0, 1 - error(10)), (40.0, 1 - error(40))]  # the first point does not count
    assert forecast(curve, 200.0) == pytest.approx(1 - error(200))


@pytest.mark.parametrize(
    "curve", [[(4.0, 0.6)], [(2.0, 0.7), (4.0, 0.6)], [(2.0, 1.0), (4.0, 1.0)], [(0.0, 0.1), (4.0, 0.6)]]
)
def test_without_a_rise_the_last_score_is_all_that_is_known(curve: list[tuple[float, float]]) -> None:
    assert forecast(curve, 100.0) == curve[-1][1]
    assert forecast([(2.0, 0.5), (4.0, 0.6)], 4.0) == 0.6
