"""Files of tables as people have them: CSV with any separator, JSON lines or one list, compressed or not."""

from __future__ import annotations

import csv
import gzip
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.class_folders import EXCLUDED, is_excluded
from lit_metanas.io.json_files import parse_json
from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.texts.labelled_text import LONGEST_RAW_TEXT, MOST_SENTENCES, read_bytes
from lit_metanas.tasks.task import warn_of_data

LARGEST_TABLE, MOST_COLUMNS, MOST_TABLE_VALUES = 1 << 26, 1_000, 10_000_000  # bytes, columns, and values of a table

SUFFIXES_OF_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""How the names of tables end; of a single file, and of those in a folder, also with ``.gz`` behind it."""

FOREIGN_TABLES = (".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow")
"""Tables that other programs read."""

COLUMN_SEPARATORS = ",;\t|"
"""What may stand between columns; of two that stand as often in the first line the first is taken."""

_WITH_COMMA = re.compile(r"\s*[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s*")
"""A number as ``-1.234,5``, as programs write it that separate columns by semicolons."""

TableRow = tuple[str, Mapping[str, Any]]
"""Where a row stands, and its values by column."""


def is_table_file(path: Path) -> bool:
    """Whether a file is a table, by the end of its name; of JSON also by its first letter, that of a list."""
    if not path.is_file():
        return False
    if _suffix(path) != ".json":
        return _suffix(path) in SUFFIXES_OF_TABLES
    read = gzip.open if path.suffix.lower() == ".gz" else open
    with suppress(*DAMAGED), read(path, "rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    return False


def tables_in(folder: Path) -> list[Path]:
    """The tables in a folder, in order, without hidden and excluded ones."""
    files = [file for file in sorted(folder.iterdir()) if not file.name.startswith(".") and is_table_file(file)]
    return [file for file in files if not is_excluded(str(file))]


def has_line_of_names(place: str) -> bool:
    """Whether the first line of a table of this name has those of its columns; in JSON each value has its own."""
    return _suffix(Path(place)) in (".csv", ".tsv")


def read_rows(path: Path, *, blank: bool = False) -> Iterator[TableRow]:
    """The rows of a table, without columns that are excluded."""
    for where, row in read_whole_rows(path, blank=blank):
        yield where, kept_cells(row)


def kept_cells(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row without the columns that are excluded."""
    if not EXCLUDED.get():
        return row
    return {name: value for name, value in row.items() if not is_excluded(name)}


def read_whole_rows(path: Path, *, blank: bool = False) -> Iterator[TableRow]:
    """The rows of a table."""
    kind, place = _suffix(path), writable(str(path))
    if kind not in (*SUFFIXES_OF_TABLES, ".json"):
        raise ValueError(f"'{place}' is no table: give a file whose name ends in {', '.join(SUFFIXES_OF_TABLES)}.")
    content, names = _content(path, place), set[str]()
    for number, (where, row) in enumerate(_rows(content, place, kind, blank=blank), 1):
        if not row.keys() <= names:
            names.update(row)
            if len(names) > MOST_COLUMNS:
                raise ValueError(
                    f"'{place}' has more than {MOST_COLUMNS} columns by {where}: give all its lines the same names."
                )
        # What a line of JSON leaves out counts, too: readers go through all columns of each row.
        if number > MOST_SENTENCES or number * len(names) > MOST_TABLE_VALUES:
            raise ValueError(
                f"'{place}' has more than {MOST_SENTENCES} rows or {MOST_TABLE_VALUES} values: take fewer, and only "
                "the columns of texts and labels."
            )
        yield where, row


def _suffix(path: Path) -> str:
    """How a name ends, in small letters and without ``.gz``."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == ".gz" else suffix


def _content(path: Path, place: str) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, or else Windows-1252, as older spreadsheets write it."""
    content = read_bytes(path, LARGEST_TABLE)
    if path.suffix.lower() == ".gz":
        try:
            with gzip.open(BytesIO(content)) as file:
                content = file.read(LARGEST_TABLE + 1)
        except DAMAGED:
            raise ValueError(f"'{place}' is damaged, or not compressed by gzip: give another file.") from None
        if len(content) > LARGEST_TABLE:
            raise ValueError(f"'{place}' has more than {LARGEST_TABLE} bytes when unpacked: give fewer rows.")
    try:
        if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    with suppress(UnicodeDecodeError):
        found = content.decode("cp1252")
        if "\0" not in found:
            warn_of_data(f"'{place}' is not UTF-8 in line {line}, and is read as Windows-1252.")
            return found
    raise ValueError(f"'{place}' is not UTF-8 in line {line}: save it in that encoding.")


def _rows(content: str, place: str, kind: str, *, blank: bool) -> Iterator[TableRow]:
    if kind in (".csv", ".tsv"):
        rows = separated_rows(content, place, kind, blank=blank)
        return _with_points(rows) if kind == ".csv" and _separator(content) == ";" else rows
    if content.lstrip()[:1] == "[":
        return _listed_rows(content, place)
    return _json_rows(content, place)


def separated_rows(content: str, place: str, kind: str, *, blank: bool = False) -> Iterator[TableRow]:
    """The rows below a line of column names; those without values are left out."""
    form: dict[str, Any] = {"strict": True, "delimiter": _separator(content)}
    if kind == ".tsv":  # where quotes are letters like others
        form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    lines = csv.reader(StringIO(content, newline=""), **form)
    names: list[str] | None = None
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_TABLE))  # else a text of 131,073 characters is damage
    try:
        for values in filter(None, lines):
            if names is None:
                names = _column_names(values, place)
            elif any(value.strip() for value in values) or (blank and len(values) == len(names) > 1):
                if len(values) != len(names):
                    raise ValueError(
                        f"Line {lines.line_num} of '{place}' has {len(values)} values for {len(names)} columns: fix "
                        "it, or put quotes around values with a separator."
                    )
                yield f"line {lines.line_num}", dict(zip(names, values, strict=True))
    except csv.Error as error:
        raise ValueError(f"'{place}' is damaged at line {lines.line_num} ({error}): fix its quotes.") from None


def _separator(content: str) -> str:
    """What divides the first line into the most columns."""
    first = re.split(r"[\r\n]", content[:LONGEST_RAW_TEXT].lstrip("\r\n"), maxsplit=1)[0]
    return max(COLUMN_SEPARATORS, key=re.sub('"[^"]*"', "", first).count)


def _with_points(rows: Iterator[TableRow]) -> Iterator[TableRow]:
    """Rows in which columns of numbers with decimal commas have points; columns without any comma stay."""
    listed = list(rows)
    names = [name for name in (listed[0][1] if listed else ()) if _has_commas([row[name] for _, row in listed])]
    for where, row in listed:
        yield where, {**row, **{name: row[name].replace(".", "").replace(",", ".") for name in names}}


def _has_commas(cells: Sequence[str]) -> bool:
    """Whether a column holds nothing but numbers and gaps, and a decimal comma."""
    known = [cell for cell in cells if cell.strip()]
    return any("," in cell for cell in known) and all(map(_WITH_COMMA.fullmatch, known))


def _column_names(values: Sequence[str], place: str) -> list[str]:
    names = [value.strip() for value in values]
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"'{place}' has {len(names)} columns, more than {MOST_COLUMNS}: leave some out.")
    if len(names) == 1 and ";" in names[0]:
        raise ValueError(f"'{place}' has one column, '{printable(names[0], 60)}': separate columns by tabs.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"'{place}' has two columns '{printable(twice, 80)}': let its first line give each a name of its own."
        )
    return names


def _json_rows(content: str, place: str) -> Iterator[TableRow]:
    """The objects of lines."""
    for number, line in enumerate(StringIO(content), 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line.encode(), longest=LONGEST_RAW_TEXT)
        except ValueError as error:
            raise ValueError(f"Line {number} of '{place}' {error}: fix it, or leave it out.") from None
        if not isinstance(row, dict):
            raise ValueError(f"Line {number} of '{place}' is no object of names and values: fix it, or leave it out.")
        yield f"line {number}", row


def _listed_rows(content: str, place: str) -> Iterator[TableRow]:
    """The objects of one list."""
    try:
        rows = parse_json(content.encode(), longest=LONGEST_RAW_TEXT)
    except ValueError as error:
        raise ValueError(f"'{place}' {error}: give a list of objects, or one on each line.") from None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"Row {number} of '{place}' is no object of names and values: fix it, or leave it out.")
        yield f"row {number}", row
