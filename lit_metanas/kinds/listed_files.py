"""Files that a table names, with labels or a number for each: photographs with a price, recordings with an age."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from lit_metanas.inputs.example_memory import arranged
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.class_folders import file_within, files_in
from lit_metanas.io.text import option_words, writable
from lit_metanas.kinds.file_reading import FileReading, Source
from lit_metanas.kinds.labelled_examples import labelled_examples
from lit_metanas.kinds.texts.text_tables import (
    LABEL_COLUMNS,
    SUFFIXES_OF_TABLES,
    TableRow,
    check_columns,
    column_groups,
    columns_of,
    label_texts,
    listed,
    only,
    read_rows,
    table_rows,
    usual_column,
)
from lit_metanas.tasks.labels import Labels
from lit_metanas.tasks.number_targets import Targets, learned_as, number_targets
from lit_metanas.tasks.splits import tell_shared_groups
from lit_metanas.tasks.task import Split, Task

VAL, TEST = 0.2, 0.2
"""Shares of the examples to choose by, and to test on."""


def file_column(rows: Sequence[TableRow], suffixes: Collection[str]) -> str | None:
    """The column that names files which end in one of some suffixes; None where there is none."""
    for name in columns_of(rows):
        if all(Path(str(row.get(name))).suffix.lower() in suffixes for _, row in rows):
            return name
    return None


def table_of_files(path: Path, suffixes: Collection[str]) -> Path | None:
    """The table that names files: the path itself, or the only one beside them in a folder; None without one."""
    tables = [path] if path.suffix.lower() in SUFFIXES_OF_TABLES else []
    if path.is_dir() and files_in(path, suffixes):
        tables = files_in(path, SUFFIXES_OF_TABLES)
    if len(tables) == 1 and tables[0].is_file():
        with suppress(ValueError):  # of a damaged table
            rows = list(read_rows(tables[0]))
            if rows and file_column(rows, suffixes) is not None:
                return tables[0]
    return None


@dataclass(frozen=True)
class ListedFiles:
    """The files of a table, each with its label."""

    table: Path
    files: list[Path]
    labels: list[str]
    column: str  # of the labels
    where: list[str]
    groups: list[str] | None

    @classmethod
    def of(cls, path: Path, suffixes: Collection[str], noun: str, source: Source) -> Self:
        """Those of a table, or of the only table in a folder; names of files are relative to the table's folder."""
        table = table_of_files(path, suffixes)
        if table is None:
            raise ValueError(
                f"'{writable(str(path))}' has no table that names {noun}: give one, as the other part has."
            )
        rows, place = table_rows(table, source.label, learned=path == source.path), writable(str(table))
        check_columns(rows, place, label=source.label, group=source.group)
        named = file_column(rows, suffixes) or ""
        free = [name for name in columns_of(rows) if name not in (named, source.group)]
        column = source.label or usual_column(free, LABEL_COLUMNS) or only(free)
        if column is None:
            raise ValueError(
                f"'{place}' has the columns {listed(free)} beside that of the files: call that of the labels, or of "
                f"the numbers to be predicted, 'label', or name it by {option_words('label')}."
            )
        files = [
            file_within(table.parent, str(row.get(named)), f"{where.capitalize()} of '{place}'", suffixes, noun)
            for where, row in rows
        ]
        return cls(
            table,
            files,
            label_texts(rows, place, column, source.targets),
            column,
            [where for where, _ in rows],
            None if source.group is None else column_groups(rows, place, source.group),
        )

    @property
    def place(self) -> str:
        """The table in messages."""
        return f"'{writable(str(self.table))}'"

    def taken(self, files: Sequence[Path]) -> Self:
        """Those of some files."""
        kept, places = set(files), [*range(len(self.files))]
        places = [place for place in places if self.files[place] in kept]

        def of(values: list[Any]) -> list[Any]:
            return [values[place] for place in places]

        groups = None if self.groups is None else of(self.groups)
        return type(self)(self.table, of(self.files), of(self.labels), self.column, of(self.where), groups)

    def read(
        self,
        reading: FileReading,
        read: Callable[[Path], Tensor],
        noun: str,
        targets: Targets,
        further: int = 0,
        *,
        counted: bool,
    ) -> tuple[Self, Tensor]:
        """The files that are read, and their inputs; where labels are classes, each has its share of the files."""
        classes = dict[str, list[Path]]()
        for file, label in zip(self.files, self.labels, strict=True):
            classes.setdefault(label if targets == "classification" else "", []).append(file)
        groups = dict(zip(self.files, self.groups or (), strict=self.groups is not None))
        sampled = self.taken(
            [*chain.from_iterable(reading.sample(classes, read, groups, further=further, counted=counted).values())]
        )
        inputs, kept = reading.inputs({"": sampled.files}, read, noun, skip_unreadable=True, counted=counted)
        return sampled.taken(kept[""]), inputs


def task_of_files(
    source: Source,
    suffixes: Collection[str],
    noun: str,
    read: Callable[[Path], Tensor],
    preprocessing: Preprocessing | None = None,
    *,
    counted: bool = False,
) -> Task:
    """The task of the files of a table; ``read`` makes an input of one, and may count them."""
    listing, other, labels = ListedFiles.of(source.path, suffixes, noun, source), None, list[str]()
    if source.test is not None:
        other = ListedFiles.of(source.test, suffixes, noun, source)
    targets, reading = learned_as(listing.labels, source.targets), source.reading or FileReading()
    further = len(other.files) if other is not None else 0
    listing, inputs = listing.read(reading, read, noun, targets, further, counted=counted)
    given: Labels = listing.labels
    if targets == "regression":
        given = number_targets(listing.labels, len(inputs), name=listing.place, noun=noun, where=listing.where)
        labels = [listing.column]
    examples = labelled_examples(
        len(inputs),
        given,
        noun=noun,
        targets=targets,
        classes=labels or None,
        group=listing.groups,
        min_per_class=source.least,
        place=listing.place,
    )
    tested, share, named = None, TEST, list[Path]()
    if other is not None:
        other, others = other.read(reading, read, noun, targets, counted=counted)
        tested, share = (others, other.labels), 0.0
        called = {"name": other.place, "learned": listing.place}
        named = [other.files[place] for place in examples.tested(other.labels, len(others), **called)[0]]
        if other.groups is not None:
            tell_shared_groups(other.place, listing.groups, other.groups)
    divided = examples.divided(val=VAL, test=share, seed=0)
    if tested is None:
        named = [listing.files[place] for place in divided[2][0].tolist()]
    rows = arranged(inputs, [places for places, _ in divided])
    parts = [Split(own, targets) for own, (_, targets) in zip(rows, divided, strict=True)]
    name = source.path.resolve()
    id = name.name if name.is_dir() else name.stem
    return examples.task(
        id, parts, tested, f"'{writable(str(source.test))}'", preprocessing, [str(file) for file in named]
    )
