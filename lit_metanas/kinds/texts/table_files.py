"""Files of texts and tables as people have them: CSV with any separator, JSON lines or one list, also compressed."""

from __future__ import annotations

import csv
import gzip
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.class_folders import EXCLUDED, is_excluded
from lit_metanas.io.files import read_regular
from lit_metanas.io.json_files import parse_json
from lit_metanas.io.text import composed, is_text, printable, writable
from lit_metanas.tasks.task import warn_of_data

LONGEST_RAW_TEXT, MOST_SENTENCES = 1_000_000, 1_000_000  # characters of a text, and texts of a collection
LARGEST_TABLE, MOST_COLUMNS, MOST_TABLE_VALUES = 1 << 26, 1_000, 10_000_000  # bytes, columns, and values of a table


SUFFIXES_OF_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")  # also with `.gz` behind it
FOREIGN_TABLES = (".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow")  # which other programs read
# Spreadsheets separate columns by any of these. Of two that stand as often in the first line the first one is taken.
COLUMN_SEPARATORS = ",;\t|"
# A number as `-1.234,5`: programs that write a decimal comma separate columns by semicolons.
_WITH_COMMA = re.compile(r"\s*[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s*")

TableRow = tuple[str, Mapping[str, Any]]  # where it stands, and its values by column


class Labelled(NamedTuple):
    """A text with its label."""

    where: str  # its place, for messages, such as ``line 3``
    text: str
    label: str
    group: str = ""  # of texts that belong together


def text_key(text: str) -> str:
    """A text without differences of case, white space and composition: two of one key count as the same."""
    return " ".join(composed(text).casefold().split())


def checked_row(row: Labelled, place: str, *, unlabelled: bool = False) -> Labelled:
    """Text and label without white space around them; some texts may be ``unlabelled``."""
    text, label = checked_text(row.text, "text", row.where, place), ""
    if not unlabelled or (row.label is not None and str(row.label).strip()):
        label = checked_text(row.label, "label", row.where, place)
    return row._replace(text=text, label=label)


def checked_text(value: object, noun: str, where: str, place: str) -> str:
    """A text or label without white space around it."""
    if not isinstance(value, str):
        raise ValueError(f"The {noun} at {where} of '{place}' is a {type(value).__name__}: give a text.")
    if len(value) > LONGEST_RAW_TEXT:
        raise ValueError(
            f"The {noun} at {where} of '{place}' has {len(value)} characters, more than {LONGEST_RAW_TEXT}: shorten it."
        )
    if not is_text(value):
        raise ValueError(f"The {noun} at {where} of '{place}' is not Unicode: leave it out.")
    if not value.strip():
        raise ValueError(f"There is no {noun} at {where} of '{place}': fill it in, or leave this one out.")
    return value.strip()


def checked_texts(texts: Iterable[object], name: str) -> list[str]:
    """Texts in memory, without white space around them."""
    if isinstance(texts, str):
        raise ValueError(f"{name} is a single text: give a list of texts.")
    if hasattr(texts, "columns"):  # of pandas and others, whose items are the names of their columns
        raise ValueError(f"{name} is a table: give one of its columns, or a list of texts.")
    return [checked_text(text, "text", f"place {place}", name) for place, text in enumerate(texts)]


def read_utf8(path: Path, largest: int) -> str:
    """Read a file of text of at most so many bytes; a byte order mark at its begin is left out."""
    content = read_bytes(path, largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"'{writable(str(path))}' is not UTF-8 in line {line}: save it in that encoding.") from None


def read_bytes(path: Path, largest: int) -> bytes:
    """Read a regular file of at most so many bytes."""
    try:
        return read_regular(path, largest)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{writable(str(path))}': give the path of one.") from None
    except ValueError as error:
        raise ValueError(f"'{writable(str(path))}' {error}: give another file.") from None


def is_table_file(path: Path) -> bool:
    """Whether a file is a table, by the end of its name; of JSON also by its first letter, that of a list."""
    if not path.is_file():
        return False
    if _suffix(path) != ".json":
        return _suffix(path) in SUFFIXES_OF_TABLES
    # Questions in SQuAD's format are JSON, too, but an object.
    read = gzip.open if path.suffix.lower() == ".gz" else open
    with suppress(*DAMAGED), read(path, "rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    return False


def tables_in(folder: Path) -> list[Path]:
    """The tables in a folder, in order, without hidden and excluded ones."""
    shown = (file for file in sorted(folder.iterdir()) if not file.name.startswith("."))
    return [file for file in shown if is_table_file(file) and not is_excluded(str(file))]


def has_line_of_names(place: str) -> bool:
    """Whether the first line of a table of this name has those of its columns; in JSON each value has its own."""
    return _suffix(Path(place)) in (".csv", ".tsv")


def read_rows(path: Path, *, blank: bool = False) -> Iterator[TableRow]:
    """The rows of a table, without columns that are excluded."""
    return ((where, kept_cells(row)) for where, row in read_whole_rows(path, blank=blank))


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
    return Path(path.name.lower().removesuffix(".gz")).suffix


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
    # Windows-1252 has a letter for nearly every byte. A zero byte shows that a file is no text.
    with suppress(UnicodeDecodeError):
        found = content.decode("cp1252")
        if "\0" not in found:
            warn_of_data(f"'{place}' is not UTF-8 in line {line}, and is read as Windows-1252.")
            return found
    raise ValueError(f"'{place}' is not UTF-8 in line {line}: save it in that encoding.")


def _rows(content: str, place: str, kind: str, *, blank: bool) -> Iterator[TableRow]:
    if kind not in (".csv", ".tsv"):
        return _json_rows(content, place)
    rows = _separated_rows(content, place, kind, blank=blank)
    if kind == ".csv" and _separator(content) == ";":
        return _with_points(rows)
    return rows


def _separated_rows(content: str, place: str, kind: str, *, blank: bool) -> Iterator[TableRow]:
    """The rows below a line of column names; those without values are left out, unless ``blank`` keeps them."""
    form: dict[str, Any] = {"strict": True, "delimiter": _separator(content)}
    if kind == ".tsv":  # where quotes are letters like others
        form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    lines = csv.reader(StringIO(content, newline=""), **form)
    names = list[str]()
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_TABLE))  # else a text of 131,073 characters is damage
    try:
        for values in filter(None, lines):
            if not names:
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
    # A column decides as a whole, since `1.234` alone may be either.
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
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f"'{place}' has two columns '{printable(twice[0], 80)}': let its first line give each a name of its own."
        )
    return names


def _json_rows(content: str, place: str) -> Iterator[TableRow]:
    """The objects of lines, or of one list."""
    noun = "Line"
    values: Iterable[tuple[int, Any]] = (
        (number, _parsed(line, f"Line {number} of '{place}'", "fix it, or leave it out"))
        for number, line in enumerate(StringIO(content), 1)
        if line.strip()
    )
    if content.lstrip()[:1] == "[":
        whole = _parsed(content, f"'{place}'", "give a list of objects, or one on each line")
        noun, values = "Row", enumerate(whole, 1)
    for number, row in values:
        if not isinstance(row, dict):
            raise ValueError(f"{noun} {number} of '{place}' is no object of names and values: fix it, or leave it out.")
        yield f"{noun.lower()} {number}", row


def _parsed(content: str, called: str, fix: str) -> Any:
    try:
        return parse_json(content.encode(), longest=LONGEST_RAW_TEXT)
    except ValueError as error:
        raise ValueError(f"{called} {error}: {fix}.") from None
