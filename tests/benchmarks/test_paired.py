"""Methods compared in pairs of seeds."""

import math

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
