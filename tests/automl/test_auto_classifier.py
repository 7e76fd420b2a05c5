"""The search behind scikit-learn's interface: its checks, its tools, pickles without code, and bad input."""

import pickle
import pickletools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from auto_toys import interrupt, paced

import lit_metanas as lm
from lit_metanas.automl import budget_division, last_training
from lit_metanas.automl.scikit.auto_estimator import AutoEstimator

pytest.importorskip("sklearn", reason="needs the extra sklearn")

from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

WINE = load_wine()
SMALL = lm.MLPSpace(depths=(0, 1), widths=(16,), dropouts=(0.0,), activations=("ReLU",), shared=True)


def quick(**options):
    """A classifier whose search takes a moment."""
    return lm.AutoClassifier(**{"space": SMALL, "flops": 1e7, "recipe": lm.Recipe(epochs=20), **options})


RGB = np.random.default_rng(0).integers(0, 90, (24, 8, 8, 3), dtype=np.uint8)
RGB[::2] += 160
SIGNS = np.array(["bright", "dark"] * 12)
TEXTS = [f"{verb} sheet {number}" for number in range(12) for verb in ("fold", "cut")]
IMAGES = lm.LayeredSpace(depths=(1,), widths=(4,), kernels=(3,), dropouts=(0,))
WORDS = lm.SequenceSpace(operations=("identity", "conv_3"), depths=(1,), widths=(8,), dropouts=(0.0,))


def test_it_passes_the_checks_of_estimators():
    """One is expected to fail, for the reason given. Those are skipped that need packages which are not installed.

    Within minutes ``check_fit_idempotent`` would fail: time decides how much two fits train. Their ``budget_`` repeats
    them.
    """
    expected = {"check_sample_weight_equivalence_on_dense_data": "copies of an example may come into both parts"}
    results = check_estimator(quick(flops=2e6), on_skip=None, on_fail=None, expected_failed_checks=expected)
    failed = [(one["check_name"], one["exception"]) for one in results if one["status"] == "failed"]
    assert failed == []
    assert len(results) > 50
    skipped = {one["check_name"] for one in results if one["status"] == "skipped"}
    without = {"check_classifiers_multilabel_output_format_decision_function"}  # as it has probabilities
    assert skipped <= NEED_OTHER_PACKAGES | without


def test_weights_of_classes_and_examples():
    """A class or examples of a large weight win where both classes look alike; examples of weight 0 are left out."""
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(120, 2)), np.arange(120) % 2
    long = {"recipe": lm.Recipe(epochs=200), "flops": 1e8}
    assert (quick(class_weight={0: 1000, 1: 1e-4}, **long).fit(X, y).predict(X) == 0).mean() > 0.95
    assert (quick(**long).fit(X, y, sample_weight=np.where(y == 1, 20, 1)).predict(X) == 1).mean() > 0.95
    kept = np.arange(120) < 80
    left_out = quick().fit(X, y, sample_weight=kept).predict_proba(X)
    assert np.array_equal(left_out, quick().fit(X[kept], y[kept]).predict_proba(X))
    wrong = {"has the shape 3": np.ones(3), "negative": -np.ones(120), "zeros alone": np.zeros(120)}
    for reason, weights in wrong.items():
        with pytest.raises(ValueError, match=reason):
            quick().fit(X, y, sample_weight=weights)


def test_a_rare_class_is_judged_by_balanced_accuracy(capsys):
    X, y = WINE.data, (WINE.target == 2) & (np.arange(178) % 4 == 0)
    fitted = quick(progress=True).fit(X, y)
    assert fitted.objective_.metric == "balanced accuracy"
    assert "networks are chosen by balanced accuracy" in capsys.readouterr().err
    assert pickle.loads(pickle.dumps(fitted)).objective_ == fitted.objective_
    assert quick(metric="accuracy").fit(X, y).objective_.metric == "accuracy"


NEED_OTHER_PACKAGES = {
    "check_array_api_input",  # runs where the variable SCIPY_ARRAY_API is set
    "check_classifier_data_not_an_array",  # needs pandas
    "check_sample_weights_pandas_series",
}


def test_a_search_takes_the_place_of_a_classifier():
    scores = cross_val_score(quick(), WINE.data, WINE.target, cv=3)
    assert scores.min() > 0.9
    grid = GridSearchCV(
        make_pipeline(FunctionTransformer(), quick(flops=1e6)),
        {"autoclassifier__recipe": [lm.Recipe(epochs=1, learning_rate=1e-5), lm.Recipe(epochs=20)]},
        cv=2,
    )
    grid.fit(WINE.data, np.array(WINE.target_names)[WINE.target])
    assert grid.best_params_["autoclassifier__recipe"].epochs == 20
    assert set(grid.predict(WINE.data)) == set(WINE.target_names)


def test_arguments_are_kept_and_the_seed_alone_decides():
    classifier = quick(validation_fraction=0.3, random_state=np.random.RandomState(4))
    again = clone(classifier)
    assert again.get_params()["validation_fraction"] == 0.3
    assert again.set_params(flops=3e6).flops == 3e6
    assert again.space.choices == SMALL.choices
    assert not hasattr(again, "classes_")
    first, *others = (quick(random_state=seed).fit(WINE.data, WINE.target) for seed in (0, 0, 1))
    one, same, other = (each.predict_proba(WINE.data) for each in (first, *others))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3
    assert first.classes_.tolist() == [0, 1, 2]
    assert (first.n_features_in_, first.shape_) == (13, lm.RowShape(221))
    assert SMALL.canonical(first.architecture_) == lm.Architecture(first.architecture_)
    assert 0.8 < first.val_score_ <= 1
    assert 0 < first.cost_.flops <= 1e7
    # The network is trained on the rows that it was chosen by, too.
    assert first.score(WINE.data, WINE.target) > 0.95


@pytest.mark.parametrize(
    ("X", "y", "space", "new", "wanted"),
    [
        (RGB, SIGNS, IMAGES, RGB[:2], ["bright", "dark"]),
        (RGB[..., 0].astype(float) / 255, SIGNS, IMAGES, RGB[:2, ..., 1], ["bright", "dark"]),
        (TEXTS, [text.split()[0] for text in TEXTS], WORDS, ["please fold it", "cut"], ["fold", "cut"]),
        (np.array(TEXTS), [text.split()[0] for text in TEXTS], WORDS, np.array(["fold"]), ["fold"]),
    ],
    ids=["images", "grey", "texts", "array of texts"],
)
def test_images_and_texts_go_the_same_way(X, y, space, new, wanted, tmp_path):
    classifier = lm.AutoClassifier(space=space, flops=3e8, recipe=lm.Recipe(epochs=15)).fit(X, y)
    assert classifier.predict(new).tolist() == wanted
    assert not hasattr(classifier, "n_features_in_")
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(new), classifier.predict_proba(new))
    classifier.export(tmp_path)
    exported = lm.load(tmp_path)
    assert exported.classes == tuple(classifier.classes_)
    found = exported.predict(np.asarray(new) if space is IMAGES else list(map(str, new)))
    np.testing.assert_allclose(found, classifier.predict_proba(new), atol=1e-5)
    with pytest.raises(ValueError, match=r"X holds rows, and AutoClassifier was fitted on (images|texts): give such"):
        classifier.predict(WINE.data)


def test_a_pickle_holds_no_code():
    classifier = quick(space=None, recipe=None, flops=1e8).fit(WINE.data, WINE.target)
    content = pickle.dumps(classifier, protocol=2)
    named = {argument for opcode, argument, _ in pickletools.genops(content) if opcode.name == "GLOBAL"}
    own = {name for name in named if not name.startswith("numpy")}
    # ``_codecs`` makes bytes of text in pickles of this protocol, in which every name stands in one place.
    assert own <= {"lit_metanas.automl.scikit.estimators AutoClassifier", "_codecs encode"}
    again = pickle.loads(content)
    np.testing.assert_array_equal(again.predict_proba(WINE.data), classifier.predict_proba(WINE.data))
    assert (again.cost_, again.shape_, again.preprocessing_) == (
        classifier.cost_, classifier.shape_, classifier.preprocessing_,
    )  # fmt: skip
    assert pickle.loads(pickle.dumps(quick())).get_params()["flops"] == 1e7


def test_missing_values_are_taken_and_infinite_ones_refused():
    X = WINE.data.copy()
    X[::7, 3] = np.nan
    classifier = quick().fit(X, WINE.target)
    assert classifier.score(X, WINE.target) > 0.95
    X[4, 5] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        quick().fit(X, WINE.target)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        classifier.predict(X)


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (WINE.data, np.ones(178), {}, r"There is one class, '1\.0': give examples of two or more"),
        (WINE.data, np.r_[:88, :80, :10], {}, "Class '80' has 1 example, too few for a train and val part"),
        (WINE.data, [0] + [1] * 177, {}, "Class '0' has 1 example, too few for a train and val part"),
        (WINE.data, np.linspace(0, 1, 178), {}, "Unknown label type: continuous"),
        (WINE.data, WINE.target[:9], {}, "inconsistent numbers of samples"),
        (WINE.data, WINE.target, {"validation_fraction": 1.0}, "validation_fraction = 1.0 must be above 0 and below 1"),
        (WINE.data, WINE.target, {"flops": 10}, "is too small to train any architecture on"),
        (WINE.data, WINE.target, {"recipe": 3}, "recipe must be a Recipe, not int"),
        (WINE.data, ["a", None] * 89, {}, "Label 1 in y is None: leave out rows without a label"),
        (TEXTS, ["a", "b", float("nan")] * 8, {}, "Label 2 in y is nan: leave out texts without a label"),
        (["a", 3], [0, 1], {}, "The text at place 1 of 'X' is a int: give a text"),
    ],
)
def test_bad_input_gets_one_sentence(X, y, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        quick(**options).fit(X, y)
    assert str(caught.value).rstrip(".").count(". ") <= 1  # scikit-learn's own have two


def test_a_group_is_learned_from_or_chosen_by_and_never_both(monkeypatch):
    groups, y = np.arange(60) // 5, np.arange(60) % 2
    X, tasks = np.stack([groups, np.arange(60)], axis=1).astype(float), []
    ended = SimpleNamespace(stopped=False)
    monkeypatch.setattr(AutoEstimator, "_learn", lambda self, task, kind, seed: tasks.append(task) or ended)
    quick().fit(X, y, groups=groups)
    quick().fit(X, y, groups=[f"patient {group}" for group in groups])
    with config_context(enable_metadata_routing=True):
        routed = quick().set_fit_request(groups=True)
        cross_validate(
            routed, X, y, cv=GroupKFold(3), params={"groups": groups}, scoring=lambda *_: 0.0, error_score="raise"
        )
    assert len(tasks) == 5
    for task in tasks:
        learned, chosen = (set(part.inputs[:, 0].tolist()) for part in (task.train, task.val))
        assert len(learned) > len(chosen) > 0
        assert learned.isdisjoint(chosen)
        assert set(task.val.labels.tolist()) == {0, 1}
    quick().fit(X, y)
    assert set(tasks[-1].train.inputs[:, 0].tolist()) >= set(tasks[-1].val.inputs[:, 0].tolist())


def test_an_export_knows_the_names_of_columns(monkeypatch, tmp_path):
    def checked(self, X, y, kind):  # as scikit-learn does with a table of pandas
        self.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
        return X, y

    monkeypatch.setattr(lm.AutoClassifier, "_checked", checked)
    X = WINE.data[:, :3]
    classifier = quick(method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1)).fit(X, WINE.target)
    classifier.export(tmp_path / "out")
    rows = [dict(zip("cab", row, strict=True)) for row in X[:5, [2, 0, 1]].tolist()]
    expected = lm.load(tmp_path / "out").predict(X[:5])
    assert torch.equal(lm.load(tmp_path / "out").predict(rows), expected)


def test_new_examples_have_to_fit():
    with pytest.raises(NotFittedError):
        quick().predict(WINE.data)
    with pytest.raises(NotFittedError):
        quick().export("nowhere")
    classifier = quick().fit(WINE.data, WINE.target)
    with pytest.raises(ValueError, match="X has 12 features, but AutoClassifier is expecting 13 features as input"):
        classifier.predict(WINE.data[:, 1:])
    with pytest.raises(ValueError, match="X holds texts, and AutoClassifier was fitted on rows"):
        classifier.predict(TEXTS)
    reader = quick(space=WORDS, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1)).fit(TEXTS, SIGNS)
    with pytest.raises(ValueError, match="X is a single text: give a list of texts"):
        reader.predict(TEXTS[0])


def test_minutes_are_spent_by_auto(monkeypatch):
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = np.where(X[:, 0] > 0, "right", "left")
    paced(monkeypatch, 5e5)
    classifier = lm.AutoClassifier(minutes=0.1).fit(X, y)
    assert classifier.score(X, y) > 0.8
    assert 0 < classifier.cost_.flops < 3e6
    monkeypatch.setattr(budget_division, "measure_pace", lambda *args, **more: pytest.fail("measured"))
    again = clone(pickle.loads(pickle.dumps(classifier))).set_params(minutes=None, flops=classifier.budget_).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert again.budget_ == classifier.budget_
    for options, message in (
        ({"minutes": 0.2, "recipe": lm.Recipe()}, "minutes decide recipe"),
        ({"minutes": 0.2, "flops": (1e6, 1e6)}, "minutes decide flops"),
        ({"flops": (1e6, 1e6), "recipe": lm.Recipe()}, "two flops decide recipe"),
    ):
        with pytest.raises(ValueError, match=f"AutoClassifier: {message}, too: give one of them"):
            lm.AutoClassifier(**options).fit(X, y)


def test_ctrl_c_ends_a_grid_search_and_leaves_the_best_so_far(monkeypatch):
    classifier = lm.AutoClassifier(flops=(1e7, 5e6), space=SMALL)
    interrupt(monkeypatch, last_training, at=1)
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(classifier, {"random_state": [0, 1]}, cv=2).fit(WINE.data, WINE.target)
    interrupt(monkeypatch, last_training, at=1)
    with pytest.raises(KeyboardInterrupt, match="stopped; the AutoClassifier is fitted with the best so far"):
        classifier.fit(WINE.data, WINE.target)
    assert classifier.budget_ is None
    assert classifier.score(WINE.data, WINE.target) > 0.8


def test_a_fit_that_fails_leaves_what_there_was():
    few, texts = lm.Recipe(epochs=1), ["a b", "c d"] * 5
    labels = np.array(["low", "high"] * 5)
    rows = np.random.default_rng(0).normal(size=(10, 2))
    classifier = quick(recipe=few).fit(rows, labels)
    before = dict(vars(classifier)), classifier.predict(rows).tolist()
    classifier.flops = 1.0
    for others, new in ((rows[:, :1], labels), (rows, np.arange(10) % 5), (texts, labels)):
        with pytest.raises(ValueError, match=r"flops|budget|FLOPs|MLPSpace"):
            classifier.fit(others, new)
        assert {**vars(classifier), "flops": 1e7} == before[0]
        assert classifier.predict(rows).tolist() == before[1]
    first = quick(flops=1.0)
    with pytest.raises(ValueError, match=r"flops|budget|FLOPs"):
        first.fit(rows, labels)
    for use in (first.predict, first.predict_proba):
        with pytest.raises(NotFittedError):
            use(rows)
