"""The bootstrap of the benchmarks' paired differences, against closed forms and plain loops."""

import math

import numpy as np
import pytest


@pytest.fixture
def bootstrap(load):
    return load("bootstrap")


def test_one_group_has_the_closed_forms_spread(bootstrap):
    values = np.random.default_rng(1).normal(0.3, 2.0, size=400)
    means = bootstrap.bootstrap_means([values], draws=20_000)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.std() == pytest.approx(values.std() / math.sqrt(400), rel=0.02)


def test_two_levels_have_the_plain_loops_spread(bootstrap):
    generator = np.random.default_rng(2)
    groups = [generator.normal(mean, 1.0, size=size) for mean, size in ((0.0, 30), (1.0, 20), (-0.5, 40))]
    means = bootstrap.bootstrap_means(groups, draws=20_000)
    slow = []
    for _ in range(8000):
        drawn = [groups[index] for index in generator.integers(3, size=3)]
        slow.append(np.concatenate([generator.choice(group, size=len(group)) for group in drawn]).mean())
    limits = np.quantile(slow, [0.025, 0.5, 0.975])
    assert np.quantile(means, [0.025, 0.5, 0.975]) == pytest.approx(limits, abs=0.04)
    assert means.std() == pytest.approx(np.std(slow), rel=0.04)
    mean, low, high = bootstrap.mean_and_interval(dict(enumerate(map(list, groups))))
    assert mean == pytest.approx(np.concatenate(groups).mean())
    assert (low, high) == pytest.approx(limits[[0, 2]], abs=0.04)
