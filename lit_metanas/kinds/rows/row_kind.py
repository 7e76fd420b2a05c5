"""Rows of a table as a kind of data, and rows that have a text."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from lit_metanas.inputs.shapes import RowShape, TextRowShape
from lit_metanas.io.text import first_few, printable, writable
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.images.array_tasks import task_from_arrays
from lit_metanas.kinds.kind import Kind, Prepared
from lit_metanas.kinds.pairs.pair_kind import kind_of_table
from lit_metanas.kinds.rows.column_kinds import ScaledColumn
from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.kinds.rows.row_tasks import TableTask, find_row_columns, is_table
from lit_metanas.kinds.rows.text_rows import TextRows
from lit_metanas.kinds.texts.table_files import SUFFIXES_OF_TABLES, TableRow, is_table_file, read_rows
from lit_metanas.kinds.texts.text_kind import TextKind
from lit_metanas.kinds.texts.text_tables import columns_of, labels_in, table_rows
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.record import RecipeValue
from lit_metanas.tasks.labels import Labels
from lit_metanas.tasks.task import Task

# A network soon learns fewer rows than this by heart.
FEW_ROWS = 1000

READER = {"text.depth": "1", "text.width": "64", "text.skip": "residual"}


class RowKind(Kind):
    """Rows of a table, each with a label: numbers, categories, dates and gaps."""

    name = "rows"
    noun = "rows"
    new_files = SUFFIXES_OF_TABLES
    piped = ".csv"
    first: ClassVar[Sequence[Mapping[str, str]]] = (
        {"depth": "1", "width": "128", "activation": "ReLU", "norm": "none", "dropout": "0.5"},
        {"depth": "2", "width": "128", "activation": "ReLU", "norm": "layer", "dropout": "0.2", "skip": "none"},
        {"depth": "3", "width": "128", "activation": "GELU", "norm": "layer", "dropout": "0.2", "skip": "residual"},
        {"depth": "0"},
        {"depth": "2", "width": "128", "activation": "ReLU", "norm": "layer", "dropout": "0.5", "skip": "none"},
        {"depth": "1", "width": "64", "activation": "ReLU", "norm": "layer", "dropout": "0.2"},
    )
    recipe: ClassVar = {"weight_decay": 0.1}
    searched: ClassVar = {"weight_decay": [1e-2, 1e-1, 1.0]}  # a large one, too, for few rows
    preprocessing_class: ClassVar[type[Columns | TextRows]] = Columns
    own_options: ClassVar = ("test_by",)
    features: ClassVar[Mapping[str, str]] = {
        "600": "the columns and their likeness to 600 rows",
        "100": "the columns and their likeness to 100 rows",
        "0": "the columns",
    }
    averages_linear = True

    def claims(self, path: Path, group: str | None) -> bool:
        """A table of labels that repeat, and columns of which none holds sentences."""
        return kind_of_table(path, group) == self.name

    def holds(self, task: Task) -> bool:
        """By the shape of its inputs."""
        return isinstance(task.shape, RowShape)

    def read(self, source: Source) -> Task:
        """Of a table."""
        return TableTask(
            str(source.path),
            source.label,
            test_path=source.test_path,
            group=source.group,
            preprocessing=source.prepared or self.preprocessing_class(),
            min_per_class=source.least,
            targets=source.targets,
            test_by=source.test_by,
        )[0]

    def in_memory(
        self, examples: Any, labels: Labels, tested: tuple[Any, Any], *, prepared: Any, **divided: Any
    ) -> Task | None:
        """The task of a table; None of anything else."""
        if not is_table(examples):
            return None
        return task_from_arrays(
            examples, labels, *tested, preprocessing=prepared or self.preprocessing_class(), **divided
        )

    def usual_recipe(self, task: Task) -> dict[str, RecipeValue]:
        """One that keeps a network from learning few rows by heart, as measured on validation parts of seven tables."""
        found = super().usual_recipe(task)
        if len(task.train) < FEW_ROWS and isinstance(task.goal, Classification | SeveralLabels):
            found |= {"weight_decay": 1.0, "augmentation": "strong"}
            if task.goal.smooths:
                found["label_smoothing"] = 0.1
        return found

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """Numbers in pieces, standardised, as normal scores, or, if there is nothing else, all together."""
        usual = task.preprocessing
        assert isinstance(usual, Columns)
        scaled = [isinstance(column, ScaledColumn) for column in usual.used]
        if not any(scaled):
            return {}
        found = {
            "pieces of columns": usual,
            "standardised columns": Columns(usual.names, "standardised"),
            "quantiles of columns": Columns(usual.names, "quantiles"),
        }
        if all(scaled):
            found["standardised together"] = Columns(usual.names, "together")
        return found

    def describe(self, task: Task) -> str:
        """Which columns are left out."""
        if isinstance(task.preprocessing, Columns) and task.preprocessing.left_out:
            return f", without {task.preprocessing.left_out}"
        return ""

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """The rows of tables, by where they stand."""
        return [(where, row) for path in paths for where, row in _filled_rows(Path(path))]

    def new_labels(self, file: Path, classes: Sequence[str], *, numbers: bool) -> list[str]:
        """Of a column that the table had when it was learned from."""
        return labels_in(_filled_rows(file), classes, numbers=numbers)

    def describe_columns(self, source: Source) -> str:
        """The column of labels."""
        if not is_table_file(source.path):
            return ""
        place, rows = writable(str(source.path)), table_rows(source.path, source.label)
        label, _ = find_row_columns(rows, place, source.label, None, source.group)
        return f" Labels are in column '{printable(label, 40)}'."


class EncodedRows(RowKind):
    """Features that an encoder has made of other examples, which are read by their own kind."""

    name = "features"
    noun = "features"
    first: ClassVar[Sequence[Mapping[str, str]]] = ({"depth": "0"}, *RowKind.first[:3])
    features: ClassVar[Mapping[str, str]] = {}
    recipe: ClassVar = {"learning_rate": 1e-3, "weight_decay": 0.1}
    # Small learning rates: features are nearly what is wanted.
    searched: ClassVar = {**RowKind.searched, "learning_rate": [1e-3, 3e-3, 3e-4]}
    member_epochs = 30


class TextRowKind(RowKind):
    """Rows of a table, each with a label, a text, and other columns: tickets with fields, reviews with a price."""

    name = "tables"
    noun = "rows"
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
    preprocessing_class = TextRows
    linear_space = TextKind.linear_space
    linear_view = TextKind.linear_view
    averages_linear = False  # an input holds no two texts
    features: ClassVar = dict.fromkeys(TextKind.features, "the columns, and tokens by tf-idf")

    def holds(self, task: Task) -> bool:
        """By the shape of its inputs."""
        return isinstance(task.shape, TextRowShape)

    def usual_recipe(self, task: Task) -> dict[str, RecipeValue]:
        """The same for tables of all sizes."""
        return Kind.usual_recipe(self, task)

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

    def describe(self, task: Task) -> str:
        """In which columns the text is, which others are learned from, and which are left out."""
        made = task.preprocessing
        if not isinstance(made, TextRows):
            return ""
        used = [column.name or str(place) for place, column in enumerate(made.columns.columns, 1) if column.width]
        texts, others = (first_few([f"'{printable(name, 40)}'" for name in names]) for names in (made.texts, used))
        left = f", without {made.columns.left_out}" * bool(made.columns.left_out)
        return f", with the text in {texts} and the columns {others}{left}"

    def describe_columns(self, source: Source) -> str:
        """The column of labels, and how to learn from less."""
        found = super().describe_columns(source)
        return f"{found} kind='texts' or kind='rows' learns from the text or the columns alone." * bool(found)


def _filled_rows(file: Path) -> list[TableRow]:
    """The rows of a table; what a line of JSON leaves out, and others of the file have, is missing there."""
    rows = list(read_rows(file, blank=True))
    blank = dict.fromkeys(columns_of(rows))
    if all(len(row) == len(blank) for _, row in rows):
        return rows
    # Missing values are not written into each row, as there may be many different names.
    return [(where, ChainMap(dict(row), blank)) for where, row in rows]
