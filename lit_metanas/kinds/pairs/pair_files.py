"""Files of pairs: tables with a column of sources and one of targets, or two files with a text on each line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.pairs.text_pairs import TextPair
from lit_metanas.kinds.texts.labelled_text import read_utf8
from lit_metanas.kinds.texts.text_tables import (
    LARGEST_TABLE,
    TableRow,
    columns_of,
    free_columns,
    guess_two,
    listed,
    read_rows,
)

SOURCE_TEXT_COLUMNS = (
    "source",
    "src",
    "input",
    "from",
    "word",
    "grapheme",
    "graphemes",
    "original",
    "sentence",
    "text",
)
TARGET_TEXT_COLUMNS = (
    "target",
    "tgt",
    "output",
    "to",
    "translation",
    "pronunciation",
    "phoneme",
    "phonemes",
    "phones",
    "reference",
)
LANGUAGE_COLUMNS = ("pair", "language", "languages", "lang", "direction", "task")
"""Names by which columns are found, whatever their case."""


def read_pairs(
    path: Path, translations: Path | None, source: str | None, target: str | None, group: str | None = None
) -> Iterator[tuple[str, TextPair]]:
    """The pairs of a table or of two files, and where each stands."""
    if translations is not None:
        if any(column is not None for column in (source, target, group)):
            raise ValueError(
                f"'{writable(str(path))}': two files have no columns: leave out 'source', 'target' and 'group'."
            )
        yield from _read_lines(path, translations)
        return
    rows = list(read_rows(path))
    columns = find_pair_columns(rows, writable(str(path)), source, target, group=group)
    yield from pair_rows(rows, *columns)


def _read_lines(path: Path, translations: Path) -> Iterator[tuple[str, TextPair]]:
    """The lines of two files with each other; where both have an empty one it is left out."""
    sources, targets = (read_utf8(file, LARGEST_TABLE).removesuffix("\n").split("\n") for file in (path, translations))
    if len(sources) != len(targets):
        raise ValueError(
            f"'{writable(str(path))}' has {number_of(len(sources), 'line')} and '{writable(str(translations))}' "
            f"{number_of(len(targets), 'line')}: give each text its translation on the same line."
        )
    for number, pair in enumerate(zip(sources, targets, strict=True), 1):
        if any(text.strip() for text in pair):
            yield f"line {number}", TextPair(*pair)


def find_pair_columns(
    rows: Sequence[TableRow], place: str, source: str | None, target: str | None, **others: str | None
) -> tuple[str, str]:
    """The columns of sources and of targets."""
    free = free_columns(rows, place, source=source, target=target, **others)
    source, target = guess_two(free, (source, target), (SOURCE_TEXT_COLUMNS, TARGET_TEXT_COLUMNS))
    if source is None or target is None:
        raise ValueError(
            f"'{place}' has the columns {listed(columns_of(rows))}: let its first line call that of the texts 'source' "
            "and that of their translations 'target', or name them by these arguments of the task's class."
        )
    return source, target


def pair_rows(rows: Sequence[TableRow], source: str, target: str) -> Iterator[tuple[str, TextPair]]:
    """The pair of each row, and where it stands."""
    for where, row in rows:
        yield where, TextPair(row.get(source, ""), row.get(target, ""))
