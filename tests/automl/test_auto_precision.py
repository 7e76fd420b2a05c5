"""The precision of ``auto``: decided once by the clock, kept by the plan, and named by what repeats a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import paced, same_weights

import lit_metanas as lm
from lit_metanas.automl import budget_division
from lit_metanas.estimators import pace
from lit_metanas.records.record_lines import read_record_lines
from lit_metanas.records.result_files import read_results
from lit_metanas.training import precision
from lit_metanas.training.precision import BF16, FLOAT32

Arrays = tuple[np.ndarray, list[str]]

pytestmark = pytest.mark.usefixtures("short_trials")


def decided(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A machine of a known pace, whose clock decides for a precision."""
    paced(monkeypatch, 1e7)
    monkeypatch.setattr(budget_division, "faster_precision", lambda *args, **more: name)


def test_the_clock_decides_by_the_steps_of_real_networks(
    arrays: Arrays, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "fast_bf16", lambda device: True)
    plain, done, now = pace.fit_child, list[tuple[str, str, int]](), 0.0

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        nonlocal now
        now += 1.0 if more["precision"] == BF16 else 2.0
        cost: lm.Cost = plain(child, train, **more)
        done.append((str(child.architecture), more["precision"], cost.steps))
        return cost

    monkeypatch.setattr(pace, "fit_child", fit)
    monkeypatch.setattr(precision, "perf_counter", lambda: now)
    data = lm.task_from_arrays(*arrays)
    networks = [space.sample(torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    recipe = lm.Recipe(batch_size=4)
    assert pace.faster_precision(data, space, networks, recipe, seconds=0.0) == BF16
    turn = [(str(one), name, 4) for name in (FLOAT32, BF16) for one in networks]
    assert done == turn * 2


@pytest.mark.parametrize("name", [FLOAT32, BF16])
def test_minutes_name_what_the_clock_decided_and_its_call_repeats_it(
    name: str, arrays: Arrays, space: lm.LayeredSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(monkeypatch, name)
    result = lm.auto(arrays, minutes=0.05, space=space, output=tmp_path, progress=False)
    assert result.precision == name
    assert ("precision='bf16-mixed'" in result.command) == (name == BF16)
    assert "32-true" not in result.command
    state = json.loads((tmp_path / "auto.json").read_text())
    assert state["plan"]["precision"] == state["done"]["precision"] == name
    (row,), (record,) = read_results(tmp_path / "results.json"), read_record_lines(tmp_path / "records.jsonl")
    assert row.precision == record.precision == name
    assert (f"| {BF16} |" in (tmp_path / "report" / "report.md").read_text()) == (name == BF16)
    monkeypatch.setattr(budget_division, "faster_precision", lambda *args, **more: pytest.fail("timed"))
    again = eval(result.command, {"lm": lm, "data": arrays, "space": space})
    assert same_weights(again.network, result.network)
    assert again.precision == name
    assert {tensor.dtype for tensor in result.network.parameters()} == {torch.float32}
