"""The rows of tables, their columns of texts and of labels, and new texts of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from lit_metanas.io.class_folders import EXCLUDED, class_folders, excluding, file_groups
from lit_metanas.io.text import hint, number_of, printable, writable
from lit_metanas.kinds.dates import parts_by_column
from lit_metanas.kinds.texts.table_files import (
    Labelled,
    TableRow,
    checked_text,
    has_line_of_names,
    is_table_file,
    kept_cells,
    read_rows,
    read_utf8,
    read_whole_rows,
)
from lit_metanas.objectives.several_labels import LABEL_SEPARATOR, labels_of_text
from lit_metanas.tasks.labels import hardly_repeat, learned_as_sets, warn_of_missing
from lit_metanas.tasks.number_targets import Targets, are_numbers
from lit_metanas.tasks.task import warn_of_data

# Names by which columns are found, whatever their case.
TEXT_COLUMNS = (
    "text", "sentence", "utterance", "question", "query", "review", "comment", "message", "content", "title",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "intent", "class", "category", "target", "topic", "sentiment", "language", "lang", "tag", "labels", "tags",
)  # fmt: skip
SENTENCE_WORDS = 3  # words on average, from which on texts that hardly repeat are sentences
LARGEST_TEXT, LARGEST_TEXT_FILE = 1 << 28, 1 << 20  # bytes of a file of new texts, and of one labelled text

_Found = TypeVar("_Found")


class NamelessColumnsError(ValueError):
    """The first line of a table is no line of names."""

    def __init__(self, place: str, label: str | None = None) -> None:
        but = "it holds numbers alone"
        if label is not None:
            but = f"'{printable(label, 40)}' in it is a label of other lines, too"
        super().__init__(
            f"The first line of '{place}' must name the columns, but {but}: put a line of names above it, with 'label' "
            "for the labels; if it has names, call that of the labels so."
        )


def read_divided(path: Path, test_by: str | None, label: str | None = None) -> tuple[list[TableRow], Mapping[str, int]]:
    """The rows of a table without a column that says which are tested, and the part of each by where it stands."""
    if test_by is None:
        return table_rows(path, label), {}
    rows, place = list(read_whole_rows(path)), writable(str(path))
    parts = parts_by_column(rows, place, test_by).parts
    with excluding([test_by]):
        return _with_one_label([(where, kept_cells(row)) for where, row in rows], place, label), parts


def find_columns(
    rows: Sequence[TableRow], place: str, text: str | None, label: str | None, **others: str | None
) -> tuple[str, str]:
    """The columns of texts and of labels."""
    free = free_columns(rows, place, text=text, label=label, **others)
    text, label = guess_two(free, (text, label), (TEXT_COLUMNS, LABEL_COLUMNS))
    if text is None and label is not None:
        text = columns_of_texts(rows, [name for name in free if name != label])
    if text is None and label is None and len(free) == 2:
        numbers = [name for name in free if are_numbers([number_text(row.get(name)) for _, row in rows])]
        if len(numbers) == 1:
            (label,), (text,) = numbers, {*free} - {*numbers}
            return text, label
        first, second = (len({str(row.get(name)) for _, row in rows}) for name in free)
        if first != second:
            text, label = free if first > second else reversed(free)
            if has_line_of_names(place) and is_own_value(rows, label):
                raise NamelessColumnsError(place, label)
    if text is None or label is None:
        raise ValueError(
            f"'{place}' has the columns {listed(columns_of(rows))}: call that of the texts 'text' and that of their "
            "labels 'label' (of pairs of texts 'source' and 'target'), or name them by the arguments 'text' and "
            "'label' of the task's class."
        )
    return text, label


def are_texts(name: str, texts: Sequence[str]) -> bool:
    """Whether the cells of a column are sentences, or texts by the name of the column, most of which differ."""
    known = [text for text in texts if text]
    return hardly_repeat(Counter(known)) and (
        name.lower() in TEXT_COLUMNS or sum(len(text.split()) for text in known) >= SENTENCE_WORDS * len(known)
    )


def columns_of_texts(rows: Sequence[TableRow], names: Sequence[str]) -> str | None:
    """Those of some columns that hold texts, with commas between them as in a label of several; None without any."""
    cells = {name: [str(number_text(row.get(name)) or "").strip() for _, row in rows] for name in names}
    return ",".join(name for name, texts in cells.items() if are_texts(name, texts)) or None


def text_in(row: Mapping[str, Any], column: str) -> Any:
    """The text of a row; those of several columns are joined, each on a line of its own."""
    if column in row or not {*column.split(",")} & row.keys():
        return row.get(column, "")
    return "\n".join(str(row.get(name) or "").strip() for name in column.split(","))


def is_own_value(rows: Sequence[TableRow], column: str) -> bool:
    """Whether a column holds its own name, as where the first line is one of values."""
    return any(str(row.get(column)).strip() == column for _, row in rows)


def guess_two(
    free: Sequence[str], named: tuple[str | None, str | None], known: tuple[Sequence[str], Sequence[str]]
) -> tuple[str | None, str | None]:
    """Two columns: as they are named, else of a usual name, else the only one that is left."""
    found: list[str | None] = []
    for name, usual in zip(named, known, strict=True):
        found.append(usual_column(free, usual) if name is None else name)
        free = [each for each in free if each != found[-1]]
    if len(free) == 1 and found.count(None) == 1:
        found[found.index(None)] = free[0]
    return found[0], found[1]


def free_columns(rows: Sequence[TableRow], place: str, **named: str | None) -> list[str]:
    """The columns that no argument names and that may be guessed: half of the rows hold them, or more."""
    free = check_columns(rows, place, **named)  # a line of JSON may have a key of its own
    holding = Counter(name for _, row in rows for name in row)
    unnamed = [str(row[""]).strip() for _, row in rows if "" in row]
    numbered = len(set(unnamed)) == len(unnamed) and all(map(str.isdecimal, unnamed))  # by pandas
    return [name for name in free if 2 * holding[name] >= len(rows) and (name or not numbered)]


def check_columns(rows: Sequence[TableRow], place: str, **named: str | None) -> list[str]:
    """Look whether a table has the columns that arguments name."""
    if not rows:
        raise ValueError(f"'{place}' has no rows: give a line with the names of the columns, and rows below it.")
    names = columns_of(rows)
    if not names and EXCLUDED.get():
        raise ValueError(f"'{place}' has no columns but those that 'exclude' names: keep some.")
    chosen = [name for name in named.values() if name is not None]
    if absent := [name for name in chosen if name not in names]:
        others = [other for other in names if other not in chosen]
        raise ValueError(
            f"'{place}' has no column '{absent[0]}': {hint(absent[0], others, f'it has {listed(names)}.')}"
        )
    if len(set(chosen)) < len(chosen):
        *others, last = [argument for argument, name in named.items() if name is not None]
        raise ValueError(
            f"'{place}': {', '.join(others)} and {last} must be columns of their own, not {listed(chosen)}."
        )
    return [name for name in names if name not in chosen]


def columns_of(rows: Sequence[TableRow]) -> list[str]:
    """The columns of a table: those of its first row, then others, as a line of JSON may leave some out."""
    return list(dict.fromkeys(chain.from_iterable(row for _, row in rows)))


def usual_column(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The only name that is known, or of several the first one of ``known``, such as ``label``; None elsewhere."""
    found = [name for name in names if name.lower() in known]
    plain = [name for name in found if name.lower() == known[0]]
    return next((own[0] for own in (found, plain) if len(own) == 1), None)


def listed(names: Sequence[str]) -> str:
    """Names for a sentence, the first ten at most."""
    return ", ".join(printable(name, 40) for name in names[:10]) + ", …" * (len(names) > 10)


def only(found: Sequence[_Found]) -> _Found | None:
    """The only one; None of several, or of none."""
    return found[0] if len(found) == 1 else None


def labelled_texts(
    path: Path,
    text: str | None = None,
    label: str | None = None,
    group: str | None = None,
    test_by: str | None = None,
) -> tuple[list[Labelled], Mapping[str, int]]:
    """The texts of a table or a folder of text files, and parts that a table gives them; see ``TextTask``."""
    if test_by is not None or not path.is_dir():
        (rows, parts), place = read_divided(path, test_by, label), writable(str(path))
        text, label = find_columns(rows, place, text, label, group=group)
        groups = [""] * len(rows)
        if group is not None:
            groups = column_groups(rows, place, group)
        warn_of_missing((row.get(label) for _, row in rows), place, "text")
        return [
            Labelled(where, text_in(row, text), label_text_of(row.get(label, "")), own)
            for (where, row), own in zip(rows, groups, strict=True)
        ], parts
    classes = class_folders(path, {".txt"}, "text files", deep=group is not None)
    group_of = file_groups(path, classes, group)
    return [
        Labelled(file.relative_to(path).as_posix(), read_utf8(file, LARGEST_TEXT_FILE), name, group_of.get(file, ""))
        for name, files in classes.items()
        for file in files
    ], {}


def column_groups(rows: Sequence[TableRow], place: str, group: str) -> list[str]:
    """The group of each row."""
    check_columns(rows, place, group=group)
    return [checked_text(number_text(row.get(group, "")), "group", where, place) for where, row in rows]


# What stands in a column of one label, in small letters.
_BOTH = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}


def table_rows(path: Path, label: str | None = None) -> list[TableRow]:
    """The rows of a table, in which several columns of labels, ``a,b``, each of 1 and 0, are one of that name."""
    # That holds the names of the columns that are 1, each with a separator behind it.
    return _with_one_label(list(read_rows(path)), writable(str(path)), label)


def _with_one_label(rows: list[TableRow], place: str, label: str | None) -> list[TableRow]:
    """The rows of a table with one column in place of those of several labels; see ``table_rows``."""
    names = [name.strip() for name in (label or "").split(",")]
    known = columns_of(rows)
    if len(names) < 2 or label is None or label in known or not {*names} & {*known}:
        return rows
    check_columns(rows, place, **{f"'label' {number}": name for number, name in enumerate(names, 1)})
    return [(where, _with_labels(row, names, label, where, place)) for where, row in rows]


def _with_labels(row: Mapping[str, Any], names: Sequence[str], label: str, where: str, place: str) -> dict[str, Any]:
    found = []
    for name in names:
        value = str(row.get(name, "")).strip()
        if (has := _BOTH.get(value.casefold())) is None:
            raise ValueError(
                f"Column '{printable(name, 40)}' at {where} of '{place}' holds '{printable(value, 40)}', and it is one "
                "of several columns of labels: give 1 or 0 in each."
            )
        if has:
            found.append(name)
    left = {name: value for name, value in row.items() if name not in names}
    return {**left, label: f"{LABEL_SEPARATOR.join(found)}{LABEL_SEPARATOR}"}


def label_texts(rows: Sequence[TableRow], place: str, column: str, targets: Targets | None = None) -> list[str]:
    """The labels of a table; those of several labels may be empty."""
    found = [label_text_of(row.get(column)) for _, row in rows]
    if learned_as_sets(found, targets):
        return ["" if value is None else str(value).strip() for value in found]
    return [checked_text(value, "label", where, place) for (where, _), value in zip(rows, found, strict=True)]


def label_text_of(value: Any) -> Any:
    """A number as a text, and a list of labels with a separator behind each; anything else stays."""
    if isinstance(value, list):
        return LABEL_SEPARATOR.join(map(str, value)) + LABEL_SEPARATOR
    return number_text(value)


def number_text(value: Any) -> Any:
    """A number as a text; anything else stays."""
    return str(value) if isinstance(value, int | float) else value


def labels_in(rows: Sequence[TableRow], classes: Sequence[str], *, numbers: bool) -> list[str]:
    """The labels of new rows that have some: of a column with a usual name, or of the only one that holds classes."""
    # Numbers to predict have a column of the name that it had, which is in `classes`, or a usual one.
    columns = {name: [str(label_text_of(row.get(name)) or "").strip() for _, row in rows] for name in columns_of(rows)}
    if len(classes) > 1 and {*classes} <= columns.keys():
        with suppress(ValueError):  # no columns of 0 and 1
            return [_with_labels(row, classes, "", where, "")[""] for where, row in rows]
    usual = usual_column(list(columns), LABEL_COLUMNS)
    if numbers and len(classes) > 1:
        return []
    if numbers:
        named = next((name for name in columns if name in classes), usual)
        return columns.get(named or "", [])
    if usual is not None and any(not {label, *labels_of_text(label)}.isdisjoint(classes) for label in columns[usual]):
        return columns[usual]
    holding = [own for own in columns.values() if any(own) and all(not label or label in classes for label in own)]
    return only(holding) or []


def new_texts(paths: Sequence[str], of_table: Callable[[Path], list[str] | None]) -> list[tuple[str, Any]]:
    """The texts of files but empty ones: of a table what ``of_table`` finds, of other files (None) the lines."""
    found = list[tuple[str, Any]]()
    for file in map(Path, paths):
        texts, noun = of_table(file), "empty text"
        if texts is None:
            # `splitlines` would end a line at a form feed, too.
            lines = StringIO(read_utf8(file, LARGEST_TEXT).rstrip(), newline=None)
            texts, noun = [line.strip() for line in lines], "empty line"
        kept = [(text, text) for text in texts if text]
        if lost := len(texts) - len(kept):
            warn_of_data(
                f"'{writable(str(file))}' has {number_of(lost, noun)}: they get no answers, and those of later lines "
                "move up."
            )
        found += kept
    return found


def usual_texts(file: Path) -> list[str] | None:
    """The column of a table that is called ``text`` or alike; None where the file holds lines."""
    if not is_table_file(file):
        return None
    try:
        rows = list(read_rows(file))
    except ValueError:  # lines of text
        return None
    names = columns_of(rows)
    text = usual_column(names, TEXT_COLUMNS) or columns_of_texts(rows, names)
    if text is None and len(names) > 1:
        raise ValueError(
            f"'{writable(str(file))}' has the columns {listed(names)}, and none is called 'text' or alike: call that "
            "of the texts so, or give a file that ends in .txt, with one text a line."
        )
    if text is None:
        return None
    return [str(text_in(row, text) or "").strip() for _, row in rows]
