"""Choices and architectures."""

import json
import pickle

import pytest

from lit_metanas.spaces import Architecture, Choice


def test_order_of_labels_does_not_matter():
    first, second = Architecture({"b": "1", "a": "2"}), Architecture({"a": "2", "b": "1"})
    assert first == second
    assert hash(first) == hash(second)
    assert list(first) == ["a", "b"]
    assert str(first) == "a=2 b=1"
    assert len({first: 0, second: 1}) == 1


def test_json_round_trip():
    architecture = Architecture({"layer1.pool": "max", "depth": "4"})
    text = json.dumps(architecture.to_json())
    assert Architecture(json.loads(text)) == architecture
    assert eval(repr(architecture)) == pickle.loads(pickle.dumps(architecture)) == architecture
    assert len(architecture) == 2
    assert architecture != architecture.to_json()
    assert architecture != Architecture({"layer1.pool": "avg", "depth": "4"})


def test_activity_needs_every_condition():
    choice = Choice("c", ("1", "2"), active_if=(("a", frozenset({"x", "y"})), ("b", frozenset({"z"}))))
    assert choice.active({"a": "x", "b": "z"})
    assert choice.active({"a": "y", "b": "z", "d": "w"})
    assert not choice.active({"a": "x", "b": "w"})
    assert not choice.active({"a": "x"})
    assert Choice("c", ("1",)).active({})


def test_numbers_and_booleans_are_called_by_their_text():
    choice = Choice("width", (16, 0.5, True), active_if=(("depth", frozenset({1, 2})),))
    assert choice == Choice("width", ("16", "0.5", "True"), active_if=(("depth", frozenset({"1", "2"})),))
    assert choice.active({"depth": "2"})
    assert Architecture({"width": 16}) == Architecture({"width": "16"})
    assert hash(Architecture({"bias": True})) == hash(Architecture({"bias": "True"}))


@pytest.mark.parametrize(
    ("value", "label"),
    [("16", "16"), (16, "16"), (16.0, "16"), (0.1 + 0.2, "0.3"), (1e-3, "1e-3"), (True, "True"), (None, "None"),
     (1, None), (17, None), ("sixteen", None), ([16], None), (float("nan"), None)],
)  # fmt: skip
def test_a_value_stands_for_the_label_that_spells_it(value, label):
    assert Choice("c", ("16", "0.3", "1e-3", "True", "None", "same")).label_of(value) == label
