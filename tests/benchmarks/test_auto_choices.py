"""The comparison of the choices of ``auto``: what each method may change, its pairs, and its table."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.automl import time_plan
from lit_metanas.automl.data_kinds import DATA_KINDS


@pytest.fixture
def module(load):
    return load("auto_choices")


@pytest.fixture
def toy():
    """A task of rows."""
    labels = torch.arange(60) % 2
    return lm.task_from_arrays(torch.randn(60, 4) + labels[:, None], labels)


def row(module, method, seed, test, task="digits"):
    recipe = {"augmentation": "light"}
    return module.Row(task, method, seed, test, 1, 2, 3, architecture={}, recipe=recipe, seconds=0.0)


def test_a_method_changes_what_it_may_and_nothing_else(module, toy, monkeypatch):
    monkeypatch.setattr(time_plan, "STEPS_OF_A_TRIAL", 3)  # else so few FLOPs pay for one candidate alone
    found, auto, fixed = [], lm.auto, dict(DATA_KINDS)
    monkeypatch.setattr(lm, "auto", lambda *args, **more: found.append(auto(*args, **more)) or found[-1])
    usual = module.usual_network(toy)
    assert {name: usual[name] for name in module.USUAL_ROWS} == module.USUAL_ROWS
    for method, choices in module.METHODS.items():
        made = module.search("table", toy, method, seed=0, epochs=30)
        if method == "no search":
            assert (made.architecture, made.recipe["epochs"], made.search) == (dict(usual), 30, 0)
            whole = made.training
            continue
        assert made.search + made.training == pytest.approx(whole, rel=0.2)
        trials = found[-1].record.trials
        assert trials[0].architecture == usual
        assert all(set(trial.recipe) == set(choices.recipe) for trial in trials)
        assert ({trial.architecture for trial in trials} == {usual}) == (not choices.architecture)
        assert (len({tuple(trial.recipe.items()) for trial in trials}) > 1) == bool(choices.recipe)
    assert fixed == DATA_KINDS


def test_the_table_compares_equal_seeds(module):
    rows = [row(module, "both", seed, 90.0 + seed) for seed in range(3)]
    rows += [row(module, "both and augmentation", seed, 92.0 + seed) for seed in range(2)]
    assert module.ahead(rows, "both and augmentation") == (2, 2.0, 2.0, 2.0)
    lines = list(module.table(rows))
    assert lines[0].startswith("digits        both                   91.0 %, 3.0 tried, 3 FLOPs")
    assert lines[1].endswith("; augmentation light, light")
    assert lines[2] == "both and augmentation against both: +2.00 points (+2.00 to +2.00), 2 pairs"


def test_a_stopped_run_goes_on(module, toy, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "TASKS", {"table": module.Setting(lambda folders: toy, 100)})
    monkeypatch.setattr(
        module, "search", lambda name, task, method, seed, epochs: row(module, method, seed, epochs, name)
    )
    file = tmp_path / "rows.jsonl"
    given = ["--data", str(tmp_path), "--tasks", "table", "--results", str(file), "--part", "0.1"]
    module.main([*given, "--seeds", "0"])
    whole = file.read_text()
    file.write_text(whole[:-20])
    module.main([*given, "--seeds", "0", "1"])
    rows = module.read(file)
    assert len(rows) == len(set(map(repr, rows))) == 2 * len(module.METHODS)
    assert {row.test for row in rows} == {10}
