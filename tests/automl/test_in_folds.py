"""Searches of tables with few examples to choose by: every candidate is scored on those of all folds."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import interrupt, same_weights

import lit_metanas as lm
from lit_metanas.automl import budget_plan, linear_models
from lit_metanas.automl.known import best_of
from lit_metanas.estimators import training_estimator
from lit_metanas.estimators.candidate import Candidate
from lit_metanas.estimators.folds import folds_of
from lit_metanas.training.child import chosen_child

FOLDS = 4
Call = Callable[..., lm.SearchResult]


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small budget pays for several candidates."""
    monkeypatch.setattr(budget_plan, "SHARES", replace(budget_plan.SHARES, trial_steps=3))


@pytest.fixture
def call() -> Call:
    """Searches a table of 100 rows, whose two classes overlap."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(100, 4)).astype(np.float32)
    labels = (rows[:, 0] * rows[:, 1] + generator.normal(scale=0.3, size=100) > 0).astype(int)

    def run(**more: Any) -> lm.SearchResult:
        return lm.auto((rows, labels), **{"kind": "rows", "flops": 1.4e9, "records": [], "progress": False, **more})

    return run


def planned_folds(folder: Path) -> int:
    """The folds of the plan that a search has written."""
    return int(json.loads((folder / "auto.json").read_text())["plan"]["folds"])


def test_each_candidate_is_scored_on_the_examples_of_all_folds(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[list[Candidate]]()
    monkeypatch.setattr(
        linear_models, "best_of", lambda several, examples: compared.append([*several]) or best_of(several, examples)
    )
    found = call()
    network, linear, mean = compared[0]
    right = dict.fromkeys(("network", "linear", "mean"), 0)
    number = 0
    for place, fold in enumerate(folds_of(network.variant.task, FOLDS)):
        scores = []
        for one in (network, linear):
            own = one.of_fold(place)
            child = chosen_child(own.variant.task, own.variant.limited.space, own.found, lm.Recipe(), 0).network.eval()
            with torch.no_grad():
                scores.append(child(fold.val.inputs))
        for name, said in zip(right, (*scores, scores[0] + scores[1]), strict=True):
            right[name] += int((said.argmax(dim=1) == fold.val.labels).sum())
        number += len(fold.val)
    assert number >= 75
    for name, one in zip(right, (network, linear, mean), strict=True):
        assert one.value == pytest.approx(right[name] / number)
    assert all(trial.value in {right / number for right in range(number + 1)} for trial in found.record.trials)


@pytest.mark.filterwarnings("ignore:The network never predicts")
def test_a_search_in_folds_goes_on_after_an_interrupt(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call()
    with monkeypatch.context() as patched:
        interrupt(patched, training_estimator, at=2 * FOLDS + 2)  # in the third candidate
        stopped = call(output=tmp_path)
    assert stopped.stopped
    assert planned_folds(tmp_path) == FOLDS
    again = call(output=tmp_path)
    assert same_weights(whole.network, again.network)
    assert [trial.value for trial in again.record.trials] == [trial.value for trial in whole.record.trials]
