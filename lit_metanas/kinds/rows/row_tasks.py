"""Rows with labels as one target task: of a file, or in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.class_folders import is_excluded
from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.labelled_examples import labelled_examples
from lit_metanas.kinds.rows.cells import (
    ColumnCells,
    RawTable,
    Rows,
    as_table,
    has_names,
    is_plain_number,
    kind_of_cells,
)
from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.kinds.rows.text_rows import TextRows, holds_texts, usual_rows
from lit_metanas.kinds.texts.table_files import TableRow, has_line_of_names
from lit_metanas.kinds.texts.text_tables import (
    LABEL_COLUMNS,
    NamelessColumnsError,
    check_columns,
    column_groups,
    columns_of,
    free_columns,
    is_own_value,
    label_texts,
    listed,
    read_divided,
    table_rows,
    usual_column,
)
from lit_metanas.tasks.labels import ClassNames, Groups, Labels, warn_of_missing
from lit_metanas.tasks.number_targets import Targets, learned_as, number_targets
from lit_metanas.tasks.splits import check_shares, tell_shared_groups
from lit_metanas.tasks.task import SingleTask, Split, Task, warn_of_data


class TableTask(SingleTask):
    r"""One's own table as a collection of a single task, ``TableTask("iris.csv")[0]``.

    Columns hold numbers, booleans, categories or dates in one form; see ``Columns``. A value that is empty, ``NA``,
    ``nan``, ``null`` or ``?`` is missing.

    Args:
        path: a file of CSV, TSV, JSON lines or one list in JSON, perhaps with ``.gz``; the first line of CSV and TSV
            names the columns.
        label: the column of labels; None finds it by a usual name, such as ``label`` or ``class``, or takes the only
            one that is not of numbers.
        columns: those to learn from; None takes all others but the numbers of rows that pandas writes.
        train: share of each class's rows to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: of the random split, at least 0.
        test_path: a file of the rows to report accuracy on, with the same columns by name, in place of some of
            ``path``.
        group: the column that tells which rows belong together, and so into one part; it is not learned from.
        preprocessing: what makes inputs of rows, fitted on those to learn from; None takes ``TextRows()`` if there is a
            text and something else to learn from, and ``Columns()`` else.
        min_per_class: classes with fewer rows are left out, as those of ``FolderTask`` are.
        targets: what labels are learned as, as in ``task_from_arrays``.
        test_by: the column that names the part of each row (train, val, test), or has dates or numbers, of which the
            newest are tested, and those before them chosen by; it is not learned from.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such table, a value in a column of numbers or dates is something else, a label or group is
            missing, there are too few rows or groups of a class, the test rows lack a column or have a label of their
            own, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"{n},{n % 3},{'small' if n < 5 else 'large'}" for n in range(10)]
        >>> size = Path("sizes.csv").write_text("\n".join(["height,rest,size", *rows]))
        >>> task = lm.TableTask("sizes.csv")[0]
        >>> task.classes, task.preprocessing.names, len(task.train), len(task.val), len(task.test)
        (('large', 'small'), ('height', 'rest'), 6, 2, 2)
    """

    def __init__(
        self,
        path: str,
        label: str | None = None,
        columns: list[str] | None = None,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        test_path: str | None = None,
        group: str | None = None,
        preprocessing: Columns | TextRows | None = None,
        min_per_class: int | None = None,
        targets: Targets | None = None,
        test_by: str | None = None,
    ) -> None:
        check_shares("TableTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        place = writable(path)
        rows, parts = read_divided(self.path, test_by, label)
        if preprocessing is not None and preprocessing.names:
            columns = list(preprocessing.names)
        self.label, self.columns = find_row_columns(rows, place, label, columns, group)
        if columns is None and "" in {*columns_of(rows)} - {self.label, group, *self.columns}:
            warn_of_data(f"A column of '{place}' has no name and numbers the rows, as pandas does: it is left out.")
        labels = label_texts(rows, place, self.label, targets)
        self.targets = learned_as(labels, targets)
        groups = group and column_groups(rows, place, group)
        self._labelled = table_of(rows, place, self.columns), self._read(labels, rows, place)
        self._options: dict[str, Any] = {
            "shares": (train, val, test),
            "seed": seed,
            "group": groups,
            "min_per_class": min_per_class,
            "preprocessing": preprocessing,
            "parts": [parts[where] for where, _ in rows if parts],
            "where": [where for where, _ in rows],
        }
        if test_path is not None:
            tested, there = table_rows(Path(test_path), self.label), writable(test_path)
            wanted = {f"column {number}": name for number, name in enumerate((self.label, *self.columns))}
            check_columns(tested, there, **wanted)
            own = self._read(label_texts(tested, there, self.label, self.targets), tested, there)
            self._options |= {
                "shares": (None, val, 0.0),
                "where": [where for where, _ in tested],
                "tested": (table_of(tested, there, self.columns), own),
                "tested_in": f"'{there}'",
            }
            if group is not None:
                tell_shared_groups(f"'{there}'", groups, column_groups(tested, there, group))

    def _read(self, labels: list[str], rows: Sequence[TableRow], place: str) -> Labels:
        if self.targets == "regression":
            return number_targets(labels, len(rows), name=f"'{place}'", where=[where for where, _ in rows])
        warn_of_missing(labels, place, "row")
        return labels

    def make(self) -> Task:
        """Split the rows and make inputs of them."""
        return task_of_rows(
            self.path.resolve().stem,
            *self._labelled,
            targets=self.targets,
            classes=[self.label] if self.targets == "regression" else None,
            names=self.columns,
            place=f"'{writable(str(self.path))}'",
            **self._options,
        )


def task_of_rows(
    id: str,
    X: Rows | RawTable,
    y: Labels,
    *,
    shares: tuple[float | None, float, float],
    seed: int,
    targets: Targets | None = None,
    classes: ClassNames | None = None,
    names: Sequence[str] = (),
    group: Groups | None = None,
    min_per_class: int | None = None,
    place: str = "X",
    tested: tuple[Rows | RawTable, Labels] | None = None,
    tested_in: str = "X_test",
    preprocessing: Columns | TextRows | None = None,
    parts: Sequence[int] = (),
    where: Sequence[str] = (),
) -> Task:
    """A task of labelled rows, each class or quantile split by the shares of train, val and test part, or as given."""
    # Tables of pandas may have the columns' `names` in another order. Messages call the rows `place`, and those of a
    # given test part `tested_in`. Results call rows by `where` they stand: those of the given test part, or else all.
    # Inputs are made by a preprocessing that is fitted on the train part.
    names = (preprocessing and preprocessing.names) or tuple(names) or column_names(X)
    table = as_table(X, names=names, name="X")
    made = preprocessing or usual_rows(table)
    if isinstance(made, TextRows):
        made = made.located(table)  # in all rows, since a part of them may be another kind of column
    labelled = labelled_examples(
        len(table),
        y,
        noun="rows",
        targets=targets,
        classes=classes,
        group=group,
        min_per_class=min_per_class,
        place=place,
    )
    divided = labelled.divided(shares, seed, parts)
    columns = replace(made, names=names).fitted(table.taken(divided[0][0].numpy()))
    splits = [Split(columns.encode(table.taken(places.numpy())), own) for places, own in divided]
    given, shown = None, table
    if tested is not None:
        shown = as_table(tested[0], names=names, name="X_test")
        given = columns.encode(shown), tested[1]
    task = labelled.task(id, splits, given, tested_in, columns, where)
    if not isinstance(columns, TextRows):  # nobody asks for other inputs of numbers
        return task
    learned = (table.taken(places.numpy()) for places, _ in divided[:2])
    return replace(task, raw=(*learned, shown.taken(np.array(labelled.test_places))))


def is_table(X: Any) -> bool:
    """Whether something is rows of a table, and no images: those are of more dimensions, or of bytes."""
    if hasattr(X, "columns") or has_names(X):
        return True
    if not isinstance(X, Tensor | np.ndarray):
        try:
            X = np.asarray(X)
        except ValueError:  # of different lengths
            return False
    return X.ndim == 2 and X.dtype not in (np.uint8, torch.uint8)


def column_names(X: Any) -> tuple[str, ...]:
    """The names of the columns of a data frame or of records; none where one is no text, or there are no names."""
    if not has_names(X):
        return ()
    names = X.columns if hasattr(X, "columns") else X[0]
    return tuple(name for name in names if not is_excluded(name))


def find_row_columns(
    rows: Sequence[TableRow], place: str, label: str | None, columns: Sequence[str] | None, group: str | None
) -> tuple[str, list[str]]:
    """The column of labels, and those of numbers; refuses a first line that seems to be a row of values."""
    free = free_columns(rows, place, label=label, group=group)
    if label is None:
        label = usual_column(free, LABEL_COLUMNS)
    if label is None:
        others = [name for name in free if name not in (columns or ())]
        named = [name for name in others if not all(is_plain_number(row.get(name)) for _, row in rows)]
        nameless = has_line_of_names(place) and all(is_plain_number(name) for name in {*free} - {*named})
        if free and not named and nameless:
            raise NamelessColumnsError(place)
        if len(named) != 1:
            raise ValueError(
                f"'{place}' has the columns {listed(free)}: name that of the labels, or of the numbers to predict, by "
                "'label'."
            )
        (label,) = named
        if nameless and is_own_value(rows, label):
            raise NamelessColumnsError(place, label)
    if columns is None:
        columns = free
    else:
        check_columns(rows, place, **{f"columns[{number}]": name for number, name in enumerate(columns)}, group=group)
    others = [name for name in columns if name != label]
    if not others:
        raise ValueError(f"'{place}' has no columns but that of the labels: give some.")
    return label, others


def label_of_rows(rows: Sequence[TableRow], place: str, group: str | None = None, label: str | None = None) -> str:
    """The column of labels of a table of rows, as ``TableTask`` finds it; a ValueError where it is no such table."""
    label, columns = find_row_columns(rows, place, label, None, group)
    label_texts(rows, place, label)
    if group is not None:
        column_groups(rows, place, group)
    table = table_of(rows, place, columns)
    if texts := [cells for cells in table.columns if holds_texts(cells)]:
        raise ValueError(
            f"{texts[0].called} holds texts: say kind='rows' to leave it out, or call it 'text' to learn from it alone."
        )
    kinds, first = [kind_of_cells(cells) for cells in table.columns], table.columns[0]
    if not {"numbers", "dates"} & {*kinds} and ("categories" not in kinds or len(kinds) == 1):
        raise ValueError(
            f"{first.called} holds '{printable(str(first.values[0]), 40)}': call it 'text' where it is of texts, else "
            "say kind='rows'."
        )
    return label


def has_text_and_columns(rows: Sequence[TableRow], place: str, group: str | None, label: str | None) -> bool:
    """Whether a table has texts, and other columns to learn from, next to its labels."""
    try:
        _, columns = find_row_columns(rows, place, label, None, group)
        return isinstance(usual_rows(table_of(rows, place, columns)), TextRows)
    except ValueError:
        return False


def seem_rows(rows: Sequence[TableRow], place: str) -> bool:
    """Whether a table has numbers, whatever its labels are."""
    return any(cells.values.dtype.kind == "f" for cells in table_of(rows, place, columns_of(rows)).columns)


def table_of(rows: Sequence[TableRow], place: str, columns: Sequence[str]) -> RawTable:
    """The cells of some columns of a table."""
    where, place = [each for each, _ in rows], f"'{place}'"
    values = {name: np.fromiter((row.get(name) for _, row in rows), object, len(rows)) for name in columns}
    return RawTable([ColumnCells(name, own, where, place).resolved() for name, own in values.items()], len(rows))
