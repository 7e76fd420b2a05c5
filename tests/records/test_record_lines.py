"""Records of searches by the line: what comes back, what is left out, and what is said of it."""

import json
import math
import warnings

import pytest
from hypothesis import given, settings, strategies as st

from lit_metanas.records import Cost, SearchRecord, Trial, merge_record_lines, read_record_lines, write_record_lines
from lit_metanas.records.plain import to_plain
from lit_metanas.spaces import Architecture, LayeredSpace, NASBenchGraph
from lit_metanas.spaces.nas_bench_graph import PROTEINS_OPERATIONS

SPACE = NASBenchGraph()
CELLS = list(NASBenchGraph(PROTEINS_OPERATIONS).architectures())[:3]


def a_record(task="cora", **changes):
    trials = [
        Trial(CELLS[0], 0.5, Cost(1, 2, 3, 4, 0.5), measures={"parameters": 9.0}),
        Trial(CELLS[1], 0.25, Cost(2, 2, 3, 4, 1.0), fidelity=0.5, pruned=True, measures={"parameters": 7.0}),
        Trial(CELLS[0], 0.5, Cost(2, 2, 3, 4, 1.0), duplicate=True, measures={"parameters": 9.0}, recipe={"epochs": 3}),
        Trial(CELLS[2], -math.inf, Cost(3, 2, 3, 4, 1.5), failure="it was lost — für immer"),
    ]
    choices = {choice.name: choice.labels for choice in SPACE.choices}
    fields = {"space": SPACE.name, "choices": choices, "seed": 3, "method": "évolution"}
    return SearchRecord(task, trials, **{**fields, **changes})


def line(record, **changes):
    return json.dumps({"schema": 1, **to_plain(record), **changes}).encode()


BAD = {
    "line 2 is not valid JSON .truncated, or another": line(a_record())[:-30],
    r"line 2 holds a number that is too large \(1e309": line(a_record(), seed=1.5).replace(b"1.5", b"1e309"),
    "line 2 is not a record of a search: a trial lacks the measure 'latency', which is an objective": line(
        a_record(), objectives=["accuracy", "latency"]
    ),
    "line 2 holds NaN, which is not a number": line(a_record(), seed=math.nan),
    "line 2 holds a text of 100000 characters": line(a_record(), method="m" * 10**5),
    "line 2 is nested deeper than 40 levels": b"[" * 41 + b"]" * 41,
    "line 2 has schema 9, of a newer version": line(a_record(), schema=9, further=1),
    "line 2 is not a record of a search: record has an unknown field 'sparkle'": line(a_record(), sparkle=1),
    "line 2 is of task 'fish' in the space LayeredSpace, not NASBenchGraph": line(
        a_record("fish", space="LayeredSpace")
    ),
    "line 2 is of task 'cora' in another space than this NASBenchGraph: Choice 'op1' has no label 'cubic'": line(
        SearchRecord("cora", [Trial(Architecture({**CELLS[0], "op1": "cubic"}), 0.5, Cost())])
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_line_gets_one_sentence_and_the_others_are_kept(tmp_path, message):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\n".join([line(a_record()), BAD[message], line(a_record("pubmed"))]))
    with pytest.warns(UserWarning, match=message) as caught:
        assert [record.task_id for record in read_record_lines(path, SPACE)] == ["cora", "pubmed"]
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(f"'{path}', left out: ")
    assert text.endswith(".")
    assert not text.endswith("..")
    assert "\n" not in text
    path.write_bytes(b"\n" + BAD[message])
    with pytest.raises(ValueError, match=rf"no usable record of a search \({message}") as refused:
        read_record_lines(path, SPACE)
    assert "\n" not in str(refused.value)


def test_a_smaller_space_is_part_of_the_larger_one_only(tmp_path):
    small = NASBenchGraph(PROTEINS_OPERATIONS)
    wide = Architecture({"link": "0,0,0,0", "op1": "gat", "op2": "gat", "op3": "gat", "op4": "gat"})
    path = tmp_path / "records.jsonl"
    of_cora = SearchRecord("cora", [Trial(SPACE.canonical(wide), 0.5, Cost())], space=SPACE.name)
    records = [a_record("proteins"), of_cora]
    write_record_lines(path, records)
    assert len(read_record_lines(path, SPACE)) == 2
    with pytest.warns(UserWarning, match="task 'cora' in another space than this NASBenchGraph: .*'gat'"):
        assert [record.task_id for record in read_record_lines(path, small)] == ["proteins"]
    words = r"line 1 is of task 'proteins' in the space NASBenchGraph, not LayeredSpace\): give a file of searches "
    words += "in LayeredSpace, or the space that was searched, for a fit by --model.encoding.space and --data.encoding"
    with pytest.raises(ValueError, match=words):
        read_record_lines(path, LayeredSpace())


def test_no_file_and_an_empty_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file '.*records\.jsonl': run `lit-metanas search` first"):
        read_record_lines(tmp_path / "records.jsonl")
    (tmp_path / "records.jsonl").write_text("\n\n")
    with pytest.raises(ValueError, match=r"of a search \(it is empty\): give"):
        read_record_lines(tmp_path / "records.jsonl")


def test_merging_replaces_the_same_search(tmp_path):
    path = tmp_path / "records.jsonl"
    merge_record_lines(path, [a_record(), a_record("pubmed"), a_record(seed=4)])
    newer = a_record(precision="bf16-mixed")
    merge_record_lines(path, [newer, a_record(method="random")])
    found = read_record_lines(path)
    assert found == [a_record("pubmed"), a_record(seed=4), newer, a_record(method="random")]
    path.write_bytes(path.read_bytes() + line(a_record(), schema=9, further=1) + b"\n")
    merge_record_lines(path, [newer])
    with pytest.warns(UserWarning, match="line 4 has schema 9"):
        assert read_record_lines(path) == [*found[:2], found[3], newer]


WHOLE = b"\n".join(line(a_record(f"task {number}")) for number in range(3))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=12), st.integers(0, 40))
def test_whatever_happens_to_a_file_it_is_told_in_words(tmp_path_factory, place, put, cut):
    path = tmp_path_factory.mktemp("spoiled") / "records.jsonl"
    path.write_bytes(WHOLE[:place] + put + WHOLE[place + cut :])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        records = read_record_lines(path, SPACE)  # at most two of three lines are hit
    assert records
    assert all("left out: line " in str(warning.message) for warning in caught)
