"""Fixed architectures."""

import math

import pytest

from lit_metanas.records import Budget
from lit_metanas.searchers import FixedArchitecture
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task

SPACE = LayeredSpace(depths=(2,))
EMPTY = Split(inputs=None, labels=())


def task(name):
    return Task(name, 2, EMPTY, EMPTY, EMPTY)


def labels(pool, kernel):
    return SPACE.canonical({c.name: {"pool": pool, "kernel": kernel}.get(c.group, c.labels[0]) for c in SPACE.choices})


def test_a_fixed_architecture_is_completed_and_free():
    budget = Budget(flops=0, queries=0)
    found = FixedArchitecture({"layer1.pool": "avg"}).search(task("a"), SPACE, budget, 0)
    assert found.architecture == labels("avg", "3")
    assert found.weights is None
    assert math.isnan(found.record.best.value)
    assert budget.spent.flops == budget.spent.queries == 0
    with pytest.raises(ValueError, match="has no label 'mean'"):
        FixedArchitecture({"layer1.pool": "mean"}).search(task("a"), SPACE, budget, 0)
