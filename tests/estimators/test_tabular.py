"""The tabular estimator on a table of two letters."""

import pytest

from lit_metanas.estimators import Table, TabularEstimator
from lit_metanas.records import Cost
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


class TwoTrainings(OneTraining):
    signals = ("long", "short")

    def score(self, architecture, signal):
        return super().score(architecture, signal) / (1 if signal == "long" else 2)

    def early(self, signal):
        return "short"

    def training_flops(self, architecture, signal):
        return {"long": 200, "short": 12}[signal]


A, B = (Architecture({"x": letter}) for letter in "ab")


def test_a_look_up_costs_a_query_and_no_flops_where_the_table_knows_none():
    estimator = TabularEstimator(OneTraining(), "test")
    score = estimator(B, fidelity=1.0)
    assert score.value == 0.625
    assert score.weights is None
    assert score.cost == estimator.cost(B, 1.0) == Cost(queries=1)
    assert estimator.settings == {"table": "OneTraining", "dataset": "letters", "signal": "test", "device": ""}


def test_a_lower_fidelity_is_the_shortened_training_at_its_cost():
    estimator = TabularEstimator(TwoTrainings(), "long")
    for fidelity, value, flops in ((1.0, 0.5, 200), (0.9, 0.25, 12), (0.01, 0.25, 12)):
        score = estimator(B, fidelity=fidelity)
        assert (score.value, score.cost) == (value, Cost(queries=1, flops=flops))
        assert estimator.cost(B, fidelity) == score.cost


def test_a_table_of_one_training_refuses_a_lower_fidelity():
    estimator = TabularEstimator(OneTraining(), "val")
    with pytest.raises(ValueError, match="OneTraining has no shorter training than that of 'val': search at fid"):
        estimator(A, fidelity=0.5)


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
