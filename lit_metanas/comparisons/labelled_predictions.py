"""How good an exported network is on new examples that have labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

from lit_metanas.comparisons.class_measures import class_measures
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.objectives.classification import ACCURACY, BALANCED
from lit_metanas.objectives.regression import Regression
from lit_metanas.records.statistics import percent, wilson_reach
from lit_metanas.training.export.exported_program import Exported


def describe_predictions(exported: Exported, found: Tensor, labels: Sequence[str]) -> str:
    """A sentence on the predictions of examples, of which those without a label, an empty text, are left out.

    Args:
        exported: the network.
        found: what it says of each, probabilities or numbers, shape ``(n, outputs)``.
        labels: of each example.
    """
    if isinstance(exported.objective, Regression):
        return _of_numbers(exported.objective, found, labels)
    known = [place for place, label in enumerate(labels) if label in exported.classes]
    strange = Counter(printable(label, 40) for label in labels if label and label not in exported.classes)
    said = ""
    if strange:
        said = f" {number_of(strange.total(), 'label')} more, which the network does not know: {first_few([*strange])}."
    if not known:
        return said.strip()
    truths, shares = torch.tensor([exported.classes.index(labels[place]) for place in known]), found[known]
    measures = class_measures(truths, shares.argmax(1), shares)
    right = measures.pop(ACCURACY)
    accuracy = percent(right, wilson_reach(right, len(known)))
    balanced = percent(measures.pop(BALANCED))
    others = ", ".join(f"{name} {value:.3f}" for name, value in measures.items())
    which = number_of(len(known), "example")
    return f"Of the {which} with a label {accuracy} % are right; balanced accuracy {balanced} %, {others}.{said}"


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
