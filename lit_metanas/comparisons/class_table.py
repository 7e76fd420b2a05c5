"""How well classes are recognised on a test part: for each class, and the confusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_metanas.io.text import markdown_lines, markdown_text, shorten
from lit_metanas.objectives.several_labels import labels_of_text
from lit_metanas.records.rows import ExampleRow

LARGEST_MATRIX = 12  # classes of a confusion matrix that is a table; of more the most frequent confusions are listed

FEWEST_MISSED = 5  # test examples of a class that is worth a warning if it is never predicted

MOST_CONFUSIONS, MOST_LINES = 20, 200  # most confusions of a list, and most classes of a table


@dataclass(frozen=True)
class ClassTable:
    """Recall and precision of the classes of a test part, with one label or several for each example.

    Example:
        >>> rows = [lm.records.ExampleRow(*texts) for texts in (("0", "cat", "cat"), ("1", "cat", "dog"))]
        >>> table = ClassTable.of([*rows, lm.records.ExampleRow("2", "dog", "dog")], ("cat", "dog"))
        >>> table.recall.tolist(), table.precision.tolist(), table.never_predicted
        ([0.5, 1.0], [1.0, 0.5], [])
        >>> print(table.markdown().splitlines()[2])
        | cat | 2 | 50.0 | 100.0 |
    """

    names: tuple[str, ...]
    examples: Tensor  # that are of each class, shape (way,)
    said: Tensor  # for which each class is predicted, shape (way,)
    hits: Tensor  # for which it is predicted rightly, shape (way,)
    confusions: Tensor | None = None  # (is, taken for), shape (way, way); None for several labels
    average_precision: Tensor | None = None  # of several labels, shape (way,)

    @classmethod
    def of(cls, rows: Sequence[ExampleRow], names: Sequence[str]) -> ClassTable:
        """The table of some examples and of all classes, which are in the order of the rows' ``shares``."""
        if rows[0].shares:
            return cls._of_sets(rows, tuple(names))
        places, way = {name: place for place, name in enumerate(names)}, len(names)
        pairs = torch.tensor([places[row.truth] * way + places[row.prediction] for row in rows])
        matrix = pairs.bincount(minlength=way**2).reshape(way, way)
        return cls(tuple(names), matrix.sum(1), matrix.sum(0), matrix.diagonal(), matrix)

    @classmethod
    def _of_sets(cls, rows: Sequence[ExampleRow], names: tuple[str, ...]) -> ClassTable:
        from torchmetrics.functional.classification import multilabel_average_precision  # takes seconds

        wanted, said = (
            torch.tensor([[int(name in own) for name in names] for own in map(labels_of_text, texts)])
            for texts in ([row.truth for row in rows], [row.prediction for row in rows])
        )
        shares = torch.tensor([[value for _, value in row.shares] for row in rows])
        known, average_precision = wanted.any(0), torch.full((len(names),), torch.nan)
        if number := int(known.sum()):  # torchmetrics warns of classes without an example
            average_precision[known] = multilabel_average_precision(
                shares[:, known], wanted[:, known], num_labels=number, average=None
            )
        return cls(names, wanted.sum(0), said.sum(0), (wanted * said).sum(0), None, average_precision)

    @property
    def recall(self) -> Tensor:
        """The share of a class's examples for which it is predicted, shape ``(way,)``; 0 without examples."""
        return self.hits / self.examples.clamp(min=1)

    @property
    def precision(self) -> Tensor:
        """The share of a class's predictions that are right, shape ``(way,)``; 0 if it is never predicted."""
        return self.hits / self.said.clamp(min=1)

    @property
    def never_predicted(self) -> list[str]:
        """The classes that no example is taken for although five or more are of them, which is hardly chance."""
        missed = (self.examples >= FEWEST_MISSED) & (self.said == 0)
        return [self.names[place] for place in missed.nonzero().flatten().tolist()]

    def markdown(self) -> str:
        """A row for each class, the weakest first, and the confusions."""
        columns = {"recall": self.recall}
        if self.average_precision is not None:
            columns = {"average precision": self.average_precision.nan_to_num(), **columns}
        first, weakness = next(iter(columns.items()))
        order = sorted(range(len(self.names)), key=lambda place: (not self.examples[place], float(weakness[place])))
        heading = ("class", "examples", *(f"{name} %" for name in columns), "precision %")
        lines = [heading, ("---", *["---:"] * (len(heading) - 1))]
        for place in order[:MOST_LINES]:
            shown = ["–"] * len(columns)
            if self.examples[place]:
                shown = [f"{100 * float(column[place]):.1f}" for column in columns.values()]
            precision = "never predicted"
            if self.said[place]:
                precision = f"{100 * float(self.precision[place]):.1f}"
            lines.append((shorten(self.names[place]), f"{int(self.examples[place]):,}", *shown, precision))
        parts = [markdown_lines(lines)]
        if (left := len(order) - MOST_LINES) > 0:
            parts.append(f"{left:,} more classes have a higher {first}.")
        if self.confusions is not None:
            parts += self._confusions(self.confusions)
        return "\n\n".join(parts)

    def _confusions(self, matrix: Tensor) -> list[str]:
        if len(self.names) <= LARGEST_MATRIX:
            lines = [("is, taken for →", *map(shorten, self.names)), ("---", *["---:"] * len(self.names))]
            rows = zip(self.names, matrix.tolist(), strict=True)
            return [markdown_lines([*lines, *((shorten(name), *map(str, row)) for name, row in rows)])]
        values, places = matrix.clone().fill_diagonal_(0).flatten().sort(descending=True, stable=True)
        shown = [
            f"{markdown_text(self.names[place // len(self.names)], 80)} for "
            f"{markdown_text(self.names[place % len(self.names)], 80)} ({number})"
            for number, place in zip(values[:MOST_CONFUSIONS].tolist(), places.tolist(), strict=False)
            if number
        ]
        if shown:
            return [f"Most frequently taken: {', '.join(shown)}."]
        return []
