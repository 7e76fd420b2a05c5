"""The statistics of the comparison of `auto` with its rivals, against the literature."""

import pytest

DEMSAR = """
0.763 0.768 0.771 0.798
0.599 0.591 0.590 0.569
0.954 0.971 0.968 0.967
0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898
0.936 0.931 0.916 0.931
0.661 0.668 0.609 0.685
0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875
1.000 1.000 1.000 1.000
0.940 0.962 0.965 0.962
0.619 0.666 0.614 0.669
0.972 0.981 0.9754 0.9746
0.957 0.978 0.946 0.970
"""
"""Table 6 of Demšar 2006: four variants of C4.5 on fourteen data sets. On the last but one he prints 0.975 twice, and
ranks them as different."""


@pytest.fixture
def statistics(load):
    pytest.importorskip("scipy")
    return load("critical_difference")


@pytest.fixture
def trees():
    rows = [[float(value) for value in line.split()] for line in DEMSAR.split("\n") if line]
    return dict(zip(("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"), map(list, zip(*rows, strict=True)), strict=True))


def test_the_tests_are_those_of_the_worked_example_in_the_paper(statistics, trees):
    ranks = statistics.ranks_of(trees)
    assert list(ranks.means.values()) == pytest.approx([3.143, 2.0, 2.893, 1.964], abs=5e-4)
    assert ranks.statistic == pytest.approx(9.28, abs=5e-3)
    assert ranks.less_conservative[0] == pytest.approx(3.69, abs=5e-3)
    assert ranks.critical == pytest.approx(1.25, abs=5e-3)
    assert [statistics.critical_difference(k, 14) for k in (2, 10)] == pytest.approx(
        [1.960 * (6 / 84) ** 0.5, 3.164 * (110 / 84) ** 0.5], abs=1e-3
    )
    assert statistics.not_told_apart(ranks) == [("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")]


def test_without_ties_the_statistic_is_that_of_scipy(statistics):
    from scipy.stats import friedmanchisquare

    scores = {"a": [9, 8, 7, 9, 6], "b": [5, 9, 3, 4, 5], "c": [4, 2, 1, 5, 2]}
    found = friedmanchisquare(*scores.values())
    ranks = statistics.ranks_of(scores)
    assert (ranks.statistic, ranks.chance) == pytest.approx((found.statistic, found.pvalue))


def test_holm_corrects_the_smallest_most_and_keeps_the_order(statistics):
    assert statistics.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    better = {"mine": [2.0, 3, 4, 5, 6, 7], "low": [1.0, 1, 1, 1, 1, 1], "same": [2.0, 3, 4, 5, 6, 7]}
    assert statistics.against(better, "mine") == pytest.approx({"low": 2 * 2 / 2**6, "same": 1.0})
    assert statistics.wins_and_losses([1, 2, 3], [1, 1, 4]) == (1, 1, 1)


def test_groups_end_where_ranks_are_a_critical_difference_apart(statistics, tmp_path):
    scores = {name: [10.0 - place] * 30 for place, name in enumerate("abcd")}
    ranks = statistics.ranks_of(scores)
    assert 0.8 < ranks.critical < 1
    assert statistics.not_told_apart(ranks) == []
    few = statistics.ranks_of({name: own[:8] for name, own in scores.items()})
    assert statistics.not_told_apart(few) == [("a", "b"), ("b", "c"), ("c", "d")]
    statistics.draw(few, tmp_path / "drawn.png", "four methods")
    assert (tmp_path / "drawn.png").stat().st_size > 1000
