"""Files with labels or numbers, as a table names them or in class folders, and the task of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, compress
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from lit_metanas.inputs.example_memory import arranged
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.class_folders import class_folders, file_groups, file_within, files_in, folders_in
from lit_metanas.io.text import option_words, printable, writable
from lit_metanas.kinds.file_reading import FileReader, FileReading
from lit_metanas.kinds.labelled_examples import labelled_examples
from lit_metanas.kinds.texts.table_files import TableRow, is_table_file, read_rows, tables_in
from lit_metanas.kinds.texts.text_tables import (
    LABEL_COLUMNS,
    check_columns,
    column_groups,
    columns_of,
    label_texts,
    listed,
    only,
    table_rows,
    usual_column,
)
from lit_metanas.tasks.labels import Labels
from lit_metanas.tasks.number_targets import Targets, learned_as, number_targets
from lit_metanas.tasks.splits import tell_shared_groups
from lit_metanas.tasks.task import Split, Task

# Usual names of the column of files, whatever their case; they count where some of its cells name no file.
FILE_COLUMNS = ("file", "path", "filename")

# The column that names the speaker of a sound.
SPEAKER = "speaker"


def file_column(rows: Sequence[TableRow], suffixes: Collection[str], table: Path) -> str | None:
    """The column that names files which end in one of some suffixes; None where there is none.

    Such as lie in the folder of the ``table``, or in its sub-folders, may be named without their ending.
    """
    for name in columns_of(rows):
        if all(Path(str(row.get(name))).suffix.lower() in suffixes for _, row in rows):
            return name

    def values(name: str) -> set[str]:
        return {str(row.get(name)).strip() for _, row in rows}

    different = [name for name in columns_of(rows) if len(values(name)) == len(rows)]  # as a file has one row
    if not different:
        return None
    below = files_by_name(table, table.parent, suffixes)
    return next((name for name in different if values(name) <= below.keys()), None)


def files_by_name(table: Path, folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """The files of a folder and of its sub-folders by their names, with their ending and without it.

    Those of the folder itself, and of the sub-folder called as the table, such as ``train``, are meant before others. A
    name that stands for several is left out.
    """
    own = table.name.lower().partition(".")[0]
    near, others = dict[str, list[Path]](), dict[str, list[Path]]()
    for each in (folder, *sorted(folders_in(folder))):
        known = near if each == folder or each.name.lower() == own else others
        with suppress(OSError):  # somebody else's folder
            for file in files_in(each, suffixes):
                for name in {file.name, file.stem}:
                    known.setdefault(name, []).append(file)
    return {name: files[0] for name, files in (others | near).items() if len(files) == 1}


def table_of_files(path: Path, suffixes: Collection[str]) -> Path | None:
    """The table that names files: the path itself, or the only one of a folder that does; None without one."""
    tables = [*filter(is_table_file, [path])]
    if path.is_dir() and (files_in(path, suffixes) or len(folders_in(path)) == 1):
        tables = tables_in(path)
    found = list[Path]()
    for table in tables:
        with suppress(ValueError):  # of a damaged table
            rows = list(read_rows(table))
            if rows and file_column(rows, suffixes, table) is not None:
                found.append(table)
    return only(found)


@dataclass(frozen=True)
class ListedFiles:
    """Files, each with its label."""

    place: str  # what lists them, for messages
    files: list[Path]
    labels: list[str]
    groups: list[str] | None
    where: Sequence[str] = ()  # the lines of a table
    column: str = ""  # of the labels

    @classmethod
    def of_folders(cls, root: Path, suffixes: Collection[str], noun: str, group: str | None = None) -> Self:
        """Those of a folder with a folder for each class."""
        classes = class_folders(root, suffixes, noun, group is not None)
        groups = file_groups(root, classes, group)
        files = [*chain.from_iterable(classes.values())]
        labels = [name for name, own in classes.items() for _ in own]
        return cls(f"'{writable(str(root))}'", files, labels, [groups[file] for file in files] if groups else None)

    @classmethod
    def of_table(
        cls,
        table: Path,
        suffixes: Collection[str],
        noun: str,
        *,
        folder: Path,
        label: str | None = None,
        group: str | None = None,
        targets: Targets | None = None,
    ) -> Self:
        """Those of a table; names of files are relative to a folder."""
        rows, place = table_rows(table, label), writable(str(table))
        check_columns(rows, place, label=label, group=group)
        names = columns_of(rows)
        named = file_column(rows, suffixes, table) or usual_column(names, FILE_COLUMNS)
        free = [name for name in names if name not in (named, group, SPEAKER)]
        column = label or usual_column(free, LABEL_COLUMNS) or only(free)
        if named is None or column is None:
            raise ValueError(
                f"'{place}' has the columns {listed(names)}: call that of the {noun} 'file' and that of the labels, or "
                f"of the numbers to be predicted, 'label', or name this one by {option_words('label')}."
            )
        files, below = dict[Path, str](), dict[str, Path]()
        for where, row in rows:
            at, name = f"{where.capitalize()} of '{place}'", str(row.get(named) or "").strip()
            if not (folder / name).is_file():
                below = below or files_by_name(table, folder, suffixes)
            file = below.get(name) or file_within(folder, name, at, suffixes, noun)
            if file in files:
                raise ValueError(f"{at} names '{printable(name, 200)}' again: leave one of the lines out.")
            files[file] = where
        if group is None and SPEAKER in names:
            group = SPEAKER
        groups = None if group is None else column_groups(rows, place, group)
        labels = label_texts(rows, place, column, targets)
        return cls(f"'{place}'", [*files], labels, groups, [*files.values()], column)

    @property
    def classes(self) -> dict[str, list[Path]]:
        """The files of each label."""
        found = dict[str, list[Path]]()
        for file, label in zip(self.files, self.labels, strict=True):
            found.setdefault(label, []).append(file)
        return found

    def taken(self, files: set[Path]) -> Self:
        """Those of some files."""
        kept = [file in files for file in self.files]
        return replace(
            self,
            files=[*compress(self.files, kept)],
            labels=[*compress(self.labels, kept)],
            groups=self.groups and [*compress(self.groups, kept)],
            where=[*compress(self.where, kept)],
        )

    def read(
        self,
        reading: FileReading,
        read: FileReader,
        noun: str,
        targets: Targets,
        further: int = 0,
        *,
        skip_unreadable: bool,
        counted: bool,
    ) -> tuple[Self, Tensor]:
        """The files that are read, and their inputs; where labels are classes, each has its share of the files."""
        classes = self.classes if targets == "classification" else {"": self.files}
        groups = dict(zip(self.files, self.groups or (), strict=self.groups is not None))
        sampled = reading.sample(classes, read, groups, further=further, counted=counted)
        files = self.taken({*chain.from_iterable(sampled.values())}).files  # in their own order
        inputs, kept = reading.inputs(files, read, noun, skip_unreadable=skip_unreadable, counted=counted)
        return self.taken({*kept}), inputs


def task_of_files(
    id: str,
    listing: ListedFiles,
    tested: ListedFiles | None,
    read: FileReader,
    noun: str,
    *,
    shares: tuple[float | None, float, float],
    seed: int = 0,
    least: int | None = None,
    targets: Targets | None = None,
    reading: FileReading | None = None,
    skip_unreadable: bool = True,
    preprocessing: Preprocessing | None = None,
    counted: bool = False,
) -> Task:
    """The task of listed files, where folders are classes; ``read`` makes an input of one, and may count them."""
    targets = learned_as(listing.labels, targets if listing.where else "classification")
    reading = reading or FileReading()
    options: Any = {"skip_unreadable": skip_unreadable, "counted": counted}
    further = len(tested.files) if tested is not None else 0
    own, inputs = listing.read(reading, read, noun, targets, further, **options)
    labels: Labels = own.labels
    if targets == "regression":
        labels = number_targets(own.labels, len(inputs), name=own.place, noun=noun, where=own.where)
    examples = labelled_examples(
        len(inputs),
        labels,
        noun=noun,
        targets=targets,
        classes=[own.column] if targets == "regression" else None,
        group=own.groups,
        min_per_class=least,
        place=own.place,
    )
    given, shown = None, own
    if tested is not None:
        shown, others = tested.read(reading, read, noun, targets, **options)
        given, shares = (others, shown.labels), (None, shares[1], 0.0)
        if shown.groups is not None:
            tell_shared_groups(shown.place, own.groups, shown.groups)
    divided = examples.divided(shares, seed)
    rows = arranged(inputs, [places for places, _ in divided])
    parts = [Split(part, targets) for part, (_, targets) in zip(rows, divided, strict=True)]
    return examples.task(id, parts, given, shown.place, preprocessing, [writable(str(file)) for file in shown.files])
