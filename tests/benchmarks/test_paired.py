"""Methods compared in pairs of seeds."""

import math

import numpy as np
import pytest


@pytest.fixture
def paired(load):
    return load("paired")


SCORES = {"searched": [70.0, 72.0, 77.0], "other": [60.0, 64.0, 68.0], "baseline": [70.0]}


def test_a_difference_is_of_pairs(paired):
    found = paired.Paired("problem", "accuracy, %", True, SCORES).difference("other")
    # differences 10, 8, 9: their deviation is 1, and Student's t of two degrees 4.302653
    assert found.mean == pytest.approx(9.0)
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_where_less_is_better_the_sign_turns(paired):
    found = paired.Paired("problem", "word error rate, %", False, SCORES).difference("other")
    assert found.mean == pytest.approx(-9.0)
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_a_baseline_without_seeds_is_compared_with_each(paired):
    found = paired.Paired("problem", "accuracy, %", True, SCORES).difference("baseline")
    # differences 0, 2, 7: their mean is 3, their variance (9 + 1 + 16) / 2
    assert found.mean == pytest.approx(3.0)
    assert found.half == pytest.approx(4.302653 * math.sqrt(13 / 3), rel=1e-6)


def test_other_numbers_of_seeds_are_refused(paired):
    found = paired.Paired("problem", "accuracy, %", True, {**SCORES, "other": [60.0, 64.0]})
    with pytest.raises(ValueError, match="shorter"):
        found.difference("other")


def test_a_table_says_which_differences_stand_apart(paired):
    title, searched, other, baseline = paired.Paired("problem", "accuracy, %", True, SCORES).lines()
    assert title == "problem (accuracy, %, higher is better)"
    assert "73.00 ±  8.96   70.0 72.0 77.0" in searched
    assert "better" not in searched
    assert other.endswith("searched better by 9.00 ± 2.48, apart")
    assert baseline.endswith("searched better by 3.00 ± 8.96")


def test_one_seed_has_no_interval_and_stands_apart_of_nothing(paired):
    found = paired.Paired("problem", "error, %", False, {"searched": [10.0], "other": [30.0]})
    assert found.difference("other").mean == 20.0
    assert math.isnan(found.difference("other").half)
    assert found.lines()[0].endswith("lower is better)")
    assert found.lines()[2].endswith("searched better by 20.00 ± nan")


def test_all_comparisons_of_a_row_have_its_time(paired, capsys, monkeypatch):
    monkeypatch.setattr(paired.time, "process_time", iter((1.0, 3.5)).__next__)
    found = paired.timed(lambda: [paired.Paired(name, "accuracy, %", True, SCORES) for name in ("one", "two")])
    assert [(each.problem, each.seconds) for each in found] == [("one", 2.5), ("two", 2.5)]
    assert capsys.readouterr().out.count("is better)") == 2


def test_bootstrap_of_one_group_has_the_closed_forms_spread(paired):
    values = np.random.default_rng(1).normal(0.3, 2.0, size=400)
    means = paired.bootstrap_means([values], seed=0, draws=20_000)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.std() == pytest.approx(values.std() / math.sqrt(400), rel=0.02)


def test_bootstrap_of_two_levels_has_the_plain_loops_spread(paired):
    generator = np.random.default_rng(2)
    groups = [generator.normal(mean, 1.0, size=size) for mean, size in ((0.0, 30), (1.0, 20), (-0.5, 40))]
    means = paired.bootstrap_means(groups, seed=0, draws=20_000)
    slow = []
    for _ in range(8000):
        drawn = [groups[index] for index in generator.integers(3, size=3)]
        slow.append(np.concatenate([generator.choice(group, size=len(group)) for group in drawn]).mean())
    assert np.quantile(means, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.5, 0.975]), abs=0.04)
    assert means.std() == pytest.approx(np.std(slow), rel=0.04)
