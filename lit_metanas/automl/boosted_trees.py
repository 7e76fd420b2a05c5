"""A rival on rows: gradient-boosted trees of scikit-learn, which are scored, and never taken."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import torch

from lit_metanas.automl.candidates import Known
from lit_metanas.estimators.estimator import FAILURES
from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.budget import Cost
from lit_metanas.tasks.task import Task

# Rounds of boosted trees, and the FLOPs that last as long as one of their looks at a number, as measured on tables.
TREES_ROUNDS, TREES_FLOPS = 100, 50


def score_trees(known: Known) -> None:
    """Score gradient-boosted trees of scikit-learn on the validation part of rows, if they cost little."""
    task, plan = known.job.task, known.plan
    goal, made = task.goal, task.preprocessing
    answers = Classification | SeveralLabels | Regression
    if not isinstance(goal, answers) or not isinstance(made, Columns) or find_spec("sklearn") is None:
        return
    features, val = made.unscaled(task.train.inputs), validation_part(task)
    ensembles = goal.outputs - (isinstance(goal, Classification) and goal.outputs == 2)  # two classes need one
    flops = TREES_FLOPS * TREES_ROUNDS * features.size * ensembles
    if flops > plan.shares.trees * (plan.search + (plan.training or plan.expected)):
        return
    known.budget.begin("scoring boosted trees")
    begin = perf_counter()
    with suppress(*FAILURES):
        predictions = _by_trees(task, features, made.unscaled(val.inputs), known.job.options.seed)
        known.trees = goal.judge(predictions, val.labels.cpu())
    known.count(Cost(seconds=perf_counter() - begin))


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
    text = f"HistGradientBoosting of scikit-learn reaches {100 * found.value:.1f} % on the same validation part, "
    if ahead >= max(found.half / 1.96, 1e-9):  # its standard error
        return f"{text}{100 * ahead:.1f} points more: use it here"
    if abs(ahead) < 5e-4:
        return f"{text}as much"
    more = "more, which may be chance" if ahead > 0 else "less"
    return f"{text}{100 * abs(ahead):.1f} points {more}"
