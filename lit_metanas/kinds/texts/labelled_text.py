"""Sentences with labels, as files have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from lit_metanas.io.files import read_regular
from lit_metanas.io.text import composed, is_text, number_of, printable, writable
from lit_metanas.tasks.task import warn_of_data

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


def distinct_texts(
    rows: Iterable[Labelled], place: str, key: Callable[[str], str] = text_key, *, unlabelled: bool = False
) -> list[Labelled]:
    """The first text of each key in each class, in their order; the classes go by the alphabet.

    Of several labels all together are a class, and some texts may be ``unlabelled``.
    """
    found: dict[str, dict[str, Labelled]] = {}
    number = 0
    for number, row in enumerate(rows, 1):
        if number > MOST_SENTENCES:
            raise ValueError(f"'{place}' has more than {MOST_SENTENCES} texts: take fewer.")
        label = checked_label(row, place, unlabelled=unlabelled)
        text = checked_text(row.text, "text", row.where, place)
        found.setdefault(label, {}).setdefault(key(text), row._replace(text=text, label=label))
    if not number:
        raise ValueError(f"'{place}' holds no texts: give some of two or more classes.")
    if len(found) < 2:
        (label,) = found
        raise ValueError(
            f"All texts of '{place}' have the label '{printable(label, 80)}': give texts of two or more classes."
        )
    distinct = [row for label in sorted(found) for row in found[label].values()]
    if number > len(distinct):
        twice = number_of(number - len(distinct), "text")
        warn_of_data(f"'{place}' repeats {twice} of the same class: each is taken once.")
    return distinct


def checked_label(row: Labelled, place: str, *, unlabelled: bool) -> str:
    """The label of a text, which may be missing where texts may be ``unlabelled``."""
    if unlabelled and (row.label is None or not str(row.label).strip()):
        return ""
    return checked_text(row.label, "label", row.where, place)


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


def checked_texts(texts: Iterable[object], name: str, noun: str = "text") -> list[str]:
    """Texts in memory, without white space around them."""
    if isinstance(texts, str):
        raise ValueError(f"{name} is a single text: give a list of texts.")
    if hasattr(texts, "columns"):  # of pandas and others, whose items are the names of their columns
        raise ValueError(f"{name} is a table: give one of its columns, or a list of texts.")
    return [checked_text(text, noun, f"place {place}", name) for place, text in enumerate(texts)]


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
