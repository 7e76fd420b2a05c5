"""The Pareto front against pairwise comparison, and files from before there were fronts."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_metanas.records import Cost, SearchRecord, Trial, read_records, read_results
from lit_metanas.records.statistics import hypervolume, non_dominated, widest
from lit_metanas.spaces import Architecture


def plain_front(points):
    def dominates(a, b):
        return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))

    return [i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)]


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[st.integers(-3, 3)] * n), max_size=25)))
def test_the_front_is_what_no_point_dominates(points):
    assert non_dominated(points) == plain_front(points)


@given(st.lists(st.tuples(st.integers(-2, 6), st.integers(-2, 6)), max_size=12))
def test_the_hyper_volume_is_the_number_of_dominated_cells(points):
    cells = sum(any(x > i and y > j for x, y in points) for i in range(6) for j in range(6))
    assert hypervolume(points, (0, 0)) == cells


def test_the_widest_points_add_most_to_the_hyper_volume():
    points = [(1.0, 9.0), (9.0, 1.0), (5.0, 5.0), (5.1, 4.9), (4.0, 4.0)]
    assert widest(points, 2, (0.0, 0.0)) == [2, 0]
    assert widest(points, 9, (0.0, 0.0)) == [2, 0, 1, 3]
    assert widest([], 3, (0.0, 0.0)) == []


def test_the_front_and_the_best_of_a_record():
    rows = [("a", 0.5, 30), ("b", 0.7, 50), ("c", 0.7, 40), ("d", 0.4, 30), ("e", 0.1, 10), ("f", 0.9, 5)]
    trials = [Trial(Architecture({"n": n}), v, Cost(), pruned=n == "f", measures={"parameters": p}) for n, v, p in rows]
    record = SearchRecord(
        "t", [*trials, trials[2], replace(trials[2], duplicate=True)], objectives=("accuracy", "parameters")
    )
    assert "".join(trial.architecture["n"] for trial in record.front) == "acec"
    assert record.best.architecture["n"] == "c"
    assert record.trade_offs == record.front
    assert SearchRecord("t", trials).best.architecture["n"] == "b"
    assert SearchRecord("t", trials).trade_offs == ()
    assert record.value_of(Architecture({"n": "c"})) == 0.7
    assert math.isnan(record.value_of(Architecture({"n": "f"})))  # given up
    assert math.isnan(record.value_of(Architecture({"n": "z"})))


OLD_RECORD = {
    "schema": 1,
    "records": [
        {
            "task_id": "glyphs/0",
            "trials": [
                {
                    "architecture": {"depth": "2"},
                    "value": 0.5,
                    "cost": {"queries": 1, "steps": 4, "images": 8, "flops": 12, "seconds": 0.5},
                    "duplicate": False,
                }
            ],
        }
    ],
}
OLD_RESULT = {
    "method": "m", "task_id": "t", "space": "S", "architecture": {"depth": "2"}, "recipe": {}, "seed": 0,
    "protocol": {"name": "target", "way": 2, "shot": 3, "batch_norm": "running"}, "value": 0.5, "ci95": 0.1,
    "cost": {"queries": 1, "steps": 0, "images": 0, "flops": 5, "seconds": 0.0},
    "meta_cost": {"queries": 0, "steps": 0, "images": 0, "flops": 0, "seconds": 0.0},
    "parameters": 3, "flops": 4, "values": [], "curve": [], "metric": "accuracy", "hardware": "", "config": "",
    "schema": 1,
}  # fmt: skip


def test_files_from_before_fronts_are_read(tmp_path):
    (tmp_path / "record.json").write_text(json.dumps(OLD_RECORD))
    (record,) = read_records(tmp_path / "record.json")
    assert record.objectives == ("accuracy",)
    assert record.best.scored
    assert record.front == (record.best,)
    assert record.best.fidelity is None
    (tmp_path / "results.json").write_text(json.dumps({"schema": 1, "results": [OLD_RESULT]}))
    (result,) = read_results(tmp_path / "results.json")
    assert result.front == ()
    with pytest.raises(AttributeError):
        result.front = (record.best,)
