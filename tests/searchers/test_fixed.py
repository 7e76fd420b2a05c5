"""Fixed, random and borrowed architectures."""

import math

import pytest

from lit_metanas.records import ArchitectureRow, Budget, write_architectures
from lit_metanas.searchers import BorrowedArchitecture, FixedArchitecture
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


def write(path):
    rows = [
        ("a", "darts", SPACE.name, labels("max", "3"), 0.9),
        ("b", "darts", SPACE.name, labels("avg", "5"), 0.8),
        ("c", "random", SPACE.name, labels("avg", "7"), 0.85),
        ("c", "darts", SPACE.name, labels("max", "7"), 0.8),
        ("d", "fixed", SPACE.name, labels("max", "5"), math.nan),
        ("e", "darts", "Other", labels("max", "5"), 0.99),
    ]
    write_architectures(path, [ArchitectureRow(*row) for row in rows])


@pytest.mark.parametrize(
    ("name", "method", "expected"), [("x", None, ("max", "3")), ("a", None, ("avg", "7")), ("a", "darts", ("avg", "5"))]
)
def test_the_best_of_another_task_is_borrowed(tmp_path, name, method, expected):
    write(tmp_path / "architectures.json")
    found = BorrowedArchitecture(str(tmp_path / "architectures.json"), method).search(task(name), SPACE, Budget(), 0)
    assert found.architecture == labels(*expected)
    assert found.record.best.cost.flops == 0


def test_what_was_found_without_a_score_is_said_with_the_fix(tmp_path):
    path = str(tmp_path / "architectures.json")
    write(path)
    with pytest.raises(ValueError, match="another task than 'c': search other tasks with 'validate: true'"):
        BorrowedArchitecture(path, "fixed").search(task("c"), SPACE, Budget(), 0)
    with pytest.raises(ValueError, match="another task than 'd': search other tasks first"):
        BorrowedArchitecture(path, "fixed").search(task("d"), SPACE, Budget(), 0)
