"""The tabular estimator on a table of two letters."""

import pytest

from lit_metanas.estimators import Table, TabularEstimator
from lit_metanas.spaces import Architecture, Choice, ChoiceSpace


class Letters(ChoiceSpace):
    choices = (Choice("x", ("a", "b")),)


class OneTraining(Table):
    space = Letters()
    dataset = "letters"
    signals = ("val", "test")

    def score(self, architecture, signal):
        self.check_signal(signal)
        return {"a": 0.25, "b": 0.5}[architecture["x"]] + (0.125 if signal == "test" else 0)


A, B = (Architecture({"x": letter}) for letter in "ab")


def test_what_a_table_does_not_know_is_none():
    table = OneTraining()
    assert (table.early("val"), table.measures(), table.training_flops(A, "val")) == (None, {}, 0)
    with pytest.raises(ValueError, match="OneTraining has no latency on 'phone': use none"):
        TabularEstimator(table, "val", "phone")


def test_measures_are_the_tables():
    class Measured(OneTraining):
        devices = ("phone",)

        def measures(self, device=None):
            self.check_device(device)
            return {"parameters": lambda architecture: 7, "latency": lambda architecture: len(device or "")}

    estimator = TabularEstimator(Measured(), "val", "phone")
    assert {name: measure(A) for name, measure in estimator.measures.items()} == {"parameters": 7, "latency": 5}
    assert estimator.settings["device"] == "phone"
