"""Files of series: a CSV file each, a long table with a column of ids, and files of the UCR archive (``.ts``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.listed_files import ListedFiles
from lit_metanas.kinds.rows.cells import ColumnCells
from lit_metanas.kinds.texts.table_files import LARGEST_TABLE, TableRow, checked_text, read_rows, read_utf8
from lit_metanas.kinds.texts.text_tables import (
    LABEL_COLUMNS,
    check_columns,
    columns_of,
    free_columns,
    listed,
    number_text,
    usual_column,
)

# Of a series, shape ``(channels, steps)``, NaN where a value is missing.
SeriesValues: TypeAlias = NDArray[np.float64]

SERIES_TABLES = (".csv", ".tsv")
ARCHIVE_SUFFIX = ".ts"
ID_COLUMNS = (
    "id",
    "series",
    "series_id",
    "case",
    "case_id",
    "sample",
    "sample_id",
    "recording",
    "recording_id",
    "unit",
)
# Names by which columns are found, whatever their case.
TIME_COLUMNS = ("time", "timestamp", "t", "step", "date", "datetime")


@dataclass(frozen=True)
class RecordedSeries:
    """A series of a file: where it stands, its channels, and what is known of it."""

    where: str
    values: SeriesValues
    names: tuple[str, ...] = ()  # of the channels
    label: str = ""
    group: str = ""


def read_series(
    path: Path,
    id: str | None = None,
    label: str | None = None,
    group: str | None = None,
    names: Sequence[str] = (),
    *,
    labelled: bool = True,
) -> list[RecordedSeries]:
    """The series of a file or folder, with their labels or, of a file, without."""
    if path.is_dir():
        return read_class_folders(path, group, names)
    if path.suffix.lower() == ARCHIVE_SUFFIX:
        if group is not None:
            raise ValueError(f"'{writable(str(path))}' does not say which series belong together: leave 'group' out.")
        return read_archive_file(path, labelled=labelled)
    if not labelled and series_column(read_rows(path)) is None:
        return [read_series_file(path)]
    return read_long_table(path, id, label, group, labelled=labelled)


def read_series_file(file: Path, names: Sequence[str] = (), label: str = "", group: str = "") -> RecordedSeries:
    """The series of a CSV file, with a column for each channel; those of these names, if they are given."""
    place, rows = writable(str(file)), list(read_rows(file))
    wanted = tuple(names or _channels(free_columns(rows, place), place))
    check_columns(rows, place, **{f"channel {number}": name for number, name in enumerate(wanted, 1)})
    return RecordedSeries(place, _values(rows, wanted, place), wanted, label, group)


def read_class_folders(root: Path, group: str | None, names: Sequence[str] = ()) -> list[RecordedSeries]:
    """The series of a folder with a folder of CSV files for each class: all have the channels of the first one."""
    listed, found = ListedFiles.of_folders(root, SERIES_TABLES, "series", group), list[RecordedSeries]()
    for file, label, own in zip(listed.files, listed.labels, listed.groups or repeat(""), strict=False):
        found.append(read_series_file(file, names, label, own))
        names = found[0].names
    return found


def series_column(rows: Iterable[TableRow]) -> str | None:
    """The column of a long table that says to which series a row belongs, by its name and as values repeat; or None."""
    seen: set[str] = set()
    for _, row in rows:
        column = usual_column(list(row), ID_COLUMNS)
        if column is None or str(row[column]) in seen:
            return column
        seen.add(str(row[column]))
    return None


def read_long_table(
    path: Path, id: str | None, label: str | None, group: str | None, *, labelled: bool
) -> list[RecordedSeries]:
    """The series of a table with a row for each step, in the order of time, and a column of the series' ids."""
    place, rows = writable(str(path)), list(read_rows(path))
    free = check_columns(rows, place, id=id, label=label, group=group)
    if id is None and (id := series_column(rows)) is None:
        raise ValueError(
            f"'{place}' has the columns {listed(columns_of(rows))}, and none of them says which rows are one series: "
            "call it 'id', or name it by the argument 'id' of SeriesTask."
        )
    if label is None:
        label = usual_column([name for name in free if name != id], LABEL_COLUMNS)
    if labelled and label is None:
        raise ValueError(f"'{place}' has no column of labels: call it 'label', or name it by the argument 'label'.")
    names = _channels([name for name in free if name not in (id, label)], place)
    members: dict[str, list[TableRow]] = {}
    for where, row in rows:
        members.setdefault(checked_text(number_text(row.get(id)), "id", where, place), []).append((where, row))
    return [
        RecordedSeries(
            f"series '{printable(name, 40)}' of '{place}'",
            _values(own, names, place),
            tuple(names),
            _constant(own, label, "label", name, place) if labelled else "",
            _constant(own, group, "group", name, place),
        )
        for name, own in members.items()
    ]


def _constant(rows: Sequence[TableRow], column: str | None, what: str, name: str, place: str) -> str:
    """The only value of a column for a series; empty where there is no column."""
    if column is None:
        return ""
    found = {checked_text(number_text(row.get(column)), what, where, place): where for where, row in rows}
    if len(found) > 1:
        one, other, *_ = found
        raise ValueError(
            f"Series '{printable(name, 40)}' of '{place}' has the {what}s '{printable(one, 40)}' and "
            f"'{printable(other, 40)}' (at {found[other]}): give all its rows one {what}."
        )
    return next(iter(found))


def _channels(free: Iterable[str], place: str) -> list[str]:
    found = [name for name in free if name.lower() not in TIME_COLUMNS]
    if not found:
        raise ValueError(f"'{place}' has no columns of numbers: give one for each channel, and a row for each step.")
    return found


def _values(rows: Sequence[TableRow], names: Sequence[str], place: str) -> SeriesValues:
    where = [each for each, _ in rows]
    return np.array([_numbers(name, [row.get(name) for _, row in rows], where, place) for name in names])


def _numbers(name: str, values: Sequence[object], where: Sequence[str], place: str) -> NDArray[np.float64]:
    return ColumnCells(name, np.fromiter(values, object), where, f"'{place}'").numbers()


def read_archive_file(path: Path, *, labelled: bool) -> list[RecordedSeries]:
    """The series of a file of the UCR and UEA archives (``.ts``): channels between colons, and last the class."""
    place, found = writable(str(path)), list[RecordedSeries]()
    numbered = enumerate(map(str.strip, read_utf8(path, LARGEST_TABLE).splitlines()), 1)
    lines = [(f"line {number}", line) for number, line in numbered if line and not line.startswith("#")]
    begin = next((at for at, (_, line) in enumerate(lines) if line.lower() == "@data"), None)
    if begin is None:
        raise ValueError(f"'{place}' has no line '@data': give a file of the UCR archive.")
    header = {key: values for key, *values in (line.lower().split() for _, line in lines[:begin])}
    if header.get("@timestamps", ["false"]) != ["false"]:
        raise ValueError(f"'{place}' has time stamps, which are not read: save it without them.")
    classes = header.get("@classlabel", [])[:1] == ["true"]
    if labelled and not classes:
        raise ValueError(f"'{place}' has no classes ('@classLabel true'): give series with a class each.")
    for where, line in lines[begin + 1 :]:
        channels = line.split(":")
        label = channels.pop() if classes else ""
        parts = enumerate((own.split(",") for own in channels), 1)
        numbers = [_numbers(str(at), own, [where] * len(own), place) for at, own in parts]
        if len({len(own) for own in numbers}) != 1:
            raise ValueError(f"The channels at {where} of '{place}' differ in length: fix it, or leave it out.")
        if labelled:
            label = checked_text(label, "label", where, place)
        found.append(RecordedSeries(f"{where} of '{place}'", np.array(numbers), label=label))
    if not found:
        raise ValueError(f"'{place}' has no series: give lines of numbers below '@data'.")
    return found


def archive_pair(folder: Path) -> tuple[Path, Path] | None:
    """The files ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` of a folder with just these of their kind; None elsewhere."""
    files = {file.stem.rpartition("_")[2].upper(): file for file in sorted(folder.glob(f"*{ARCHIVE_SUFFIX}"))}
    if files.keys() != {"TRAIN", "TEST"}:
        return None
    return files["TRAIN"], files["TEST"]
