"""Results and architectures written and read back."""

import json
import math
from dataclasses import replace
from multiprocessing import get_context

import pytest
from hypothesis import given, settings, strategies as st

from lit_metanas.records import (
    ArchitectureRow,
    Cost,
    Protocol,
    ResultRow,
    read_architectures,
    read_results,
    write_results,
)
from lit_metanas.records.result_files import merge_row_file
from lit_metanas.spaces import Architecture

finite = st.floats(-1e38, 1e38)  # what single precision holds
whole = st.integers(-(2**63), 2**63 - 1)
costs = st.builds(Cost, *(st.integers(0, most) for most in (10, 10, 10**6, 10**18)), finite)
results = st.builds(
    ResultRow,
    method=st.text(),
    task_id=st.text(),
    space=st.text(),
    architecture=st.none() | st.dictionaries(st.text(), st.text()).map(Architecture),
    recipe=st.dictionaries(st.text(), st.text() | finite | whole | st.booleans()),
    seed=whole,
    protocol=st.builds(Protocol, st.text(), whole, whole, st.text()),
    value=finite | st.sampled_from([math.inf, -math.inf]),
    ci95=finite,
    cost=costs,
    meta_cost=costs,
    parameters=st.integers(0, 2**63 - 1),
    flops=st.integers(0, 2**63 - 1),
    values=st.lists(finite, max_size=3).map(tuple),
    curve=st.lists(st.tuples(finite, finite), max_size=3).map(tuple),
    schema=st.just(1),
)


def a_result(**changes):
    architecture, protocol = Architecture({"a": "1", "b": "x"}), Protocol("target", 10, 100, "running")
    recipe, costs = {"epochs": 3, "rate": 0.1, "name": "sgd", "fresh": True}, (Cost(flops=5), Cost())
    result = ResultRow("darts", "task-3", "Tiny", architecture, recipe, 1, protocol, 0.5, 0.01, *costs, 3, 4)
    return replace(result, **{"curve": ((1.0, 0.25), (2.0, 0.5)), **changes})


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(results, max_size=3))
def test_results_come_back_equal_and_of_equal_types(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("results") / "deep" / "results.json"
    write_results(path, rows)
    back = read_results(path)
    assert back == rows
    assert repr(back) == repr(rows)  # tells 1 from 1.0 and from True
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_what_older_files_lack_is_as_usual(tmp_path):
    path = tmp_path / "results.json"
    broken(lambda d: [d["results"][0].pop(name) for name in ("ensemble", "linear", "stopped")])(path)
    assert read_results(path) == [a_result()]


def test_numbers_that_json_lacks_come_back(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, [a_result(ci95=math.nan, value=-math.inf)])
    row = read_results(path)[0]
    assert math.isnan(row.ci95)
    assert row.value == -math.inf
    json.loads(path.read_text(), parse_constant=pytest.fail)


def test_merged_rows_replace_the_same_ones_only(tmp_path):
    path = tmp_path / "results.json"
    merge_row_file(path, ResultRow, [a_result()])
    others = [a_result(method="b"), a_result(task_id="b"), a_result(seed=2), a_result(protocol=Protocol("x", 1, 1, ""))]
    merge_row_file(path, ResultRow, others)
    unlike = a_result(value=0.75, protocol=Protocol("target", 10, 100, ""))  # the network that was found has no norm
    merge_row_file(path, ResultRow, [unlike])
    assert read_results(path) == [*others, unlike]
    chosen = [ArchitectureRow(task, method, "Tiny", Architecture({"a": "1"}), 0.5) for task in "tu" for method in "mn"]
    for row in chosen:
        merge_row_file(tmp_path / "architectures.json", ArchitectureRow, [row])
    merge_row_file(tmp_path / "architectures.json", ArchitectureRow, [replace(chosen[0], space="Large", value=0.25)])
    rows = read_architectures(tmp_path / "architectures.json")
    assert rows == [*chosen[1:], replace(chosen[0], space="Large", value=0.25)]


def broken(change):
    def make(path):
        write_results(path, [a_result()])
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return make


BROKEN = {
    "not valid JSON": lambda path: path.write_text('{"schema": 1, "resul'),
    "no schema number": lambda path: path.write_text("[1, 2]"),
    "schema 2, which a newer version": broken(lambda d: d.update(schema=2)),
    "no list 'results'": broken(lambda d: d.pop("results")),
    r"results\[0\].cost.flops must be a whole number, not 'many'": broken(
        lambda d: d["results"][0]["cost"].update(flops="many")
    ),
    r"results\[0\] lacks the field 'method'": broken(lambda d: d["results"][0].pop("method")),
    r"results\[0\].curve\[0\] must have 2 entries": broken(lambda d: d["results"][0].update(curve=[[1.0]])),
    r"results\[0\].recipe.epochs must be": broken(lambda d: d["results"][0]["recipe"].update(epochs=[])),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_file_gets_one_sentence_that_names_it(tmp_path, message):
    path = tmp_path / "results.json"
    BROKEN[message](path)
    with pytest.raises(ValueError, match=message) as caught:
        read_results(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, [a_result()])
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_results(path, [a_result(seed=object())])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def merge(path, name):
    for number in range(20):
        merge_row_file(path, ResultRow, [a_result(method=f"{name}-{number}")])


def test_no_row_is_lost_where_two_processes_merge(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)
    shared, names = tmp_path / "results.json", ("one", "two")
    processes = [get_context("fork").Process(target=merge, args=(shared, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=600)
    expected = {f"{name}-{number}" for name in names for number in range(20)}
    assert {row.method for row in read_results(shared)} == expected
