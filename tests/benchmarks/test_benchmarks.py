"""The benchmarks fit the package as it is now, and go on from rows that a stopped run has left."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import lit_metanas as lm


@dataclass(frozen=True)
class Row:
    name: str
    value: float


def test_a_second_run_measures_what_is_missing(load, tmp_path):
    module, file, asked = load("kept_rows"), tmp_path / "rows.jsonl", []

    def measure(name):
        asked.append(name)
        return None if name == "absent" else Row(name, len(asked))

    def rows_of(*names):
        return module.kept_rows(file, Row, names, measure, key=lambda row: row.name)

    assert module.read_rows(file, Row) == []
    assert rows_of("a", "b") == [Row("a", 1), Row("b", 2)]
    file.write_text(file.read_text()[:-3])  # stopped while it wrote
    assert module.read_rows(file, Row) == [Row("a", 1)]
    assert rows_of("a", "b", "absent", "b") == [Row("a", 1), Row("b", 3)]
    assert asked == ["a", "b", "b", "absent"]
    assert module.read_rows(file, Row) == [Row("a", 1), Row("b", 3)]


def test_a_failed_measurement_keeps_the_rows_before(load, tmp_path):
    module, file = load("kept_rows"), tmp_path / "rows.jsonl"

    def measure(name):
        if name == "b":
            raise KeyboardInterrupt
        return Row(name, 0.0)

    with pytest.raises(KeyboardInterrupt):
        module.kept_rows(file, Row, ["a", "b"], measure, key=lambda row: row.name)
    assert module.read_rows(file, Row) == [Row("a", 0.0)]


SCRIPTS = sorted((Path(lm.__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_all_that_a_script_names_is_there(script, load):
    for extra in ("sklearn", "scipy"):
        pytest.importorskip(extra)
    load(script.stem)
