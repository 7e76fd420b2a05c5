import math
from statistics import fmean, stdev

import numpy as np
import pytest

from lit_metanas.report import paired_difference
from lit_metanas.report.table import mean_curve, over_seeds, over_units, saturation, tasks_until_it_pays

T2 = 4.302652729911275  # t(0.975, 2 degrees of freedom)


def test_interval_over_episodes_averages_seeds_first(make):
    rows = [make("a", seed=0, values=[0.4, 0.6, 0.8]), make("a", seed=1, values=[0.6, 0.6, 0.9])]
    interval = over_units(rows)
    means = [0.5, 0.6, 0.85]
    assert interval.mean == pytest.approx(fmean(means))
    assert interval.half == pytest.approx(T2 * stdev(means) / math.sqrt(3))


def test_a_single_task_keeps_its_own_interval(make):
    interval = over_units([make("a", value=0.5)])
    assert (interval.mean, interval.half) == (0.5, 0.03)


def test_interval_over_seeds(make):
    rows = [make("a", seed=s, values=[0.5 + s / 10, 0.7 + s / 10]) for s in range(3)]
    interval = over_seeds(rows)
    assert interval.mean == pytest.approx(0.7)
    assert interval.half == pytest.approx(T2 * 0.1 / math.sqrt(3))


def test_difference_pairs_by_seed_task_and_episode(make):
    mine = [make("a", seed=s, values=[0.5 + s / 10, 0.9, 0.1]) for s in (1, 0)]
    theirs = [make("b", seed=s, values=[0.4 + s / 10, 0.8, 0.0]) for s in (0, 1, 2)]
    difference = paired_difference(mine, theirs)
    # Every pair differs by 0.1, however much episodes differ: the interval has no width.
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert difference.pairs == 6


def test_difference_interval_of_one_seed_is_students_over_episodes(make):
    generator = np.random.default_rng(0)
    mine, theirs = generator.random(400), generator.random(400)
    difference = paired_difference([make("a", values=list(mine))], [make("b", values=list(theirs))])
    half = 1.9659 * (mine - theirs).std(ddof=1) / 20  # t(0.975, 399)
    assert (difference.low, difference.high) == pytest.approx(
        ((mine - theirs).mean() - half, (mine - theirs).mean() + half), abs=1e-5
    )


def test_seeds_that_disagree_widen_the_interval(make):
    mine = [make("a", seed=s, values=[0.5 + 0.1 * s] * 50) for s in range(3)]
    theirs = [make("b", seed=s, values=[0.5] * 50) for s in range(3)]
    difference = paired_difference(mine, theirs)
    assert difference.mean == pytest.approx(0.1)
    assert difference.high - difference.mean == pytest.approx(T2 * 0.1 / math.sqrt(3))
    assert difference.mean - difference.low == pytest.approx(T2 * 0.1 / math.sqrt(3))


def test_tasks_that_disagree_widen_the_interval(make):
    mine = [make("a", seed=s, value=0.5 + 0.1 * t, task=str(t)) for s in range(5) for t in range(3)]
    theirs = [make("b", seed=s, value=0.5, task=str(t)) for s in range(5) for t in range(3)]
    difference = paired_difference(mine, theirs)
    assert difference.high - difference.mean == pytest.approx(T2 * 0.1 / math.sqrt(3))
    assert difference.pairs == 15


@pytest.mark.parametrize(("seeds", "tasks"), [(3, 1), (3, 10)])
def test_the_interval_holds_the_truth_in_nineteen_of_twenty_cases(make, seeds, tasks):
    generator = np.random.default_rng(seeds * 100 + tasks)
    held, trials = 0, 400
    for _ in range(trials):
        own = generator.normal(0, 0.03, (seeds, tasks)) + generator.normal(0, 0.03, (seeds, 1))
        own += generator.normal(0, (0.03 if seeds == tasks else 0.1) if tasks > 1 else 0, (1, tasks))
        pairs = [(s, t) for s in range(seeds) for t in range(tasks)]
        mine = [make("a", seed=s, value=own[s, t], task=str(t)) for s, t in pairs]
        theirs = [make("b", seed=s, value=0.0, task=str(t)) for s, t in pairs]
        found = paired_difference(mine, theirs)
        held += found.low <= 0 <= found.high
    assert held / trials >= 0.93


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
    ("meta", "search", "scratch", "expected"), [(100, 1, 11, 10), (101, 1, 11, 11), (100, 11, 11, math.inf)]
)
def test_tasks_until_it_pays(meta, search, scratch, expected):
    assert tasks_until_it_pays(meta, search, scratch) == expected
