"""The benchmark of the size axis: its space, its separate networks, and what its report says."""

from pathlib import Path

import pytest
import yaml

import lit_metanas as lm

SPACES = Path(__file__).parents[2] / "configs" / "spaces"


@pytest.fixture
def size_axis(load):
    return load("size_axis")


def test_its_space_is_the_shipped_one(size_axis):
    shipped = lm.LayeredSpace(**yaml.safe_load((SPACES / "sizes.yaml").read_text())["init_args"])
    labels = {choice.name: choice.labels for choice in shipped.choices}
    assert {choice.name: choice.labels for choice in size_axis.SPACE.choices} == labels


def test_a_narrowed_pyramid_keeps_to_its_share(size_axis):
    assert size_axis.narrowed(1.0) == size_axis.network((16, 32, 64, 64))
    for share in size_axis.LIMITS.values():
        assert 0.8 * share < size_axis.size(size_axis.narrowed(share)).flops / size_axis.LARGEST <= share


def test_a_budget_that_pays_for_no_comparison_leaves_the_narrowed_pyramid(size_axis):
    class Dear(lm.Estimator):
        def __call__(self, architecture, *, fidelity, start=None):
            raise AssertionError("it was not to be paid for")

        def cost(self, architecture, fidelity):
            return lm.Cost(queries=1, flops=60)

    assert size_axis.choose(Dear(), 1 / 3, 100.0, 0) == (size_axis.narrowed(1 / 3), None, 0)


def test_the_report_compares_in_pairs_of_seeds(size_axis):
    shape = {"source": "omniglot", "flops": 1e9, "multiply_adds": 1000, "spent": 100}
    tests = {
        size_axis.SEPARATE: (70.0, 72.0),
        size_axis.INHERITED: (50.0, 50.0),
        size_axis.CHILD: (71.0, 72.5),
        size_axis.RESIZED: (69.0, 72.0),
    }
    rows = [
        {**shape, "method": method, "limit": "1", "seed": seed, "test": value}
        for method, values in tests.items()
        for seed, value in enumerate(values)
    ]
    narrower = [{**row, "limit": name} for row in rows for name in list(size_axis.LIMITS)[1:] if row["seed"] == 0]
    said = size_axis.report(rows + narrower)
    assert "| child − separate | child − separate, half as long | resized − separate |" in said
    compared = "71.8 ± 9.5 (1 k) | 70.5 ± 19.1 (1 k) | +0.8 ± 3.2 | – | -0.5 ± 6.4 | – |"
    assert f"| 1 | 71.0 ± 12.7 (1 k) | 50.0 ± 0.0 (1 k) | {compared}" in said
    assert "child: 0.17 of the cost of all separate trainings; as good as the separate pyramid are 1, 1/2," in said
    assert "resized: 0.17 of the cost of all separate trainings; as good as the separate pyramid are none." in said


def test_one_child_is_trained_alone_and_those_of_the_other_limits_are_trained_on(size_axis):
    plan = size_axis.Plan(1e9, 0.15, 0.4, 5e-3, 1.0, 0.3, "smallest", 10)
    assert plan.tuned == list(size_axis.LIMITS)
    assert plan.resizing.tuned == [name for name in size_axis.LIMITS if name != size_axis.FIRST]
    assert (plan.resizing.begin, plan.resizing.choice) == (1.0, 0.0)
    assert size_axis.replace(plan, begin=1.0).tuned == list(size_axis.LIMITS)
