"""Boosted trees of scikit-learn as a rival of ``auto`` on rows."""

from dataclasses import replace
from importlib.util import find_spec as installed
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lit_metanas as lm
from lit_metanas.automl import budget_plan, stages
from lit_metanas.automl.budget_plan import SHARES
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.rows import boosted_trees
from lit_metanas.kinds.rows.boosted_trees import describe_trees
from lit_metanas.objectives.objective import Judged


def squares(number: int = 240) -> tuple[np.ndarray, list[str]]:
    """Rows whose class is that of a field of a chess board, which trees learn from few."""
    X = np.random.default_rng(0).uniform(0, 4, (number, 2))
    return X, ["black" if (int(a) + int(b)) % 2 else "white" for a, b in X]


def columns_of(task: Any, part: Any) -> np.ndarray:
    """The numbers that a part was made of."""
    return task.preprocessing.unscaled(part.inputs)


def judged(right: torch.Tensor) -> Judged:
    """The judgement of so many right answers."""
    return Judged(right.double(), torch.ones(len(right), dtype=torch.float64))


def test_their_validation_score_is_reported_and_they_are_not_exported(tmp_path: Path) -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    found = lm.auto(squares(), flops=2e8, seed=3, progress=False, output=tmp_path / "out")
    task = read_given(squares())
    raw = [columns_of(task, part).round(4) for part in (task.train, task.val)]
    assert {tuple(row) for row in raw[0]} < {tuple(row) for row in squares()[0].round(4)}
    trees = ensemble.HistGradientBoostingClassifier(random_state=3).fit(raw[0], task.train.labels)
    score = trees.score(raw[1], task.val.labels)
    right = torch.from_numpy(trees.predict(raw[1])) == task.val.labels
    assert found.rival == describe_trees(judged(right), found.val_score)
    assert f"rival: HistGradientBoosting of scikit-learn reaches {100 * score:.1f} % on the" in str(found)
    assert lm.load(tmp_path / "out").architecture == dict(found.architecture)


def test_numbers_have_trees_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    X = np.random.default_rng(0).uniform(0, 4, (240, 2))
    y = np.floor(X[:, 0]) * np.floor(X[:, 1]) + 0.5 * X[:, 0]
    asked, score_trees = [], stages.score_trees
    monkeypatch.setattr(stages, "score_trees", lambda known: asked.append(known.job) or score_trees(known))
    found = lm.auto((X, y), flops=2e8, seed=3, progress=False)
    task = asked[0].task
    trees = ensemble.HistGradientBoostingRegressor(random_state=3)
    trees.fit(columns_of(task, task.train), task.train.labels[:, 0])
    score = trees.score(columns_of(task, task.val), task.val.labels[:, 0])
    assert f"reaches {100 * score:.1f} % on the same validation examples" in found.rival


def test_each_of_several_labels_has_trees_of_its_own() -> None:
    pytest.importorskip("sklearn")
    labels = [["white"] * (own == "white") + ["right"] * int(row[0] > 2) for row, own in zip(*squares(), strict=True)]
    assert boosted_trees.judge_trees([read_given((squares()[0], labels))], 0).value > 0.8


def test_the_result_is_the_same_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    given: dict[str, Any] = {"flops": 2e8, "progress": False}
    found = lm.auto(squares(), **given)
    assert found.rival
    monkeypatch.setattr(boosted_trees, "find_spec", lambda name: None if name == "sklearn" else installed(name))
    without = lm.auto(squares(), **given)
    assert without.rival == ""
    assert (without.architecture, without.test_score) == (found.architecture, found.test_score)
    monkeypatch.undo()
    monkeypatch.setattr(budget_plan, "SHARES", replace(SHARES, trees=1e-6))  # they would cost too much
    assert lm.auto(squares(), **given).rival == ""


@pytest.mark.parametrize(
    ("value", "chosen", "told"),
    [
        (None, 0.5, ""),
        (0.922, 0.872, "reaches 92.2 % on the same validation examples, 5.0 points more: use it here"),
        (0.8721, 0.8711, "reaches 87.2 % on the same validation examples, 0.1 points more, which may be chance"),
        (0.8, 0.9, "reaches 80.0 % on the same validation examples, 10.0 points less"),
    ],
)
def test_one_line_of_advice(value: float | None, chosen: float, told: str) -> None:
    found = None if value is None else judged(torch.arange(10_000) < 10_000 * value)
    assert describe_trees(found, chosen).removeprefix("HistGradientBoosting of scikit-learn ") == told
