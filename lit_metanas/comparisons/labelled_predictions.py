"""How good an exported network is on new examples that have labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from lit_metanas.comparisons.result_text import measures_in_words
from lit_metanas.comparisons.tested_part import reach_of
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.statistics import percent
from lit_metanas.tasks.labels import indicator, label_sets, separator_of


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
