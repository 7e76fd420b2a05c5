"""A linear model averaged with networks: what the table has."""

import json
from dataclasses import replace

import pytest

from lit_metanas.automl.data_kinds import DATA_KINDS
from lit_metanas.automl.steps import linear_models
from lit_metanas.spaces.any_input import linear_space

ANIMALS = {"cat": ("purrs", "sleeps", "meows"), "dog": ("barks", "runs", "sleeps")}


def pairs(numbers):
    """Texts of two animals that sometimes do the same."""
    found = [(f"it {verbs[number % 3]} {number} times", name) for number in numbers for name, verbs in ANIMALS.items()]
    return [text for text, _ in found], [name for _, name in found]


def test_rows_hold_accuracies_of_networks_linear_models_and_their_means(load, monkeypatch, tmp_path, capsys):
    module, data = load("averaged_linear"), load("comparison_data")
    monkeypatch.setattr(linear_models, "LINEAR_STEPS", 20)
    monkeypatch.setattr(linear_space, "GROUPS", 256)
    monkeypatch.setattr(module, "SEEDS", (0, 1))
    monkeypatch.setattr(
        module, "TASKS", {"animals": ("none", lambda _: data.Data(pairs(range(30)), pairs(range(30, 40))))}
    )
    monkeypatch.setattr(module, "DATA_KINDS", {"texts": replace(DATA_KINDS["texts"], member_epochs=2)})
    file = tmp_path / "averaged.jsonl"
    for _ in range(2):  # the second time there is nothing to do
        module.main(["--data", str(tmp_path), "--output", str(file)])
    (row,) = map(json.loads, file.read_text().splitlines())
    assert (row["learned"], row["tested"], row["features"]) == (60, 20, "characters")
    for column, runs in zip(module.COLUMNS, (2, 1, 2, 2, 2), strict=True):
        right = row[column] / 100 * row["tested"] * runs
        assert right == pytest.approx(round(right), abs=0.01)
    cells = " | ".join(f"{row[column]:.1f}" for column in module.COLUMNS)
    told = capsys.readouterr().out
    assert f"| animals | 60 | 20 | {cells} |" in told
    assert f"| mean |  |  | {cells} |" in told
