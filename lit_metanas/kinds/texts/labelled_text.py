"""Sentences with labels, as files have them."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from lit_metanas.io.files import read_regular
from lit_metanas.io.text import composed, is_text, writable

LONGEST_RAW_TEXT, MOST_SENTENCES = 1_000_000, 1_000_000  # characters of a text, and texts of a collection


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


def text_lines(content: str) -> list[str]:
    """The lines of a text, as an editor shows them; ``splitlines`` ends one at a form feed, too."""
    return [line.removesuffix("\n") for line in StringIO(content, newline=None)]


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
