import math
from statistics import fmean, stdev

import numpy as np
import pytest

from lit_metanas.report import paired_difference
from lit_metanas.report.paired_statistics import (
    bootstrap_means,
    mean_curve,
    over_seeds,
    over_units,
    saturation,
    tasks_until_it_pays,
)

T2 = 4.302652729911275  # t(0.975, 2 degrees of freedom)


def test_interval_over_episodes_averages_seeds_first(make):
    rows = [make("a", seed=0, values=[0.4, 0.6, 0.8]), make("a", seed=1, values=[0.6, 0.6, 0.9])]
    interval = over_units(rows)
    means = [0.5, 0.6, 0.85]
    assert interval.mean == pytest.approx(fmean(means))
    assert interval.half == pytest.approx(T2 * stdev(means) / math.sqrt(3))


def test_interval_over_tasks(make):
    rows = [
        make("a", seed=s, value=v + s / 10, task=t) for s in (0, 1) for t, v in (("x", 0.5), ("y", 0.7), ("z", 0.6))
    ]
    interval = over_units(rows)
    assert interval.mean == pytest.approx(0.65)
    assert interval.half == pytest.approx(T2 * 0.1 / math.sqrt(3))


def test_a_single_task_keeps_its_own_interval(make):
    interval = over_units([make("a", value=0.5)])
    assert (interval.mean, interval.half) == (0.5, 0.03)


def test_interval_over_seeds(make):
    rows = [make("a", seed=s, values=[0.5 + s / 10, 0.7 + s / 10]) for s in range(3)]
    interval = over_seeds(rows)
    assert interval.mean == pytest.approx(0.7)
    assert interval.half == pytest.approx(T2 * 0.1 / math.sqrt(3))


def test_bootstrap_of_one_group_has_the_closed_forms_spread():
    values = np.random.default_rng(1).normal(0.3, 2.0, size=400)
    means = bootstrap_means([values], seed=0, draws=20_000)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.std() == pytest.approx(values.std() / math.sqrt(400), rel=0.02)


def test_bootstrap_of_two_levels_has_the_plain_loops_spread():
    generator = np.random.default_rng(2)
    groups = [generator.normal(mean, 1.0, size=size) for mean, size in ((0.0, 30), (1.0, 20), (-0.5, 40))]
    means = bootstrap_means(groups, seed=0, draws=20_000)
    slow = []
    for _ in range(8000):
        drawn = [groups[index] for index in generator.integers(3, size=3)]
        slow.append(np.concatenate([generator.choice(group, size=len(group)) for group in drawn]).mean())
    assert np.quantile(means, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.5, 0.975]), abs=0.04)
    assert means.std() == pytest.approx(np.std(slow), rel=0.04)


def test_difference_pairs_by_seed_task_and_episode(make):
    mine = [make("a", seed=s, values=[0.5 + s / 10, 0.9, 0.1]) for s in (1, 0)]
    theirs = [make("b", seed=s, values=[0.4 + s / 10, 0.8, 0.0]) for s in (0, 1, 2)]
    difference = paired_difference(mine, theirs)
    # Every pair differs by 0.1, however much episodes differ: the interval has no width.
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert difference.pairs == 6


def test_difference_is_a_function_of_its_seed(make):
    generator = np.random.default_rng(0)
    mine = [make("a", values=list(generator.random(50)))]
    theirs = [make("b", values=list(generator.random(50)))]
    assert paired_difference(mine, theirs, seed=3) == paired_difference(mine, theirs, seed=3)
    assert paired_difference(mine, theirs, seed=3) != paired_difference(mine, theirs, seed=4)


def test_difference_interval_of_one_seed_is_near_the_normal_one(make):
    generator = np.random.default_rng(0)
    mine, theirs = generator.random(400), generator.random(400)
    difference = paired_difference([make("a", values=list(mine))], [make("b", values=list(theirs))])
    half = 1.96 * (mine - theirs).std() / 20
    assert (difference.low, difference.high) == pytest.approx(
        ((mine - theirs).mean() - half, (mine - theirs).mean() + half), abs=0.004
    )


def test_seeds_that_disagree_widen_the_interval(make):
    mine = [make("a", seed=s, values=[0.5 + 0.1 * s] * 50) for s in range(3)]
    theirs = [make("b", seed=s, values=[0.5] * 50) for s in range(3)]
    difference = paired_difference(mine, theirs)
    assert difference.mean == pytest.approx(0.1)
    assert difference.low == pytest.approx(0.0)  # three times the same seed: 2 * 3 ** -3 > 0.025
    assert difference.high == pytest.approx(0.2)


def test_a_single_pair_has_a_difference_but_no_interval(make):
    difference = paired_difference([make("a", value=0.7, task="x")], [make("b", value=0.5, task="x")])
    assert (difference.mean, difference.pairs) == (pytest.approx(0.2), 1)
    assert math.isnan(difference.low)
    assert math.isnan(difference.high)


def test_no_pairs_no_difference(make):
    assert paired_difference([make("a", seed=0, values=[0.5])], [make("b", seed=1, values=[0.5])]) is None


def test_saturation_is_the_cheapest_within_half_a_point():
    curve = [(1.0, 0.5), (2.0, 0.7), (4.0, 0.797), (8.0, 0.8)]
    assert saturation(curve) == 4.0
    assert saturation(curve, within=0.001) == 8.0
    assert saturation([]) is None


def test_mean_curve_of_step_functions():
    curves = [[(1.0, 0.2), (3.0, 0.6)], [(2.0, 0.4), (4.0, 0.8)], []]
    assert mean_curve(curves) == [pytest.approx(p) for p in [(2.0, 0.3), (3.0, 0.5), (4.0, 0.7)]]
    assert mean_curve([[]]) == []


@pytest.mark.parametrize(
    ("meta", "search", "scratch", "expected"),
    [(100, 1, 11, 10), (101, 1, 11, 11), (100, 11, 11, math.inf), (0, 5, 1, 0)],
)
def test_tasks_until_it_pays(meta, search, scratch, expected):
    assert tasks_until_it_pays(meta, search, scratch) == expected
