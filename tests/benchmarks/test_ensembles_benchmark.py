"""One long training against an ensemble of shorter ones: what the table has."""

import json

import pytest


def test_rows_hold_means_of_seeds_and_of_pairs(load, spots, monkeypatch, tmp_path, capsys):
    module, tasks = load("ensembles"), load("mixed_tasks")
    monkeypatch.setattr(module, "PROBLEMS", (spots,))
    monkeypatch.setattr(module, "EPOCHS", (1, 8))
    file = tmp_path / "ensembles.jsonl"
    for _ in range(2):  # the second time there is nothing to do
        module.main(["--data", str(tmp_path), "--tasks", "spots/all", "--output", str(file)])
    (row,) = map(json.loads, file.read_text().splitlines())
    for epochs in ("1", "8"):
        for kind, runs in (("single", 3), ("pair", 3), ("three", 1), ("probabilities", 1)):
            right = row[epochs][kind] / 100 * row["tested"] * runs
            assert right == pytest.approx(round(right), abs=0.01)
    assert "| one of 1 | two of 1 | three of 1 |" in capsys.readouterr().out
    assert module.measure(spots, tasks.Folders(tmp_path, tmp_path)) == row
