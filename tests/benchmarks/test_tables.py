"""The benchmarks of tables, on toy data of the same form."""

from __future__ import annotations

import json
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest


@pytest.fixture
def data(tmp_path):
    """``tables.zip`` with a table, and ``clinc150.json``."""
    draw = np.random.default_rng(0)
    with ZipFile(tmp_path / "tables.zip", "w") as archive:
        rows = [f"{a},{'?' if a < 0.1 else a * b},{'xy'[b > 0.5]},{a + b}" for a, b in draw.random((60, 2)).tolist()]
        archive.writestr("numbers/housing.csv", "\n".join(["x1,x2,x3,target", *rows]))
    pairs = [[f"request {place} about {'ab'[place % 2]}", place % 2] for place in range(300)]
    requests: dict[str, Any] = {"train": pairs, "intents": ["a", "b"], "domains": {"one": ["a"], "two": ["b"]}}
    (tmp_path / "clinc150.json").write_text(json.dumps(requests))
    return str(tmp_path)


def run(module, monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["", *words])
    module.main()
    return capsys.readouterr().out.splitlines()


def test_folds_of_tables_have_a_line_each(load, data, monkeypatch, capsys):
    module = load("table_folds")
    words = ["--data", data, "--tables", "housing", "--flops=1e7", "--folds=1"]
    first, mean = map(json.loads, run(module, monkeypatch, capsys, *words))
    assert (first["table"], first["fold"], mean["auto"]) == ("housing", 1, first["test"])
    assert mean.keys() == {"table", "linear", "trees", "auto"}
    folds = module.folds_of([str(place % 2) for place in range(60)], numbers=False)
    assert sorted(place for _, tested in folds for place in tested) == [*range(60)]


def test_tickets_need_text_and_columns(load, data, monkeypatch, capsys):
    module = load("text_and_columns")
    words = ["--data", data, "--rows=200", "--flops=4e8", "--kinds", "tables", "--seeds=0"]
    *lines, _, _, last = run(module, monkeypatch, capsys, *words)
    methods = [json.loads(line)["method"] for line in lines]
    assert methods == ["logistic regression", "boosted trees", "tables"]
    assert last.startswith("tables: ")
