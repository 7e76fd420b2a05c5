"""Rows of numbers with labels as one target task: of a file, or in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.shapes import RowShape
from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.rows.standardised_columns import (
    NumericColumns,
    Rows,
    StandardisedColumns,
    number_in,
    row_array,
)
from lit_metanas.kinds.texts.labelled_text import checked_text
from lit_metanas.kinds.texts.text_tables import (
    LABEL_COLUMNS,
    NamelessColumnsError,
    TableRow,
    check_columns,
    column_groups,
    columns_of,
    free_columns,
    has_line_of_names,
    is_own_value,
    listed,
    number_text,
    read_rows,
    usual_column,
)
from lit_metanas.tasks.labels import (
    ClassNames,
    Groups,
    Labels,
    class_indices,
    class_names,
    group_names,
    label_list,
    warn_of_missing,
)
from lit_metanas.tasks.splits import (
    by_class,
    check_shares,
    kept_labels,
    large_classes,
    split_examples,
    tell_shared_groups,
    warn_of_repeats,
)
from lit_metanas.tasks.task import SingleTask, Split, Task, check_task, warn_of_data


class TableTask(SingleTask):
    r"""One's own table of numbers as a collection of a single task. Each class is split by the fractions.

    The task is ``TableTask("iris.csv")[0]``. Columns are standardised by the rows to learn from; a value that is empty,
    ``NA``, ``nan``, ``null`` or ``?`` is missing, and takes the mean of its column.

    Args:
        path: a file in UTF-8 whose name ends in ``.csv``, ``.tsv`` or ``.jsonl``; the first line of CSV and TSV names
            the columns.
        label: the column of labels; None finds it by a usual name, such as ``label`` or ``class``, or takes the only
            one that is not of numbers.
        columns: those to look at; None takes all others, which must be of numbers, but not the numbers of rows that
            pandas writes, and none that most rows lack.
        train: share of each class's rows to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: seed of the random split, at least 0.
        test_path: a file of the rows to report accuracy on, with the same columns by name, and perhaps others; all rows
            of ``path`` are then to learn from and to choose by. None takes some of ``path``.
        group: the column that tells which rows belong together, and so into one part; it is not looked at otherwise.
        preprocessing: what makes inputs of rows, fitted on those to learn from; None takes ``StandardisedColumns``.
        min_per_class: classes with fewer rows are left out, as those of ``FolderTask`` are.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such table, a value is no number, a label or group is missing, a class has too few rows or
            groups, the file of test rows lacks a column or has a label of its own, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> rows = [f"{n},{n % 3},{'small' if n < 5 else 'large'}" for n in range(10)]
        >>> size = Path("sizes.csv").write_text("\n".join(["height,rest,size", *rows]))
        >>> task = lm.TableTask("sizes.csv")[0]
        >>> task.classes, task.shape, len(task.train), len(task.val), len(task.test)
        (('large', 'small'), RowShape(numbers=3), 6, 2, 2)
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
        preprocessing: NumericColumns | None = None,
        min_per_class: int | None = None,
    ) -> None:
        check_shares("TableTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        self.shares = (train, val, test)
        self.seed = seed
        self.preprocessing = preprocessing
        self.min_per_class = min_per_class
        self.test_path = None if test_path is None else Path(test_path)
        rows, place = list(read_rows(self.path)), writable(str(path))
        self.group = group
        self.label, self.columns = find_row_columns(rows, place, label, columns, group)
        if preprocessing is not None and preprocessing.names:
            self.columns = _in_order(self.columns, preprocessing.names, place)
        self._labelled = _numbers(rows, place, self.label, self.columns)
        warn_of_missing(self._labelled[1], place, "row")
        if columns is None and "" in {*columns_of(rows)} - {self.label, group, *self.columns}:
            warn_of_data(f"A column of '{place}' has no name and numbers the rows, as pandas does: it is left out.")
        self._groups = None if group is None else column_groups(rows, place, group)
        self._tested: tuple[NDArray[np.float64], list[str]] | None = None
        if test_path is not None:
            tested, there = list(read_rows(Path(test_path))), writable(test_path)
            wanted = {f"column {number}": name for number, name in enumerate((self.label, *self.columns))}
            check_columns(tested, there, **wanted)
            self._tested = _numbers(tested, there, self.label, self.columns)
            if group is not None:
                tell_shared_groups(f"'{there}'", self._groups, column_groups(tested, there, group))
            known = set(self._labelled[1])
            if foreign := [label for label in self._tested[1] if label not in known]:
                shown = printable(foreign[0], 80)
                raise ValueError(f"'{there}' has the label '{shown}', which '{place}' lacks: leave its rows out.")

    @property
    def shape(self) -> RowShape:
        """Of one input."""
        return RowShape(len(self.columns) + 1)

    def make(self) -> Task:
        """Split the rows and make inputs of them."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        rows, place = self._labelled, f"'{writable(str(self.path))}'"
        table = LabelledRows(
            *rows, names=self.columns, group=self._groups, min_per_class=self.min_per_class, place=place
        )
        id = self.path.resolve().stem
        train, val, test = self.shares
        if self.test_path is None:
            return table.task(id, train=train, val=val, test=test, seed=self.seed, preprocessing=self.preprocessing)
        place, made = f"'{writable(str(self.test_path))}'", self.preprocessing
        return table.task(
            id, val=val, test=0.0, seed=self.seed, tested=self._tested, tested_in=place, preprocessing=made
        )


class LabelledRows:
    """Rows of numbers with a label each.

    Args:
        X: the rows.
        y: one label a row.
        classes: names of the classes, as in ``task_from_arrays``.
        names: of the columns, in the order in which a table of pandas is to have them; by default its own.
        group: of each row which others it belongs to; None deals rows out one by one.
        min_per_class: classes with fewer rows are left out, as those of ``FolderTask`` are.
        place: what holds the rows, as messages begin.

    Raises:
        ValueError: rows, labels or groups are malformed.

    Example:
        >>> LabelledRows([[1.0], [2.0], [3.0], [4.0]], ["a", "b", "a", "b"]).task("four", val=0.0, test=0.5, seed=0)
        Task('four', 2 classes, train 2, test 2, shape (2,))
    """

    def __init__(
        self,
        X: Rows,
        y: Labels,
        *,
        classes: ClassNames | None = None,
        names: Sequence[str] = (),
        group: Groups | None = None,
        min_per_class: int | None = None,
        place: str = "X",
    ) -> None:
        self.rows = row_array(X, names=names, name="X")
        self.labels = label_list(y, len(self.rows), noun="rows")
        self.classes = class_names(self.labels, classes, "rows")
        self.columns = tuple(names) or column_names(X)
        self.groups = None if group is None else group_names(group, len(self.rows), "rows")
        members: dict[str, list[int]] = {name: [] for name in self.classes.values()}
        for row, label in enumerate(self.labels):
            members[self.classes[label]].append(row)
        self.members = large_classes(members, min_per_class, place)

    def task(
        self,
        id: str,
        *,
        train: float | None = None,
        val: float,
        test: float,
        seed: int,
        tested: tuple[Rows, Labels] | None = None,
        tested_in: str = "X_test",
        preprocessing: NumericColumns | None = None,
    ) -> Task:
        """A task of the rows, each class split by the shares.

        Args:
            id: the task's name.
            train: share of the train part; None is all that is left.
            val: share of the val part; 0 leaves it out.
            test: share of the test part, where it is not given.
            seed: of the split.
            tested: rows and labels of the test part, where it is not drawn.
            tested_in: what holds these, as messages begin.
            preprocessing: what makes inputs of rows; None takes ``StandardisedColumns``.

        Raises:
            ValueError: there are too few of a class, or the test part is malformed.
        """
        parts = split_examples(
            {name: torch.tensor(places)[:, None] for name, places in self.members.items()},
            train=train,
            val=val,
            test=test,
            seed=seed,
            culprit="Class {!r}".format,
            groups=by_class(self.groups, self.members),
        )
        made = preprocessing or StandardisedColumns()
        columns = replace(made, names=made.names or self.columns).fitted(self._of(parts[0].inputs))
        train_part, val_part, test_part = (Split(columns.encode(self._of(one.inputs)), one.labels) for one in parts)
        if tested is not None:
            rows = row_array(tested[0], names=self.columns, name="X_test")
            labels = label_list(tested[1], len(rows), name="y_test", images="X_test", noun="rows")
            places, kept = kept_labels(labels, self.classes, self.members)
            numbers = class_indices([labels[place] for place in places], kept, noun="rows")
            test_part = Split(columns.encode(rows[places]), numbers)
            warn_of_repeats(tested_in, [train_part.inputs, val_part.inputs], test_part.inputs)
        task = Task(
            id=id,
            way=len(self.members),
            train=train_part,
            val=val_part if len(val_part) else None,
            test=test_part,
            classes=tuple(self.members),
            preprocessing=columns,
        )
        check_task(task)
        return task

    def _of(self, places: Tensor) -> NDArray[np.float64]:
        return self.rows[places[:, 0].numpy()]


def is_table(X: object) -> bool:
    """Whether something is rows of numbers, and no images: those are of more dimensions, or of bytes."""
    if not isinstance(X, Tensor | np.ndarray):
        try:
            X = np.asarray(X)
        except ValueError:  # of different lengths
            return False
    return X.ndim == 2 and X.dtype not in (np.uint8, torch.uint8)


def column_names(X: object) -> tuple[str, ...]:
    """The names of the columns of a table of pandas; none where one is no text, or there are no names."""
    names = getattr(X, "columns", ())
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def find_row_columns(
    rows: Sequence[TableRow], place: str, label: str | None, columns: Sequence[str] | None, group: str | None
) -> tuple[str, list[str]]:
    """The column of labels, and those of numbers.

    Raises:
        NamelessColumnsError: the first line seems to hold numbers, and perhaps a label.
        ValueError: there are no rows, a named column does not exist, or one cannot be found.
    """
    free = free_columns(rows, place, label=label, group=group)
    label = usual_column(free, LABEL_COLUMNS) if label is None else label
    if label is None:
        named = [name for name in free if name not in (columns or ()) and not _is_numeric(rows, name)]
        nameless = has_line_of_names(place) and all(_is_number(name) for name in {*free} - {*named})
        if free and not named and nameless:
            raise NamelessColumnsError(place)
        if len(named) != 1:
            raise ValueError(
                f"'{place}' has the columns {listed(free)}: call that of the labels 'label', or name it by the "
                "argument 'label' of the task's class."
            )
        (label,) = named
        if nameless and is_own_value(rows, label):
            raise NamelessColumnsError(place, label)
    if columns is None:
        return label, [name for name in free if name != label] or _refuse_none(place)
    check_columns(rows, place, **{f"columns[{number}]": name for number, name in enumerate(columns)}, group=group)
    return label, [name for name in columns if name != label] or _refuse_none(place)


def label_of_rows(rows: Sequence[TableRow], place: str, group: str | None = None) -> str:
    """The column of labels of a table of numbers, as ``TableTask`` finds it.

    Raises:
        ValueError: it is no such table.
    """
    label, columns = find_row_columns(rows, place, None, None, group)
    _numbers(rows, place, label, columns)
    if group is not None:
        column_groups(rows, place, group)
    return label


def all_numbers(rows: Sequence[TableRow]) -> bool:
    """Whether all columns of a table are of numbers, and there are some."""
    columns = columns_of(rows)
    return bool(columns) and all(_is_numeric(rows, name) for name in columns)


def _numbers(
    rows: Sequence[TableRow], place: str, label: str, columns: Sequence[str]
) -> tuple[NDArray[np.float64], list[str]]:
    """The numbers and the labels of the rows of a table."""
    found = [[number_in(row.get(name), name, where, f"'{place}'") for name in columns] for where, row in rows]
    labels = [checked_text(number_text(row.get(label)), "label", where, place) for where, row in rows]
    return row_array(found), labels


def _in_order(columns: Sequence[str], wanted: Sequence[str], place: str) -> list[str]:
    """The columns in the order of a preprocessing that was given.

    Raises:
        ValueError: it is for others.
    """
    if {*columns} != {*wanted}:
        raise ValueError(
            f"'{place}' has the columns {listed(columns)}, and the preprocessing is for {listed(wanted)}: give one for "
            "these, or name by 'columns' those that it is for."
        )
    return list(wanted)


def _refuse_none(place: str) -> list[str]:
    raise ValueError(f"'{place}' has no columns of numbers beside the labels: give some.")


def _is_numeric(rows: Sequence[TableRow], name: str) -> bool:
    return all(_is_number(row.get(name)) for _, row in rows)


def _is_number(value: object) -> bool:
    """Whether a value of a table is a number, or missing."""
    try:
        number_in(value, "", "")
    except ValueError:
        return False
    return True
