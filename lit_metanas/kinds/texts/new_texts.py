"""New texts of files, without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.texts.labelled_text import read_utf8, text_lines
from lit_metanas.kinds.texts.table_files import is_table_file, read_rows
from lit_metanas.kinds.texts.text_tables import (
    TEXT_COLUMNS,
    columns_of,
    columns_of_texts,
    listed,
    text_in,
    usual_column,
)
from lit_metanas.tasks.task import warn_of_data

LARGEST_TEXT = 1 << 28
"""Bytes of a file of texts."""


def new_texts(paths: Sequence[str], of_table: Callable[[Path], list[str] | None]) -> list[tuple[str, str]]:
    """The texts of files but empty ones: of a table what ``of_table`` finds, of other files (None) the lines."""
    found = [text for path in paths for text in _texts(Path(path), of_table(Path(path)))]
    return [(text, text) for text in found]


def _texts(file: Path, column: list[str] | None) -> list[str]:
    """The texts of a column, or else the lines of a file, but empty ones, which a warning names."""
    texts, noun = column, "empty text"
    if texts is None:
        texts, noun = [line.strip() for line in text_lines(read_utf8(file, LARGEST_TEXT).rstrip())], "empty line"
    found = [text for text in texts if text]
    if len(found) < len(texts):
        empty = number_of(len(texts) - len(found), noun)
        warn_of_data(f"'{writable(str(file))}' has {empty}: they get no answers, and those of later lines move up.")
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
