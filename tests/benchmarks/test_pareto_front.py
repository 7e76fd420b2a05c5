"""The comparison of fronts: its hyper-volume, its pairs, and that all methods train what they found in one way."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.records import SearchRecord, Trial
from lit_metanas.records.record import SearchOutcome
from lit_metanas.searchers.mutation import complete


@pytest.fixture
def module(load):
    return load("pareto_front")


def row(module, method, seed, *points):
    made = tuple(module.Point(parameters, 0, test, 1) for parameters, test in points)
    return module.Row("photographs", method, seed, made, search=1, training=1, tried=3, seconds=0.0)


def test_the_volume_is_a_share_of_the_area_between_chance_and_all(module):
    assert row(module, "auto", 0, (1_000, 1.0)).volume() == pytest.approx(1)
    assert row(module, "auto", 0, (20_000, 1.0)).volume() == pytest.approx(0.5, abs=1e-3)
    assert row(module, "auto", 0, (1_000, 0.55)).volume() == pytest.approx(0.5)
    assert row(module, "auto", 0, (400_000, 1.0), (1_000, 0.1)).volume() == 0


def test_differences_are_of_pairs_of_seeds(module):
    rows = [row(module, "auto", seed, (1_000, 0.55 + 0.09 * seed)) for seed in range(3)]
    rows += [row(module, "random", seed, (1_000, 0.46 + 0.09 * seed)) for seed in range(2)]
    mean, low, high, pairs = module.paired(rows, "photographs", "random")
    assert (mean, low, high) == pytest.approx((0.1, 0.1, 0.1))
    assert pairs == 2
    assert "auto is +0.100 above" in module.table(rows)[-1]


def test_the_front_of_a_sampler_is_trained_in_full_within_its_budget(module):
    space = lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1,), widths=(4, 8))
    task = lm.task_from_arrays(torch.rand(40, 8, 8), torch.arange(40) % 2)
    small, large = (complete(space, {"width": width}) for width in ("4", "8"))
    worse = complete(space, {"width": "8", "pool": "avg"})
    values = {small: 0.6, large: 0.7, worse: 0.65}
    trials = [
        Trial(one, value, lm.Cost(), measures={"parameters": space.cost(one, task.shape, 2).parameters},
              recipe={"learning_rate": 0.02})
        for one, value in values.items()
    ]  # fmt: skip
    found = SearchOutcome(large, None, SearchRecord("t", trials, ("accuracy", "parameters")))
    results = module.trained_front(task, space, found, lm.Recipe(), 3e6, 0)
    assert [result.architecture for result in results] == [large, small]
    assert all(result.recipe.learning_rate == 0.02 for result in results)
    assert 2e6 < sum(result.training_cost.flops for result in results) <= 3e6
