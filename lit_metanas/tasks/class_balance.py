"""Rare classes: by which metric networks are chosen, and how much each example counts in a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor

from lit_metanas.io.text import printable
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.metric_table import BALANCED
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.tasks.task import Split, Task

RARE = 1 / 3
"""A class is rare if it has less than this share of the examples that a class has on average."""

BALANCED_WEIGHT = "balanced"
"""All classes have the same weight in a training."""

AUTO_WEIGHT = "auto"
"""All classes have the same weight if networks are chosen by balanced accuracy."""

ClassWeight = Literal["auto", "balanced"] | None


def balanced_task(task: Task, metric: str | None, class_weight: Any = AUTO_WEIGHT) -> tuple[Task, str]:
    """A task with the metric that suits its classes, and examples with the weights that suit the metric."""
    # The balanced accuracy is taken if the rarest class of the train part is rare, unless a metric is given, or the
    # task's objective names one; a sentence says so. `balanced` divides the weight of each example by the size of its
    # class in the train part, with 1 as the mean; `auto` is `balanced` with the balanced accuracy. Or the weight of
    # each class is given by its name; others have 1. Of several labels, `balanced` gives the examples with each class
    # the weight of all without it, and `auto` none.
    if metric is not None and (goal := task.goal.judged_by(metric)) != task.goal:
        task = replace(task, objective=goal)
    if isinstance(task.goal, SeveralLabels):
        return _balanced_sets(task, task.goal, class_weight), ""
    if not isinstance(task.goal, Classification):
        if class_weight not in (None, AUTO_WEIGHT):
            raise ValueError(f"Task '{task.id}' has no classes: leave 'class_weight' out.")
        return task, ""
    sizes, sentence = task.train.labels.bincount(minlength=task.way), ""
    rarest = int(sizes.argmin())
    if metric is None and task.objective is None and int(sizes[rarest]) < RARE * float(sizes.double().mean()):
        task = replace(task, objective=task.goal.judged_by(BALANCED))
        sentence = (
            f"class '{printable(task.goal.names(task.classes)[rarest], 40)}' has {sizes[rarest]:,} of "
            f"{len(task.train):,} examples to learn from: networks are chosen by {BALANCED}, the mean recall."
        )
    if class_weight == AUTO_WEIGHT:
        class_weight = BALANCED_WEIGHT if task.goal.metric == BALANCED else None
    if class_weight is None:
        return task, sentence
    if class_weight == BALANCED_WEIGHT:
        weights = len(task.train) / (task.way * sizes.clamp(min=1).float())
    else:
        weights = torch.tensor(_given_weights(task.goal.names(task.classes), class_weight), device=sizes.device)
    return replace(task, train=_weighted(task.train, weights), val=task.val and _weighted(task.val, weights)), sentence


def _balanced_sets(task: Task, goal: SeveralLabels, class_weight: Any) -> Task:
    """A task of several labels whose loss has the weights of the classes."""
    # If they are balanced, the examples with a class together weigh as much as those without it.
    if class_weight in (None, AUTO_WEIGHT):
        return task
    number, with_class = len(task.train), task.train.labels.sum(0).tolist()
    if class_weight == BALANCED_WEIGHT:
        weights = [(number / (2 * max(1.0, number - own)), number / (2 * max(1.0, own))) for own in with_class]
    else:
        weights = [(1.0, weight) for weight in _given_weights(goal.names(task.classes), class_weight)]
    return replace(task, objective=replace(goal, weights=tuple(weights)))


def _given_weights(names: Sequence[str], class_weight: Any) -> list[float]:
    """The weight of each class, 1 unless it is given."""
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight = '{printable(str(class_weight), 40)}' is unknown: give 'balanced', None, or a weight for "
            "each class."
        )
    given = {str(name): float(weight) for name, weight in class_weight.items()}
    for name, weight in given.items():
        if name not in names:
            raise ValueError(f"class_weight has '{printable(name, 40)}', which is none of the classes: leave it out.")
        if not 0 <= weight < inf:
            raise ValueError(f"class_weight of '{printable(name, 40)}' is {weight:g}: give a number from 0 on.")
    return [given.get(name, 1.0) for name in names]


def _weighted(part: Split, weights: Tensor) -> Split:
    own = weights[part.labels]
    return replace(part, weights=own if part.weights is None else own * part.weights)
