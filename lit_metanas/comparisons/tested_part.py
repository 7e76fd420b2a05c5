"""How good a network is: on the test part, with its worst errors, and on new examples that have labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.comparisons.result_text import measures_in_words
from lit_metanas.comparisons.shown_predictions import explained, shown_predictions
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.objectives import Regression, SeveralLabels
from lit_metanas.objectives.classification import Classification, ClassProbabilities
from lit_metanas.objectives.metric_table import ACCURACY, BALANCED
from lit_metanas.objectives.objective import Judged, Objective
from lit_metanas.records.result_files import INTERVAL_ENDS
from lit_metanas.records.rows import ExampleRow, ShownPrediction
from lit_metanas.records.statistics import FEWEST_OF_INTERVAL, percent, wilson_reach
from lit_metanas.tasks.labels import indicator, label_sets, separator_of
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


def describe_predictions(
    objective: Objective | None, classes: Sequence[str], found: Tensor, labels: Sequence[str]
) -> str:
    """How good predictions, probabilities or numbers ``(n, outputs)``, are by labels, of which some may be empty."""
    goal = objective
    if not isinstance(goal, Classification | SeveralLabels | Regression):
        goal = Classification(len(classes))
    known, targets, strange = _targets_of(goal, classes, labels)
    sentences = []
    if known:
        said, values = list(map(tuple, found[known].double().tolist())), found[known]
        if isinstance(goal, Classification):
            said = replace(goal, temperature=1.0).evidence(goal.unshifted(values))
        judged, words = (
            goal.judge(said, targets),
            measures_in_words(goal.measures(values, targets, classes), goal.metric),
        )
        if not math.isnan(judged.value):  # as the AUROC is where no label is of the second class
            words = {goal.metric: f"{percent(judged.value, reach_of(goal, judged, targets))} %", **words}
        named = ", ".join(f"{name} {value}" for name, value in words.items())
        sentences.append(f"On the {number_of(len(known), 'example')} with a label: {named}.")
    if strange:
        sentences.append(f"The network does not know {first_few(strange)}.")
    return " ".join(sentences)


def _targets_of(goal: Objective, classes: Sequence[str], labels: Sequence[str]) -> tuple[list[int], Tensor, list[str]]:
    """The places of examples with a label that the network knows, their targets, and the labels that it does not."""
    if isinstance(goal, SeveralLabels):
        sets = label_sets(labels, len(labels), separator=separator_of(labels))
        targets, named = indicator(sets, classes), {str(label) for own in sets for label in own}
        known = list(range(len(sets))) if bool(targets.any()) else []
    elif isinstance(goal, Regression):
        numbers, named = dict[int, float](), set[str]()
        if goal.outputs == 1:  # otherwise one column does not say which number it is
            for place, label in enumerate(labels):
                with suppress(ValueError):
                    numbers[place] = float(label)
        known, targets = list(numbers), torch.tensor(list(numbers.values()), dtype=torch.float64)[:, None]
    else:
        known, named = [place for place, label in enumerate(labels) if label in classes], {*labels} - {""}
        targets = torch.tensor([classes.index(labels[place]) for place in known])
    return known, targets, sorted(printable(label, 40) for label in named - {*classes})
