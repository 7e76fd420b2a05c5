"""The comparison of `auto` with its rivals: the statistics against the literature, its budget, and that it goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import lit_metanas as lm

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


@pytest.fixture
def module(load, statistics):
    pytest.importorskip("sklearn")
    return load("auto_comparison")


@pytest.fixture
def toy(load, module, monkeypatch, tmp_path):
    """Rows of two classes that lie apart, in the place of all data sets, and a budget of FLOPs of it."""
    draw = np.random.default_rng(0)
    rows, labels = draw.normal(size=(60, 4)), [0, 1] * 30
    rows[1::2] += 3
    data = load("comparison_data")
    found = data.divided(rows, labels, 20, 10)
    assert [len(found.learned[1]), len(found.tested[1])] == [40, 20]
    assert not set(map(tuple, found.learned[0])) & set(map(tuple, found.tested[0]))
    monkeypatch.setattr(module, "DATA_SETS", {"toy": data.DataSet("rows", "toy", lambda folders: found)})
    (tmp_path / module.FLOPS).write_text(json.dumps({"toy": {"1": 2e7}}))
    return found


@pytest.fixture
def rivals(load):
    return load("auto_rivals")


@pytest.mark.parametrize("method", ["auto", "random", pytest.param("TPE", marks=pytest.mark.slow), "fixed network"])
def test_all_networks_spend_no_more_than_what_is_written_down(rivals, toy, method):
    found = rivals.METHODS[method](rivals.Given("toy", "rows", "toy", toy, 1.0, 4.2e6, 0))
    assert found.test > 80
    assert 2e6 < found.flops <= 4.2e6


def test_augmentations_are_drawn_for_candidates_and_kept_for_the_best(rivals, toy):
    task = rivals.Given("toy", "rows", "toy", toy, 1.0, 4.2e6, 0).task
    space = lm.default_space(task.shape)
    one = next(space.architectures())
    recipe = lm.Recipe(epochs=5)  # Adam's first step has the same size whatever the gradient
    drawn = [rivals.Augmented(task, space, seed, recipe).drawn(one) for seed in range(20)]
    assert set(drawn) == {"none", "light", "strong"}
    assert drawn[0] == rivals.Augmented(task, space, 0, recipe).drawn(one)
    seed = drawn.index("strong")
    makes = (
        (rivals.Augmented, "none"),
        (lm.estimators.TrainingEstimator, "strong"),
        (lm.estimators.TrainingEstimator, "none"),
    )
    made = [make(task, space, seed, replace(recipe, augmentation=label)) for make, label in makes]
    own, strong, none = (estimator(one, fidelity=1.0).weights["head.weight"] for estimator in made)
    assert torch.equal(own, strong)
    assert not torch.equal(own, none)


def test_a_second_call_runs_what_is_missing(module, rivals, toy, tmp_path, monkeypatch, capsys):
    asked = {"names": ["toy"], "minutes": [1.0], "seeds": [0, 1]}
    module.run(None, tmp_path, methods=["logistic regression"], **asked)
    (row,) = module.read_rows(tmp_path / module.FILE, module.Row)
    assert (row.method, row.minutes, row.test) == ("logistic regression", 0.0, pytest.approx(100, abs=10))
    given = []

    def instead(one):
        given.append((one.flops, one.seed))
        return rivals.Outcome(50.0 + one.seed)

    def absent(one):
        raise ImportError("no such package")

    monkeypatch.setattr(module, "METHODS", {**module.METHODS, "auto": instead, "FLAML": absent})
    for _ in range(2):
        module.run(None, tmp_path, methods=["auto", "FLAML", "logistic regression"], **asked)
    assert given == [(2e7, 0), (2e7, 1)]
    assert "toy, FLAML: left out, as no such package" in capsys.readouterr().out
    runs = module.of_seeds(module.read_rows(tmp_path / module.FILE, module.Row), 1.0)
    names, values = module.scores(runs, ["auto", "logistic regression"])
    assert names == ["toy"]
    assert values == {"auto": [50.5], "logistic regression": [row.test]}


def test_the_table_is_of_data_sets_on_which_all_were_run(module, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "DATA_SETS", dict.fromkeys("abc"))
    rows = [module.Row(name, "auto", 1.0, 0, 90.0, 0, 0, 0, "") for name in "abc"]
    rows += [module.Row(name, "logistic regression", 0.0, 0, 80.0, 0, 0, 0, "") for name in "ab"]
    text = "\n".join(module.tables(rows, tmp_path, ["auto", "logistic regression", "FLAML"]))
    assert "1 min, 2 data sets, means of seeds 0\n" in text
    assert "| a | **90.0** | 80.0 |" in text
    assert "2–0–0" in text
    assert (tmp_path / "ranks_1.png").is_file()


def test_several_seeds_are_told_by_their_mean_and_interval(module, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "DATA_SETS", dict.fromkeys("ab"))
    seeds = {"a": (90.0, 92.0, 94.0), "b": (80.0, 81.0)}
    rows = [
        module.Row(name, "auto", 1.0, seed, test, 0, 0, 0, "") for name in "ab" for seed, test in enumerate(seeds[name])
    ]
    rows += [module.Row(name, "logistic regression", 0.0, 0, 85.0, 0, 0, 0, "") for name in "ab"]
    text = "\n".join(module.tables(rows, tmp_path, ["auto", "logistic regression"]))
    assert "1 min, 2 data sets, means of seeds 0, 1, 2\n" in text
    assert "| a | **92.0 ± 5.0** | 85.0 |" in text  # t(0.975, 2) = 4.303, times 2 / sqrt(3)
    assert "| b | 80.5 ± 6.4 | **85.0** |" in text  # t(0.975, 1) = 12.706, times sqrt(1 / 2) / sqrt(2)
    assert "| mean | 86.2 ± 9.5 | 85.0 |" in text  # seeds 0 and 1, which both have: 85.0 and 86.5


def test_features_of_all_kinds_tell_classes_apart(load):
    data = load("comparison_data")
    dark = np.zeros((6, 8, 8), np.uint8)
    dark[::2, :, 4:] = 255  # an upright edge
    dark[1::2, 4:, :] = 255
    learned, tested = data.features("images", dark[:4], dark[4:])
    assert np.linalg.norm(tested[0] - learned[0]) < 1e-6 < np.linalg.norm(tested[0] - learned[1])
    series = torch.zeros(3, 3, 8)
    series[:, 2, :4] = 1  # four steps are there
    series[0, 0, :4] = torch.tensor([0.0, 1, 2, 3])
    made = data.spectra(series)
    assert made.shape == (3, 12)
    assert made[0, :8].tolist() == pytest.approx([1.5, 0, (5 / 3) ** 0.5, 0, 0, 1, 2, 3])
    words, others = data.features("texts", ["fold it", "cut it"], ["fold them"])
    assert (others @ words.T).toarray()[0, 0] > (others @ words.T).toarray()[0, 1]
