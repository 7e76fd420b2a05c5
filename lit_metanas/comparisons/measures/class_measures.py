"""How well classes are told on a test part: for each class, and by measures that do not choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_precision,
    multiclass_recall,
)

from lit_metanas.io.text import markdown_lines, markdown_text, shorten

CALIBRATION_BINS = 15
"""Bins of equal mass of the calibration error."""

UNCALIBRATED = "without calibration"
"""The end of the names of measures of a network's own probabilities."""

LARGEST_MATRIX = 12
"""Classes of a confusion matrix that is a table; of more the most frequent confusions are listed."""

FEWEST_MISSED = 5
"""Test examples of a class that is worth a warning if it is never predicted."""

MOST_CONFUSIONS, MOST_LINES = 20, 200
"""Most confusions of a list, and most classes of a table."""


def calibration_error(probabilities: Tensor, right: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """The expected calibration error: how far probabilities are from the share of right predictions, on average.

    Examples are sorted by the probability of their prediction and divided into bins of equal mass (Nguyen and O'Connor
    2015), not of equal width as by Guo et al. (2017), where most examples of a good network are in one bin.

    Args:
        probabilities: of the predictions, shape ``(n,)``.
        right: whether they are right, shape ``(n,)``.
        bins: at most as many as there are examples.
    """
    order = probabilities.double().argsort()
    parts = zip(probabilities.double()[order].tensor_split(bins), right.double()[order].tensor_split(bins), strict=True)
    return sum(abs(float((own - hits).sum())) for own, hits in parts) / max(1, len(order))


def class_measures(labels: Tensor, predictions: Tensor, probabilities: Tensor) -> dict[str, float]:
    """Measures of a classification by their names.

    Args:
        labels: class indices, shape ``(n,)``.
        predictions: class indices, shape ``(n,)``.
        probabilities: of each class, shape ``(n, way)``.

    Returns:
        Accuracy, balanced accuracy, log-loss, calibration error, and for two classes the AUROC, if both are tested.

    Example:
        >>> labels, probabilities = torch.tensor([0, 1, 1]), torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
        >>> found = class_measures(labels, probabilities.argmax(1), probabilities)
        >>> {name: round(value, 3) for name, value in found.items()}
        {'accuracy': 0.667, 'balanced accuracy': 0.75, 'log-loss': 0.646, 'calibration error': 0.433, 'AUROC': 1.0}
    """
    way, right = probabilities.shape[1], predictions == labels
    recall = multiclass_recall(predictions, labels, num_classes=way, average=None)
    own = probabilities.double().gather(1, labels[:, None]).clamp(min=torch.finfo(torch.float32).tiny)
    found = {
        "accuracy": float(multiclass_accuracy(predictions, labels, num_classes=way, average="micro")),
        "balanced accuracy": float(recall[labels.unique()].mean()),
        "log-loss": float(-own.log().mean()),
        "calibration error": calibration_error(probabilities.gather(1, predictions[:, None])[:, 0], right),
    }
    if way == 2 and len(labels.unique()) == 2:
        found["AUROC"] = float(binary_auroc(probabilities[:, 1], labels))
    return found


@dataclass(frozen=True)
class ClassTable:
    """Recall, precision and confusions of the classes of a test part.

    Attributes:
        names: of the classes.
        confusions: how many examples of each class (rows) were taken for each (columns), shape ``(way, way)``.
        recall: of each class, shape ``(way,)``.
        precision: of each class, shape ``(way,)``.

    Example:
        >>> table = ClassTable.of([0, 0, 1], [0, 1, 1], ("cat", "dog"))
        >>> table.recall.tolist(), table.precision.tolist(), table.never_predicted
        ([0.5, 1.0], [1.0, 0.5], [])
        >>> print(table.markdown().splitlines()[2])
        | cat | 2 | 50.0 | 100.0 |
    """

    names: tuple[str, ...]
    confusions: Tensor
    recall: Tensor
    precision: Tensor

    @classmethod
    def of(cls, labels: Sequence[int], predictions: Sequence[int], names: Sequence[str]) -> ClassTable:
        """That of class indices."""
        said, meant = (torch.as_tensor(each, dtype=torch.int64) for each in (predictions, labels))
        way = max(2, len(names))  # torchmetrics knows no less
        matrix = multiclass_confusion_matrix(said, meant, num_classes=way)[: len(names), : len(names)]
        recall = multiclass_recall(said, meant, num_classes=way, average=None)[: len(names)]
        precision = multiclass_precision(said, meant, num_classes=way, average=None)[: len(names)]
        return cls(tuple(names), matrix, recall, precision)

    @property
    def never_predicted(self) -> list[str]:
        """The classes that no example is taken for although five or more are of them, which is hardly chance."""
        tested, said = self.confusions.sum(1), self.confusions.sum(0)
        return [name for place, name in enumerate(self.names) if tested[place] >= FEWEST_MISSED and not said[place]]

    def markdown(self) -> str:
        """A row for each class, the weakest first, and the confusions."""
        tested, said = self.confusions.sum(1).tolist(), self.confusions.sum(0).tolist()
        order = sorted(range(len(self.names)), key=lambda place: (not tested[place], float(self.recall[place])))
        lines = [("class", "examples", "recall %", "precision %"), ("---", "---:", "---:", "---:")]
        for place in order[:MOST_LINES]:
            recall = f"{100 * float(self.recall[place]):.1f}" if tested[place] else "–"
            precision = f"{100 * float(self.precision[place]):.1f}" if said[place] else "never predicted"
            lines.append((shorten(self.names[place]), f"{tested[place]:,}", recall, precision))
        parts = [markdown_lines(lines)]
        if (left := len(order) - MOST_LINES) > 0:
            parts.append(f"{left:,} more classes have a higher recall.")
        return "\n\n".join([*parts, *self._confusions()])

    def _confusions(self) -> list[str]:
        """The confusion matrix, or the most frequent confusions of many classes."""
        if len(self.names) <= LARGEST_MATRIX:
            lines = [("is, taken for →", *map(shorten, self.names)), ("---", *["---:"] * len(self.names))]
            rows = zip(self.names, self.confusions.tolist(), strict=True)
            return [markdown_lines([*lines, *((shorten(name), *map(str, row)) for name, row in rows)])]
        wrong = self.confusions.clone().fill_diagonal_(0)
        values, places = wrong.flatten().sort(descending=True, stable=True)
        shown = [
            f"{markdown_text(self.names[place // len(self.names)], 80)} for "
            f"{markdown_text(self.names[place % len(self.names)], 80)} ({number})"
            for number, place in zip(values[:MOST_CONFUSIONS].tolist(), places.tolist(), strict=False)
            if number
        ]
        if shown:
            return [f"Most frequently taken: {', '.join(shown)}."]
        return []
