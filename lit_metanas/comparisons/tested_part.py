"""A trained network on the test part: its score, what it says of each example, and its worst errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.comparisons.saliency import explained
from lit_metanas.comparisons.shown_predictions import shown_predictions
from lit_metanas.objectives.classification import Classification, ClassProbabilities
from lit_metanas.objectives.metric_table import ACCURACY, BALANCED
from lit_metanas.objectives.objective import Judged, Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.result_files import INTERVAL_ENDS
from lit_metanas.records.rows import ExampleRow, ShownPrediction
from lit_metanas.records.statistics import FEWEST_OF_INTERVAL, wilson_reach
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Child, evidence_of, scores_of

WORST_SHOWN = 20
"""The most errors that are shown."""


class TestedPart(NamedTuple):
    """What a network says of the test part of a task."""

    task: Task
    predictions: list[Any]
    judged: Judged
    probabilities: Tensor | None  # of each class, shape (n, way); None where there are no classes

    @property
    def by_class(self) -> dict[str, float]:
        """The recall of each class that has any examples; empty without classes."""
        if self.probabilities is None:
            return {}
        labels, names, goal = self.task.test.labels.cpu(), self.task.goal.names(self.task.classes), self.task.goal
        if isinstance(goal, SeveralLabels):
            found = ((goal.chosen(self.predictions) * labels).sum(0) / labels.sum(0)).tolist()
            return {name: recall for name, recall in zip(names, found, strict=True) if not math.isnan(recall)}
        right = (torch.tensor(self.predictions) == labels).double()
        parts = {name: right[labels == label] for label, name in enumerate(names)}
        return {name: float(own.mean()) for name, own in parts.items() if len(own)}

    @property
    def measures(self) -> dict[str, float]:
        """Measures that do not choose."""
        found: Any = self.predictions if self.probabilities is None else self.probabilities
        goal = self.task.goal
        return goal.measures(found, self.task.test.labels.cpu(), goal.names(self.task.classes))

    @property
    def rows(self) -> tuple[ExampleRow, ...]:
        """A row for each example."""
        task, number = self.task, len(self.predictions)
        names = task.test_names if len(task.test_names) == number else tuple(map(str, range(number)))
        said, meant = (
            task.goal.show(each, task.test.inputs, task)
            for each in (self.predictions, task.goal.answers(task.test.labels))
        )
        rows = map(ExampleRow, names, meant, said)
        if isinstance(task.goal, Regression):
            return tuple(self._with_ends(task.goal, rows))
        if self.probabilities is None:
            return tuple(rows)
        losses, classes = self._losses.tolist(), task.goal.names(task.classes)
        if isinstance(task.goal, SeveralLabels):
            shares = [tuple(zip(classes, own, strict=True)) for own in self.probabilities.tolist()]
            return tuple(
                row._replace(loss=loss, shares=own) for row, loss, own in zip(rows, losses, shares, strict=True)
            )
        sure = self.probabilities.gather(1, torch.tensor(self.predictions)[:, None])[:, 0].tolist()
        return tuple(
            row._replace(probability=own, loss=loss) for row, own, loss in zip(rows, sure, losses, strict=True)
        )

    def _with_ends(self, goal: Regression, rows: Iterable[ExampleRow]) -> Iterator[ExampleRow]:
        """Rows of numbers with their squared errors, of standardised targets, and the ends of their intervals."""
        said, deviations = torch.tensor(self.predictions, dtype=torch.float64), torch.tensor(goal.deviations).double()
        losses = (((said - self.task.test.labels.cpu()) / deviations) ** 2).mean(1).tolist()
        for row, loss, prediction in zip(rows, losses, self.predictions, strict=True):
            ends = goal.columns(prediction, self.task.classes)
            yield row._replace(loss=loss, ends=tuple(one for one in ends.items() if one[0].startswith(INTERVAL_ENDS)))

    def worst_explained(self, network: nn.Module, flops: float) -> tuple[ShownPrediction, ...]:
        """The errors of the highest loss, the highest first, as ``explained`` has them; none without classes."""
        if self.probabilities is None:
            return ()
        pairs = zip(self.predictions, self.task.goal.answers(self.task.test.labels), strict=True)
        wrong = torch.tensor([not self.task.goal.agrees(*pair) for pair in pairs])
        order = torch.where(wrong, self._losses, -1.0).argsort(descending=True)
        places = order[: min(WORST_SHOWN, int(wrong.sum()))]
        shown = shown_predictions(self.task, self.predictions, places)
        if not shown or not isinstance(self.task.goal, Classification):
            return shown
        return explained(shown, network, self.task, places, torch.tensor(self.predictions)[places], flops=flops)

    @property
    def _losses(self) -> Tensor:
        """The loss of each example that has probabilities."""
        goal = self.task.goal
        assert isinstance(goal, ClassProbabilities)
        assert self.probabilities is not None
        return goal.log_losses(self.probabilities, self.task.test.labels.cpu())


def reach_of(goal: Objective, judged: Judged, targets: Tensor) -> float:
    """Distance from a score to the end of its 95 % interval; NaN for too few examples."""
    if len(targets) < FEWEST_OF_INTERVAL:
        return math.nan
    if goal.metric in (ACCURACY, BALANCED) or judged.half == 0:
        return wilson_reach(judged.value, goal.examples_worth(targets))
    return judged.half


def tested_part(child: Child, task: Task) -> TestedPart:
    """Test a trained network once."""
    child.eval()
    if not isinstance(task.goal, ClassProbabilities):
        said = evidence_of(child, task.test, task.goal)
        return TestedPart(task, said, task.goal.judge(said, task.test.labels), None)
    scores = scores_of(child, task.test, task.goal)
    if isinstance(task.goal, SeveralLabels):  # a sigmoid next to 1 has too few digits
        scores = scores.cpu().double()
    judged = task.goal.judge(task.goal.evidence(scores), task.test.labels)
    return TestedPart(task, task.goal.predictions(scores), judged, task.goal.values(scores).cpu())
