"""How well sets of classes are predicted on a test part: for each class, and by measures that do not choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    multilabel_average_precision,
    multilabel_exact_match,
    multilabel_f1_score,
    multilabel_precision,
    multilabel_recall,
)

from lit_metanas.comparisons.measures.class_measures import FEWEST_MISSED, MOST_LINES, calibration_error
from lit_metanas.io.text import markdown_lines, shorten
from lit_metanas.objectives.several_labels import labels_of_text
from lit_metanas.records.rows import ExampleRow


def label_measures(targets: Tensor, chosen: Tensor, probabilities: Tensor) -> dict[str, float]:
    """Measures of several labels by their names; those of each class are averaged over the classes with an example.

    Args:
        targets: 1 where an example has a class, else 0, shape ``(n, way)``.
        chosen: whether the class is predicted, shape ``(n, way)``.
        probabilities: of each class, shape ``(n, way)``.

    Returns:
        Micro and macro F1, the share of examples all of whose labels are right, log-loss and calibration error of the
        pairs of an example and a class, and the mAP of a network that ranks nothing.

    Example:
        >>> targets, probabilities = torch.tensor([[1, 0], [1, 1]]), torch.tensor([[0.8, 0.6], [0.7, 0.9]])
        >>> found = label_measures(targets, probabilities > 0.5, probabilities)
        >>> {name: round(value, 3) for name, value in list(found.items())[:3]}
        {'micro F1': 0.857, 'macro F1': 0.833, 'exact matches': 0.5}
    """
    way, wanted, said = targets.shape[1], targets.int(), chosen.int()
    known = wanted.any(0)
    flat, right = probabilities.double().flatten(), wanted.double().flatten()
    return {
        "micro F1": float(multilabel_f1_score(said, wanted, num_labels=way, average="micro")),
        "macro F1": float(multilabel_f1_score(said, wanted, num_labels=way, average=None)[known].mean()),
        "exact matches": float(multilabel_exact_match(said, wanted, num_labels=way)),
        "log-loss": float(binary_losses(flat, right).mean()),
        "calibration error": calibration_error(flat, right),
        "mAP of guessing": float(wanted.double().mean(0)[known].mean()),
    }


def binary_losses(probabilities: Tensor, targets: Tensor) -> Tensor:
    """The negative logarithm of the probability that was given to what is true, of each."""
    own = torch.where(targets > 0, probabilities.double(), 1 - probabilities.double())
    return -own.clamp(min=torch.finfo(torch.float32).tiny).log()


@dataclass(frozen=True)
class LabelTable:
    """Recall, precision and average precision of the classes of several labels on a test part.

    Attributes:
        names: of the classes.
        examples: how many test examples have each, shape ``(way,)``.
        said: for how many it is predicted, shape ``(way,)``.
        recall: of each class, shape ``(way,)``.
        precision: of each class, shape ``(way,)``.
        average_precision: of each class, shape ``(way,)``.

    Example:
        >>> from lit_metanas.records import ExampleRow
        >>> shares = ("red", 0.9), ("round", 0.2)
        >>> table = LabelTable.of([ExampleRow("0", "red; round", "red", shares=shares)])
        >>> table.recall.tolist(), table.said.tolist(), table.never_predicted
        ([1.0, 0.0], [1, 0], [])
    """

    names: tuple[str, ...]
    examples: Tensor
    said: Tensor
    recall: Tensor
    precision: Tensor
    average_precision: Tensor

    @classmethod
    def of(cls, rows: Sequence[ExampleRow]) -> LabelTable:
        """That of the rows of test examples."""
        names = tuple(name for name, _ in rows[0].shares)
        wanted, said = (
            torch.tensor([[int(name in own) for name in names] for own in map(labels_of_text, texts)])
            for texts in ([row.truth for row in rows], [row.prediction for row in rows])
        )
        shares = torch.tensor([[value for _, value in row.shares] for row in rows])
        way, known = len(names), wanted.any(0)
        average_precision = torch.full((way,), torch.nan)
        if number := int(known.sum()):  # torchmetrics warns of classes without an example
            average_precision[known] = multilabel_average_precision(
                shares[:, known], wanted[:, known], num_labels=number, average=None
            )
        return cls(
            names,
            wanted.sum(0),
            said.sum(0),
            multilabel_recall(said, wanted, num_labels=way, average=None),
            multilabel_precision(said, wanted, num_labels=way, average=None),
            average_precision,
        )

    @property
    def never_predicted(self) -> list[str]:
        """The classes that no example is said to have although five or more have them."""
        return [
            name
            for name, examples, said in zip(self.names, self.examples, self.said, strict=True)
            if examples >= FEWEST_MISSED and not said
        ]

    def markdown(self) -> str:
        """A row for each class, the one of the lowest average precision first."""
        order = sorted(
            range(len(self.names)),
            key=lambda place: (not self.examples[place], float(self.average_precision[place].nan_to_num())),
        )
        lines = [("class", "examples", "average precision %", "recall %", "precision %"), ("---", *["---:"] * 4)]
        for place in order[:MOST_LINES]:
            found = [self.average_precision[place], self.recall[place]]
            shown = [f"{100 * float(one):.1f}" if self.examples[place] else "–" for one in found]
            precision = f"{100 * float(self.precision[place]):.1f}" if self.said[place] else "never predicted"
            lines.append((shorten(self.names[place]), f"{int(self.examples[place]):,}", *shown, precision))
        parts = [markdown_lines(lines)]
        if (left := len(order) - MOST_LINES) > 0:
            parts.append(f"{left:,} more classes have a higher average precision.")
        return "\n\n".join(parts)
