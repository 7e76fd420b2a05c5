"""`AutoRegressor` as one of scikit-learn's regressors."""

import pickle

import numpy as np
import pytest

import lit_metanas as lm

pytest.importorskip("sklearn", reason="needs the extra sklearn")

from sklearn.utils.estimator_checks import check_estimator

SMALL = lm.MLPSpace(depths=(0, 1), widths=(16,), dropouts=(0.0,), activations=("ReLU",), shared=True)
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(120, 3))
Y = 5000 + 900 * X[:, 0] - 400 * X[:, 1]


def quick(**options):
    """A regressor whose search takes a moment."""
    return lm.AutoRegressor(**{"space": SMALL, "flops": 1e7, "recipe": lm.Recipe(epochs=20), **options})


def test_it_passes_the_checks_of_estimators():
    expected = {"check_sample_weight_equivalence_on_dense_data": "copies of an example may come into both parts"}
    results = check_estimator(quick(flops=1e6), on_skip=None, on_fail=None, expected_failed_checks=expected)
    failed = [(one["check_name"], one["exception"]) for one in results if one["status"] == "failed"]
    assert failed == []
    assert len(results) > 50
    skipped = {one["check_name"] for one in results if one["status"] == "skipped"}
    needed = {"check_array_api_input", "check_regressor_data_not_an_array", "check_sample_weights_pandas_series"}
    assert skipped <= needed  # which need other packages


def test_examples_of_a_large_weight_count_more():
    """Of equal examples with two different numbers the mean by their weights is predicted; those of 0 are left out."""
    same, y = np.ones((80, 3)), np.arange(80) % 2 + 0.0
    same[:, 0] = np.arange(80) // 2 % 2
    long = quick(recipe=lm.Recipe(epochs=200), flops=1e8)
    assert long.fit(same, y, sample_weight=np.where(y > 0, 9, 1)).predict(same) == pytest.approx(0.9, abs=0.05)
    weights = np.r_[np.zeros(20), np.ones(100)]
    shared = quick().fit(X, Y, sample_weight=weights)
    assert (shared.predict(X) == quick().fit(X[20:], Y[20:]).predict(X)).all()


def test_numbers_of_texts():
    values = DRAW.uniform(0, 10, 60)
    texts = [" ".join(["very"] * int(value) + ["good"]) for value in values]
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(16,), dropouts=(0.0,))
    regressor = quick(space=space, flops=1e8, recipe=lm.Recipe(epochs=60)).fit(texts, values)
    assert regressor.score(texts, values) > 0.6


def test_intervals_several_numbers_pickles_and_exports(tmp_path):
    regressor = lm.AutoRegressor(space=SMALL, flops=(1e6, 5e5)).fit(X, Y)
    ends = regressor.predict_interval(X)
    assert ends.shape == (120, 2)
    assert ((ends[:, 0] <= Y) & (ends[:, 1] >= Y)).mean() > 0.8
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict_interval(X), ends)
    regressor.export(tmp_path / "out")
    np.testing.assert_allclose(lm.load(tmp_path / "out").predict(X)[:, 0], regressor.predict(X), rtol=1e-4)
    both = quick().fit(X, np.stack([Y, -Y], axis=1))
    assert both.predict(X).shape == (120, 2)
    assert both.score(X, np.stack([Y, -Y], axis=1)) > 0.8
    with pytest.raises(ValueError, match="There are no intervals"):
        both.predict_interval(X)
    assert pickle.loads(pickle.dumps(both)).predict(X) == pytest.approx(both.predict(X))
    grouped = lm.AutoRegressor(space=SMALL, flops=(1e6, 5e5)).fit(X, Y, groups=np.arange(120) // 4)
    with pytest.raises(ValueError, match="There are no intervals"):
        grouped.predict_interval(X)


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (np.ones(120), "All targets to learn from are 1: there is nothing to predict"),
        (np.where(np.arange(120) == 3, np.nan, Y), "y contains NaN"),
        (np.where(Y > 200, "high", "low"), r"could not convert string to float: .*'(low|high)'"),
        (Y[:5], "inconsistent numbers of samples"),
    ],
)
def test_malformed_numbers_get_one_sentence(y, sentence):
    with pytest.raises(ValueError, match=sentence):
        quick().fit(X, y)
