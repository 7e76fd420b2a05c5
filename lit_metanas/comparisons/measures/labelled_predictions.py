"""How good an exported network is on new examples that have labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from lit_metanas.comparisons.measures.class_measures import class_measures
from lit_metanas.comparisons.measures.label_measures import label_measures
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.metric_table import ACCURACY, BALANCED
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.statistics import percent, wilson_reach
from lit_metanas.tasks.label_sets import indicator, label_sets, separator_of


def describe_predictions(
    objective: Objective | None, classes: Sequence[str], found: Tensor, labels: Sequence[str]
) -> str:
    """A sentence on the predictions of examples, of which those without a label, an empty text, are left out.

    Args:
        objective: the network's; None tells classes apart.
        classes: their names.
        found: what it says of each, probabilities or numbers, shape ``(n, outputs)``.
        labels: of each example.
    """
    if isinstance(objective, Regression):
        return _of_numbers(objective, found, labels)
    if isinstance(objective, SeveralLabels):
        return _of_sets(objective, classes, found, labels)
    known = [place for place, label in enumerate(labels) if label in classes]
    strange = Counter(printable(label, 40) for label in labels if label and label not in classes)
    said = ""
    if strange:
        said = f" {number_of(strange.total(), 'label')} more, which the network does not know: {first_few([*strange])}."
    if not known:
        return said.strip()
    truths, shares = torch.tensor([classes.index(labels[place]) for place in known]), found[known]
    goal = objective if isinstance(objective, Classification) else Classification(len(classes))
    measures = class_measures(truths, goal.unshifted(shares).argmax(1), shares)
    right = measures.pop(ACCURACY)
    if goal.metric not in (ACCURACY, *measures):
        judged = goal.judge(replace(goal, temperature=1.0).evidence(goal.unshifted(shares)), truths)
        if not math.isnan(judged.value):  # as where no label is of the second class
            measures = {goal.metric: judged.value, **measures}
    accuracy = percent(right, wilson_reach(right, len(known)))
    balanced = percent(measures.pop(BALANCED))
    others = ", ".join(f"{name} {value:.3f}" for name, value in measures.items())
    which = number_of(len(known), "example")
    return f"Of the {which} with a label {accuracy} % are right; balanced accuracy {balanced} %, {others}.{said}"


def _of_sets(objective: SeveralLabels, classes: Sequence[str], found: Tensor, labels: Sequence[str]) -> str:
    """The same of several labels, of which an example may have none."""
    sets = label_sets(labels, len(labels), separator=separator_of(labels))
    strange = sorted({printable(str(label), 40) for own in sets for label in own} - {*classes})
    targets, said = indicator(sets, classes), list(map(tuple, found.double().tolist()))
    if not bool(targets.any()):
        return ""
    measures = {
        objective.metric: objective.judge(said, targets).value,
        **label_measures(targets, objective.chosen(said), found),
    }
    named = ", ".join(f"{name} {value:.3f}" for name, value in measures.items())
    more = f" The network does not know {first_few(strange)}." if strange else ""
    return f"On the {number_of(len(sets), 'example')}: {named}.{more}"


def _of_numbers(objective: Regression, found: Tensor, labels: Sequence[str]) -> str:
    """The same of a number that was predicted for each example."""
    truths = dict[int, float]()
    for place, label in enumerate(labels):
        with suppress(ValueError):
            truths[place] = float(label)
    if not truths or objective.outputs != 1:
        return ""
    targets = torch.tensor(list(truths.values()), dtype=torch.float64)[:, None]
    said = [tuple(row) for row in found[list(truths)].double().tolist()]
    measures = {objective.metric: objective.judge(said, targets).value, **objective.measures(said, targets, ())}
    named = ", ".join(f"{name} {value:.4g}" for name, value in measures.items())
    return f"On the {number_of(len(truths), 'example')} with a number: {named}."
