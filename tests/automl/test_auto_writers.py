"""Searches for networks that write, behind scikit-learn's interface: its checks and tools, pickles, and bad input."""

import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auto_toys import interrupt, paced

import lit_metanas as lm
from lit_metanas.automl import last_training

pytest.importorskip("sklearn", reason="needs the extra sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.utils import estimator_checks

HOMES = {
    "Ada": "Rome", "Tom": "Oslo", "Eve": "Bonn", "Max": "Bern", "Lea": "Wien", "Ben": "Graz", "Kim": "Lyon",
    "Pia": "Bari",
}  # fmt: skip
PASSAGES = [(f"{name} lives in {place}. They say so.", f"Where does {name} live?") for name, place in HOMES.items()]
NUMBERS = [str(number) for number in range(30)]
REVERSED = [number[::-1] for number in NUMBERS]
READER = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(16,), dropouts=(0.0,), readouts=("each",))
WRITER = lm.EncoderDecoderSpace(READER, decoders=("gru",), decoder_depths=(1,), target_steps=4)


def quick(kind: type[Any], **options: Any) -> Any:
    """One that trains a single small network for a moment."""
    space = WRITER if issubclass(kind, lm.AutoTranslator) else READER
    usual = {"space": space, "method": lm.RandomArchitecture(), "recipe": lm.Recipe(epochs=2)}
    return kind(**{**usual, **options})


Data = tuple[type[Any], Any, list[str]]


@pytest.fixture(params=["translator", "answerer"])
def data(request: pytest.FixtureRequest) -> Data:
    if request.param == "answerer":
        return lm.AutoAnswerer, PASSAGES, list(HOMES.values())
    return lm.AutoTranslator, NUMBERS, REVERSED


def test_what_is_written_is_of_the_right_kind_and_survives_a_pickle(data: Data, tmp_path: Path) -> None:
    kind, X, y = data
    estimator = quick(kind).fit(X, y)
    written = estimator.predict(X[:4])
    assert len(written) == 4
    assert all(isinstance(text, str) for text in written)
    if kind is lm.AutoAnswerer:
        assert all(text and text in passage for text, (passage, _) in zip(written, X[:4], strict=True))
    assert estimator.predict([]) == []
    score = estimator.score(X, y)
    assert score <= 1
    content = pickle.dumps(estimator.set_params(space=None, method=None, recipe=None), protocol=2)
    named = {argument for opcode, argument, _ in pickletools.genops(content) if opcode.name == "GLOBAL"}
    assert named <= {f"lit_metanas.automl.scikit.auto_writers {kind.__name__}", "_codecs encode"}
    again = pickle.loads(pickle.dumps(estimator.set_params(space=quick(kind).space)))
    assert again.predict(X) == estimator.predict(X)
    assert again.score(X, y) == score
    assert (again.cost_, again.shape_, again.preprocessing_, again.objective_) == (
        estimator.cost_, estimator.shape_, estimator.preprocessing_, estimator.objective_,
    )  # fmt: skip
    estimator.export(tmp_path)
    exported = lm.load(tmp_path)
    if kind is not lm.AutoAnswerer:
        assert exported.show(X[:4]) == written


def test_all_examples_are_learned_from(data: Data) -> None:
    """Those that choose among architectures are told as well as the others."""
    kind, X, y = data
    epochs = {lm.AutoTranslator: 250, lm.AutoAnswerer: 40}[kind]
    longer = lm.Recipe(epochs=epochs, learning_rate=3e-2)
    estimator = quick(kind, recipe=longer, validation_fraction=0.4).fit(X, y)
    assert estimator.score(X, y) > 0.75


def test_arguments_are_kept_and_the_seed_decides(data: Data) -> None:
    kind, X, y = data
    estimator = quick(kind, random_state=3)
    assert set(clone(estimator).get_params()) == set(lm.AutoClassifier().get_params()) - {
        "start",
        "metric",
        "class_weight",
    }
    one, same = (clone(estimator).fit(X, y).network_.state_dict() for _ in range(2))
    assert all(tensor.equal(same[name]) for name, tensor in one.items())


def test_a_grid_of_two_values_is_searched() -> None:
    recipes = [lm.Recipe(epochs=1), lm.Recipe(epochs=2)]
    grid = GridSearchCV(quick(lm.AutoTranslator), {"recipe": recipes}, cv=2).fit(NUMBERS, REVERSED)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    assert grid.best_params_["recipe"] in recipes
    assert len(grid.predict(NUMBERS)) == len(cross_val_predict(quick(lm.AutoTranslator), NUMBERS, REVERSED, cv=2))


def test_minutes_are_spent_by_auto_in_the_space_of_the_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    paced(monkeypatch, 2e6)
    translator = lm.AutoTranslator(minutes=1).fit(NUMBERS, REVERSED)
    assert 0 < translator.cost_.flops < 120e6
    again = pickle.loads(pickle.dumps(translator))
    assert again.predict(NUMBERS[:3]) == translator.predict(NUMBERS[:3])
    interrupt(monkeypatch, last_training, at=1)
    stopped = clone(translator)
    with pytest.raises(KeyboardInterrupt, match="stopped; the AutoTranslator is fitted with the best so far"):
        stopped.fit(NUMBERS, REVERSED)
    assert len(stopped.predict(NUMBERS[:3])) == 3
    with pytest.raises(ValueError, match="AutoTranslator: minutes decide recipe, too: give one of them"):
        quick(lm.AutoTranslator, minutes=0.3, method=None).fit(NUMBERS, REVERSED)


def test_a_score_is_that_of_the_tasks_metric(monkeypatch: Any) -> None:
    answerer = quick(lm.AutoAnswerer).fit(PASSAGES, list(HOMES.values()))
    pair = ("Rome or Bonn or Rome?", "Where?")
    begin = len(answerer.preprocessing_.begin(pair[1]))
    monkeypatch.setattr(answerer, "_predictions", lambda inputs: [(begin + 4, begin + 4)])
    assert answerer.predict([pair]) == ["Rome"]
    assert answerer.score([pair], ["Rome"]) == 1.0  # wherever it stands
    assert answerer.score([pair], ["or Rome"]) == pytest.approx(2 / 3)
    translator = quick(lm.AutoTranslator).fit(NUMBERS, REVERSED)
    monkeypatch.setattr(translator, "predict", lambda X: REVERSED[12:14])
    monkeypatch.setattr(translator, "_texts", lambda predictions, examples: ["21", "31"])
    assert translator.score(["12", "13"], ["21", "31"]) == 1.0
    assert translator.score(["12", "13"], ["21", "99"]) == 0.5


ODD: list[tuple[type[Any], Any, Any, dict[str, Any], str]] = [
    (lm.AutoTranslator, NUMBERS, REVERSED[1:], {}, "X has 30 sources and y has 29 targets: give one for each"),
    (lm.AutoTranslator, "12", ["21"], {}, "X is a single text: give a list of texts"),
    (lm.AutoTranslator, ["1", " "], ["1", "2"], {}, "There is no source at place 1 of 'X': fill it in"),
    (lm.AutoTranslator, ["1", "2"], ["1", 2], {}, "The target at place 1 of 'y' is a int: give a text"),
    (lm.AutoTranslator, NUMBERS, REVERSED, {"space": READER}, "SequenceSpace|EncoderDecoderSpace"),
    (lm.AutoAnswerer, PASSAGES, [*HOMES.values()][::-1], {}, "'Bari' at place 0 of 'y' does not stand in its passage"),
    (lm.AutoAnswerer, [("a b", "c?"), ("a", "")], ["a", "a"], {}, "There is no question at place 1 of 'X'"),
    (lm.AutoAnswerer, [("a b", "c?")] * 3, ["a", "a", "b"], {}, "All questions are about one passage"),
]


@pytest.mark.parametrize(("kind", "X", "y", "options", "message"), ODD)
def test_bad_input_gets_one_sentence(kind: Any, X: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        quick(kind, **options).fit(X, y)
    assert str(caught.value).rstrip(".").count(". ") == 0


def test_a_fit_that_fails_leaves_what_there_was() -> None:
    translator = quick(lm.AutoTranslator, space=READER)
    with pytest.raises(ValueError, match="SequenceSpace"):
        translator.fit(NUMBERS, REVERSED)
    with pytest.raises(NotFittedError):
        translator.predict(NUMBERS)
    before = translator.set_params(space=WRITER).fit(NUMBERS, REVERSED).predict(NUMBERS)
    with pytest.raises(ValueError, match="SequenceSpace"):
        translator.set_params(space=READER).fit(REVERSED, NUMBERS)
    assert translator.predict(NUMBERS) == before


def test_a_table_is_not_taken_for_the_names_of_its_columns() -> None:
    class Table(dict[str, list[str]]):
        columns = ("source",)  # as pandas has it

    with pytest.raises(ValueError, match="X is a table: give one of its columns"):
        quick(lm.AutoTranslator).fit(Table(source=NUMBERS), REVERSED)


def test_examples_that_are_cut_are_told() -> None:
    translator = quick(lm.AutoTranslator).fit(NUMBERS, REVERSED)
    with pytest.warns(UserWarning, match=r"1 source of 'X' is longer than the 4 letters that are read, and cut"):
        assert len(translator.predict(["1234", "12345"])) == 2
    answerer = quick(lm.AutoAnswerer).fit(PASSAGES, list(HOMES.values()))
    steps = answerer.shape_.steps
    assert steps == 5 * (9 + 6) // 4
    fitting = " ".join(["Rome"] * (steps - 6)), "Where does Ada live?"
    long_question = "Rome is.", " ".join(["where"] * (steps // 2 + 1))
    answerer.predict([fitting])
    with pytest.warns(UserWarning, match=r"2 pairs of 'X' are longer than the 18 words that are read, of which half"):
        answerer.score([fitting, (fitting[0] + " Rome", fitting[1]), long_question], ["Rome"] * 3)


THAT_FIT_ROWS = {
    "check_complex_data", "check_dict_unchanged", "check_dont_overwrite_parameters", "check_dtype_object",
    "check_estimator_sparse_array", "check_estimator_sparse_matrix", "check_estimator_sparse_tag",
    "check_estimators_dtypes", "check_estimators_empty_data_messages", "check_estimators_fit_returns_self",
    "check_estimators_nan_inf", "check_estimators_overwrite_params", "check_estimators_pickle",
    "check_f_contiguous_array_estimator", "check_fit2d_1feature", "check_fit2d_1sample", "check_fit2d_predict1d",
    "check_fit_check_is_fitted", "check_fit_idempotent", "check_fit_score_takes_y",
    "check_methods_sample_order_invariance", "check_methods_subset_invariance", "check_n_features_in",
    "check_n_features_in_after_fitting", "check_pipeline_consistency", "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
}  # fmt: skip
"""Checks that fit rows of numbers, which are refused: texts or pairs are wanted."""


@pytest.mark.parametrize("kind", [lm.AutoTranslator, lm.AutoAnswerer])
def test_it_passes_the_checks_that_fit_no_rows(kind: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = kind.__sklearn_tags__

    def tags_of_rows(self: Any) -> Any:
        tags = plain(self)
        assert not tags.input_tags.two_d_array
        tags.input_tags.two_d_array = True  # else no check is run at all
        return tags

    monkeypatch.setattr(kind, "__sklearn_tags__", tags_of_rows)
    results = estimator_checks.check_estimator(quick(kind), on_skip=None, on_fail=None)
    assert {one["check_name"] for one in results if one["status"] == "failed"} == THAT_FIT_ROWS
    assert len(results) > 35
