"""The benchmark of searchers from scratch: what it keeps, that it goes on, and its table."""

import importlib
import json
from pathlib import Path

import pytest
import torch

import lit_metanas as lm

FOLDER = Path(lm.__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("from_scratch")
    space = lm.LayeredSpace(kernels=(1, 3), depths=(1,), widths=(2,), shared=True)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(20, 4, 4, generator=generator)

    def brief(task, space, seed):
        return lm.estimators.TrainingEstimator(task, space, seed, lm.Recipe(epochs=1))

    methods = {
        module.FIRST: (lambda: lm.DARTSSearcher(epochs=2), 1.0),
        "random": (lm.RandomArchitecture, 1.0),
        "successive halving": (lambda: lm.searchers.SuccessiveHalving(estimator=brief, candidates=2), 0.5),
    }
    monkeypatch.setattr(module, "SPACE", space)
    monkeypatch.setattr(module, "METHODS", methods)
    monkeypatch.setattr(module, "draw", lambda index: lm.task_from_arrays(images, torch.arange(20) % 2, seed=index))
    return module


def test_what_is_done_is_kept_and_told(benchmark, tmp_path, capsys):
    output = tmp_path / "found.json"
    benchmark.main(["--output", str(output), "--tasks", "1"])
    (first, drawn, halved) = json.loads(output.read_text())["rows"]
    assert halved["flops"] <= first["flops"] / 2
    assert (drawn["flops"], drawn["queries"]) == (0, 0)
    benchmark.main(["--output", str(output), "--tasks", "2"])
    rows = json.loads(output.read_text())["rows"]
    assert rows[:3] == [first, drawn, halved]
    assert [row["task"] for row in rows] == [0, 0, 0, 1, 1, 1]
    lines = capsys.readouterr().out.splitlines()[-3:]
    mean = 50 * (first["test"] + rows[3]["test"])
    assert lines[0].startswith(f"| {benchmark.FIRST} | {mean:.1f} | ")
    assert lines[2].endswith("| +0.0 ± 0.0 |")


def test_a_task_is_small_and_held_out(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("from_scratch")
    drawn = []

    def draw_task(source, **options):
        drawn.append(options)
        return lm.task_from_arrays(torch.rand(60, 28, 28), torch.arange(60) % 8)

    monkeypatch.setattr(lm, "draw_task", draw_task)
    assert module.draw(3).shape == (1, 14, 14)
    assert drawn == [{"index": 3, "way": 8, "train": 30, "val": 15, "test": 60}]
