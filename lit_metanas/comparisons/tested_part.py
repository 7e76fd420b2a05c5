"""A trained network on the test part: its score, what it says of each example, and its worst errors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.comparisons.class_measures import UNCALIBRATED, class_measures
from lit_metanas.comparisons.saliency import explained
from lit_metanas.comparisons.shown_predictions import shown_predictions
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged
from lit_metanas.records.rows import ExampleRow, ShownPrediction
from lit_metanas.records.statistics import FEWEST_OF_INTERVAL, wilson_reach
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Child, judge, scores_of

WORST_SHOWN = 20
"""The most errors that are shown."""


class TestedPart(NamedTuple):
    """What a network says of the test part of a task."""

    task: Task
    predictions: list[Any]
    judged: Judged
    probabilities: Tensor | None  # of each class, shape (n, way); None where no classes are told apart

    @property
    def reach(self) -> float:
        """Distance from the score to the end of its 95 % interval; NaN for too few examples."""
        labels = self.task.test.labels
        if len(labels) < FEWEST_OF_INTERVAL:
            return math.nan
        if self.probabilities is not None or self.judged.half == 0:
            return wilson_reach(self.judged.value, self.task.goal.examples_worth(labels))
        return self.judged.half

    @property
    def by_class(self) -> dict[str, float]:
        """The recall of each class that has any examples; empty without classes."""
        if self.probabilities is None:
            return {}
        labels, names = self.task.test.labels.cpu(), self.task.goal.names(self.task.classes)
        parts = {name: Judged(*(each[labels == label] for each in self.judged)) for label, name in enumerate(names)}
        return {name: own.value for name, own in parts.items() if len(own.right)}

    @property
    def measures(self) -> dict[str, float]:
        """Measures that do not choose."""
        if self.probabilities is None:
            goal, task = self.task.goal, self.task
            return goal.measures(self.predictions, task.test.labels, goal.names(task.classes))
        labels, said = self.task.test.labels.cpu(), torch.tensor(self.predictions)
        found = class_measures(labels, said, self.probabilities)
        assert isinstance(self.task.goal, Classification)
        if (temperature := self.task.goal.temperature) != 1:
            plain = class_measures(labels, said, (self.probabilities.double().log() * temperature).softmax(1))
            found |= {f"{name} {UNCALIBRATED}": plain[name] for name in ("log-loss", "calibration error")}
            found["temperature"] = temperature
        return found

    @property
    def rows(self) -> tuple[ExampleRow, ...]:
        """A row for each example."""
        task, number = self.task, len(self.predictions)
        names = task.test_names if len(task.test_names) == number else tuple(map(str, range(number)))
        said, meant = (
            task.goal.show(each, task.test.inputs, task)
            for each in (self.predictions, task.goal.answers(task.test.labels))
        )
        numbers = [[math.nan] * number] * 2
        if self.probabilities is not None:
            own = self.probabilities.gather(1, torch.tensor(self.predictions)[:, None])[:, 0]
            numbers = [own.tolist(), self._losses.tolist()]
        return tuple(map(ExampleRow._make, zip(names, meant, said, *numbers, strict=True)))

    @property
    def worst(self) -> tuple[ShownPrediction, ...]:
        """The errors of the highest loss, the highest first; none without classes."""
        if self.probabilities is None:
            return ()
        return shown_predictions(self.task, self.predictions, self.worst_places)

    @property
    def worst_places(self) -> Tensor:
        """Their places among the examples."""
        wrong = self.judged.right == 0
        return torch.where(wrong, self._losses, -1.0).argsort(descending=True)[: min(WORST_SHOWN, int(wrong.sum()))]

    def worst_explained(self, network: nn.Module) -> tuple[ShownPrediction, ...]:
        """The worst errors, of images and sounds with what speaks for the prediction of a network."""
        if not (shown := self.worst):
            return ()
        places = self.worst_places
        return explained(shown, network, self.task, places, torch.tensor(self.predictions)[places])

    @property
    def _losses(self) -> Tensor:
        """The negative logarithm of the probability of each example's class."""
        assert self.probabilities is not None
        own = self.probabilities.double().gather(1, self.task.test.labels.cpu()[:, None])[:, 0]
        return -own.clamp(min=torch.finfo(torch.float32).tiny).log()


def tested_part(child: Child, task: Task) -> TestedPart:
    """Test a trained network once."""
    child.eval()
    if not isinstance(task.goal, Classification):
        return TestedPart(task, *judge(child, task.test, task.goal), None)
    scores = scores_of(child, task.test, task.goal)
    predictions = task.goal.predictions(scores)
    return TestedPart(task, predictions, task.goal.judge(predictions, task.test.labels), task.goal.values(scores).cpu())
