"""The tabular estimator on a table of two letters."""

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
    assert (table.early("val"), table.measures, table.training_flops(A, "val")) == (None, {}, 0)
    estimator = TabularEstimator(table, "val")
    assert estimator.measures == {}
    assert estimator.settings == {"table": "OneTraining", "dataset": "letters", "signal": "val"}
