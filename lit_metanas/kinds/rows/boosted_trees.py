"""A rival of networks on rows: gradient-boosted trees of scikit-learn, which are scored, and never taken."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from math import inf
from typing import Any

import torch
from torch import Tensor

from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.tasks.task import Task

# Rounds of boosted trees, and the FLOPs that last as long as one of their looks at a number, as measured on tables.
TREES_ROUNDS, TREES_FLOPS = 100, 50


def trees_flops(task: Task) -> float:
    """The FLOPs that last as long as a training of trees; infinite if there can be none."""
    goal, made = task.goal, task.preprocessing
    answers = Classification | SeveralLabels | Regression
    if not isinstance(goal, answers) or not isinstance(made, Columns) or find_spec("sklearn") is None:
        return inf
    ensembles = goal.outputs - (isinstance(goal, Classification) and goal.outputs == 2)  # two classes need one
    return TREES_FLOPS * TREES_ROUNDS * made.unscaled(task.train.inputs).size * ensembles


def judge_trees(folds: Sequence[Task], seed: int) -> Judged:
    """How good trees of the train part of each fold of a task are on the validation parts."""
    evidence, targets = list[Any](), list[Tensor]()
    for task in folds:
        assert task.val is not None
        assert isinstance(task.preprocessing, Columns)
        features, asked = (task.preprocessing.unscaled(part.inputs) for part in (task.train, task.val))
        evidence += _by_trees(task, features, asked, seed)
        targets.append(task.val.labels.cpu())
    return folds[0].goal.judge(evidence, torch.cat(targets))


def _by_trees(task: Task, features: Any, asked: Any, seed: int) -> list[Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    targets, weights = task.train.labels.cpu().numpy(), task.train.weights
    given = {} if weights is None else {"sample_weight": weights.cpu().numpy()}

    def predicted(trees: Any, column: Any, said: str = "predict_proba") -> list[Any]:
        return list(getattr(trees(random_state=seed).fit(features, column, **given), said)(asked).tolist())

    if isinstance(task.goal, Classification):
        said = torch.zeros(len(asked), task.way, dtype=torch.float64)
        shares = torch.tensor(predicted(HistGradientBoostingClassifier, targets))
        said[:, task.train.labels.unique().cpu()] = shares.double()
        return task.goal.evidence(said.log())
    if isinstance(task.goal, SeveralLabels):
        each = (predicted(HistGradientBoostingClassifier, column) for column in targets.T)
        return list(zip(*([row[-1] for row in own] for own in each), strict=True))  # all may have a label
    columns = (predicted(HistGradientBoostingRegressor, column, "predict") for column in targets.T)
    return list(zip(*columns, strict=True))


def describe_trees(found: Judged | None, chosen: float) -> str:
    """The score of boosted trees, compared with that of the model that was chosen on the same examples."""
    if found is None:
        return ""
    ahead = found.value - chosen
    text = f"HistGradientBoosting of scikit-learn reaches {100 * found.value:.1f} % on the same validation examples, "
    if ahead >= max(found.half / 1.96, 1e-9):  # its standard error
        return f"{text}{100 * ahead:.1f} points more: use it here"
    if abs(ahead) < 5e-4:
        return f"{text}as much"
    if ahead > 0:
        return f"{text}{100 * ahead:.1f} points more, which may be chance"
    return f"{text}{-100 * ahead:.1f} points less"
