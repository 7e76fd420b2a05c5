"""Fixed architectures."""

import math

import pytest
from sharing_toys import TASK

from lit_metanas.records import Budget
from lit_metanas.searchers import FixedArchitecture
from lit_metanas.spaces import LayeredSpace

SPACE = LayeredSpace(depths=(2,))


def test_a_fixed_architecture_is_completed_and_free():
    budget = Budget(flops=0, queries=0)
    found = FixedArchitecture({"layer1.pool": "avg"}).search(TASK, SPACE, budget, 0)
    labels = {choice.name: "avg" if choice.group == "pool" else choice.labels[0] for choice in SPACE.choices}
    assert found.architecture == SPACE.canonical(labels)
    assert found.weights is None
    assert math.isnan(found.record.best.value)
    assert budget.spent.flops == budget.spent.queries == 0
    with pytest.raises(ValueError, match="has no label 'mean'"):
        FixedArchitecture({"layer1.pool": "mean"}).search(TASK, SPACE, budget, 0)
