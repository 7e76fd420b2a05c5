"""Rows of a table with a text as a kind of data: both are read, and one answer is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.shapes import TextRowShape
from lit_metanas.inputs.tokens import UNKNOWN
from lit_metanas.io.text import first_few, printable, writable
from lit_metanas.kinds.kind import MadeBefore, Prepared, Source
from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.kinds.rows.row_kind import RowKind
from lit_metanas.kinds.rows.row_tasks import find_row_columns, table_of
from lit_metanas.kinds.rows.text_rows import TextRows, holds_texts
from lit_metanas.kinds.texts.text_kind import NGRAMS, TextKind
from lit_metanas.kinds.texts.text_tables import SUFFIXES_OF_TABLES, table_rows
from lit_metanas.records.record import RecipeValue
from lit_metanas.tasks.task import Task

COUNTED_TOKENS = 256
"""Tokens that trees are given the counts of."""

READER = {"text.depth": "1", "text.width": "64", "text.skip": "residual"}


class TextRowKind(RowKind):
    """Rows of a table, each with a label, a text, and other columns: tickets with fields, reviews with a price."""

    name = "tables"
    noun = "rows"
    configuration = "default_tables.yaml"
    first: ClassVar = (
        {
            **{"text.operation": "conv_3", "text.readout": "max", "text.dropout": "0.2", **READER},
            **{"depth": "1", "width": "128", "activation": "ReLU", "norm": "none", "dropout": "0.5"},
        },
        {"text.operation": "conv_3", "text.readout": "max", "text.dropout": "0.2", **READER, "depth": "0"},
        {"text.operation": "conv_2_to_5", "text.readout": "max", "text.dropout": "0.5", **READER, "depth": "0"},
        {
            **{"text.operation": "gated_linear", "text.readout": "mean", "text.dropout": "0.2", **READER},
            **{"depth": "2", "width": "128", "activation": "ReLU", "norm": "layer", "dropout": "0.2", "skip": "none"},
        },
        {"text.operation": "gru", "text.readout": "max", "text.dropout": "0.2", **READER, "depth": "0"},
    )
    recipe: ClassVar = {**RowKind.recipe, **TextKind.recipe}
    features: ClassVar = {
        "coarse": "the columns and counts of tokens",
        "fine": "the columns, their squares, and counts of up to four neighbouring tokens",
    }
    linear_views: ClassVar = {"coarse": NGRAMS}
    linear_rate = TextKind.linear_rate

    def holds(self, task: Task) -> bool:
        """By the shape of its inputs."""
        return isinstance(task.shape, TextRowShape)

    def made(self) -> Columns | TextRows:
        """What makes inputs of a table, before it is fitted."""
        return TextRows()

    def usual_recipe(self, task: Task) -> dict[str, RecipeValue]:
        """The same for tables of all sizes."""
        return super(RowKind, self).usual_recipe(task)

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """Those of the text with the usual columns, and those of the columns with the usual text."""
        usual = task.preprocessing
        assert isinstance(usual, TextRows)
        texts = TextKind().preprocessings(replace(task, preprocessing=usual.tokens), source)
        rows = super().preprocessings(replace(task, preprocessing=usual.columns), source)
        first, *_ = texts
        found: dict[str, Any] = {label: replace(usual, tokens=tokens) for label, tokens in texts.items()}
        for label in [*rows][1:]:
            found[f"{first}, {label}"] = replace(usual, columns=rows[label])
        return found

    def tree_features(self, task: Task, inputs: Tensor) -> NDArray[Any] | None:
        """The cells as numbers, and counts of the most frequent tokens."""
        made = task.preprocessing
        if not isinstance(made, TextRows):
            return None
        numbers, tokens = made.shape.split(inputs.cpu())
        ends = UNKNOWN + 1, UNKNOWN + 1 + COUNTED_TOKENS  # of those that a vocabulary numbers, the most frequent first
        counted = tokens * (tokens < ends[1])
        counts = torch.zeros(len(tokens), ends[1]).scatter_add_(1, counted, torch.ones(tokens.shape))
        return np.concatenate([made.columns.unscaled(numbers), counts[:, ends[0] :].numpy()], 1)

    def describe(self, task: Task) -> str:
        """Which columns are left out."""
        made = task.preprocessing
        if isinstance(made, TextRows) and made.columns.left_out:
            return f", without {made.columns.left_out}"
        return ""

    def as_before(self, made: MadeBefore, place: str) -> Any:
        """The same columns and tokens."""
        return None if made.inputs is None else TextRows.checked(made.inputs, writable(place))

    def describe_columns(self, source: Source) -> str:
        """The columns of labels, of the text, and all others."""
        if source.path.suffix.lower() not in SUFFIXES_OF_TABLES or not source.path.is_file():
            return ""
        rows, place = table_rows(source.path, source.label), writable(str(source.path))
        label, columns = find_row_columns(rows, place, source.label, None, source.group)
        texts = {cells.name for cells in table_of(rows, place, columns).columns if holds_texts(cells)}
        read, others = ([name for name in columns if (name in texts) == wanted] for wanted in (True, False))
        quoted = (first_few([f"'{printable(name, 40)}'" for name in names]) for names in ([label], read, others))
        label, text, named = quoted
        return (
            f" Labels are in column {label}, the text in {text}, and {named} are learned from, too (kind='texts' or "
            "kind='rows' learns from one alone)."
        )
