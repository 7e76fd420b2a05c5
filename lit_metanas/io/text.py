"""Small texts: counted nouns, durations, large numbers, the hardware's name; what others wrote, as it may be shown."""

from __future__ import annotations

import html
import os
import platform
import re
import reprlib
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import cache, lru_cache
from numbers import Number
from pathlib import Path

_PASSWORD = re.compile(r"(\b[\w+.-]+://[^\s:/@]*:)[^\s/]+@")

_HARMLESS = (
    "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"
)
"""Parts of words in Persian, Malayalam and others, and of emoji, and spaces, though Python calls them not printable."""

MOST_NAMED = 5
"""Files, folders or classes that a sentence names."""

PREFIXES = ("", "k", "M", "G", "T", "P", "E")


DEBUG = "LIT_METANAS_DEBUG"
"""Environment variable: ``1`` shows tracebacks and all that Lightning says, like ``--debug``."""


def number_of(number: int, noun: str) -> str:
    """``1 query`` or ``2 queries``.

    Args:
        number: how many.
        noun: in the singular; the last word is the one that changes.
    """
    if number == 1:
        return f"1 {noun}"
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{number} {noun}es"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeou" else f"{number} {noun}s"


def first_few(names: Sequence[str]) -> str:
    """The first of several names for a sentence, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that a word is most like, whatever its case; None where it is like none.

    Of names of several words one with the same first word is preferred: ``val_tasks`` means ``val_episodes`` rather
    than ``eval_tasks_per_step``.
    """
    by_case = {name.lower(): name for name in names}
    sought = word.lower()
    first, several, _ = sought.partition("_")

    def likeness(name: str) -> float:
        same = bool(several) and name.startswith(f"{first}_")
        return SequenceMatcher(None, name, sought).ratio() + 0.2 * same

    score, near = max(((likeness(name), name) for name in by_case), default=(0.0, ""))
    return by_case[near] if score >= 0.6 else None


def at_once(inputs: int) -> str:
    """``one input``, ``32 inputs at once``."""
    return "one input" if inputs == 1 else f"{inputs:,} inputs at once"


def short_number(number: int) -> str:
    """A whole number for a sentence, with its first digits where it is long."""
    return str(number) if abs(number) < 10**12 else f"{number:.0e}" if abs(number) < 10**300 else "beyond 1e+300"


def short_value(value: object) -> str:
    """Any value for a sentence, such as one of a damaged file: its first characters, and no deep nest."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else short_number(value)
    return printable(str(value) if isinstance(value, str | Number) else reprlib.repr(value), 80)


def plain_number(number: float) -> str:
    """A number that is read as the same one again, without ``.0``: ``20000``, ``0.005``."""
    short = f"{number:.15g}"
    return short if float(short) == number else repr(float(number))


def is_text(text: str) -> bool:
    """Whether a text can be written in UTF-8. A file's name may have bytes that cannot: Python keeps them apart."""
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def utf8_text(text: str) -> str:
    """The text with escapes for what cannot be written in UTF-8."""
    return text if is_text(text) else text.encode("utf-8", "backslashreplace").decode()


def writable(text: str) -> str:
    """A name of a file for a sentence: see ``utf8_text`` and ``printable``."""
    return printable(utf8_text(text))


_SHORT_WORD = 64
"""Characters of a word that ``unicodedata`` composes fast, whatever they are."""


def composed(text: str) -> str:
    """A text in Unicode's form NFC, in linear time.

    ``unicodedata`` sorts the marks of a letter by insertion, which takes minutes where a letter has 100,000 of them.
    Long runs of marks are therefore sorted before it sees them.
    """
    if text.isascii():
        return text
    # A word composes by itself, as a space never does with its neighbours.
    words = (word if len(word) <= _SHORT_WORD else _mark_runs().sub(_sorted_marks, word) for word in text.split(" "))
    return " ".join(unicodedata.normalize("NFC", word) for word in words)


@cache
def _mark_runs() -> re.Pattern[str]:
    """Several marks behind each other: what belongs to the letter before it, or is made of such."""
    marks = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.combining(character)
        or (unicodedata.decomposition(character) and unicodedata.combining(_decomposed(character)[0]))
    ]
    return re.compile(f"[{''.join(marks)}]{{2,}}")


def _sorted_marks(found: re.Match[str]) -> str:
    return "".join(sorted(_decomposed(found[0]), key=unicodedata.combining))


def _decomposed(marks: str) -> str:
    return "".join(unicodedata.normalize("NFD", mark) for mark in marks)


def without_passwords(text: str) -> str:
    """The text with stars for the password of each address in it, such as that of a data base."""
    return _PASSWORD.sub(r"\1***@", text)


def printable(text: str, longest: int | None = None) -> str:
    """A text of a file that others may have written, without line breaks and codes that a terminal would obey.

    Args:
        text: the text.
        longest: the number of characters beyond which it is cut off; None leaves its length.
    """
    shown = "".join(
        each if each.isprintable() or each in _HARMLESS else "\N{REPLACEMENT CHARACTER}" for each in text[:longest]
    )
    return f"{shown[:-1]}…" if longest is not None and len(text) > longest else shown


_MARKDOWN = re.compile(r"[\\`*_{\[#~$]")
_ADDRESS = re.compile(r"(?i)(?<=[a-z])(?=://)|(?<=www)(?=\.)")
# Of texts in a file more is kept than ``printable`` shows: all but control characters, and marks that turn a line.
_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Wide signs, too, for which some spreadsheets take the narrow ones.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9.,]+(?:[eE][+-]?[0-9]+)?%?")


def markdown_text(text: str, longest: int | None = None) -> str:
    r"""A text that Markdown shows as it is, whatever is in it: no element of HTML, picture, link or formula.

    Args:
        text: the text.
        longest: the number of characters beyond which it is cut off; None leaves its length.

    Example:
        >>> markdown_text("<img src=x> *a* [b](http://c)")
        '&lt;img src=x&gt; \\*a\\* \\[b](http\u200b://c)'
    """
    shown = html.escape(printable(text, longest), quote=False)
    return _ADDRESS.sub("\N{ZERO WIDTH SPACE}", _MARKDOWN.sub(r"\\\g<0>", shown))


def markdown_lines(lines: Sequence[Sequence[str]]) -> str:
    """Rows of plain texts as rows of a Markdown table; the first one is the heading, the second one the ruler."""
    heading, ruler, *rows = lines
    shown = [[markdown_text(cell).replace("|", "\\|") for cell in line] for line in (heading, *rows)]
    return table_lines([shown[0], ruler, *shown[1:]])


def table_lines(lines: Sequence[Sequence[str]]) -> str:
    """Rows of Markdown, such as bold numbers, as rows of a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell_text(text: str) -> str:
    """A text in a cell of CSV, without codes that a terminal would obey, and of which a spreadsheet makes no formula.

    An apostrophe stands before what begins like a formula and is no number.

    Example:
        >>> [cell_text(text) for text in ("=1+1", "@home", "-3.5", "fine")]
        ["'=1+1", "'@home", '-3.5', 'fine']
    """
    shown = _CODES.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
    return f"'{shown}" if _FORMULA.match(shown) and not _NUMBER.fullmatch(shown) else shown


def shorten(text: str, longest: int = 80) -> str:
    """A text that is short enough for a sentence."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def duration(seconds: float) -> str:
    """``0 s`` (below 5 ms), ``0.42 s``, ``12 s``, ``3.4 min``, ``2.1 h``."""
    if seconds < 0.005:
        return "0 s"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def rough(seconds: float) -> str:
    """An estimate of seconds: ``10 s`` at least, ``40 s``, ``3 min``, ``2.1 h``."""
    if seconds < 55:
        return f"{10 * max(round(seconds / 10), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def with_prefix(number: float, exact: bool = False) -> str:
    """Three digits and a prefix: ``0``, ``950``, ``12.3 k``, ``4.56 M``, ``1.00 G``; ``exact`` for ``1 G``."""
    if number == 0:
        return "0"
    power = 0
    while abs(number) >= 999.5 and power < len(PREFIXES) - 1:
        number, power = number / 1000, power + 1
    if exact:
        return f"{number:.3g} {PREFIXES[power]}".strip()
    digits = 0 if abs(number) >= 99.95 or (power == 0 and number == int(number)) else 1 if abs(number) >= 9.995 else 2
    return f"{number:.{digits}f} {PREFIXES[power]}".strip()


@lru_cache(maxsize=1)
def hardware() -> str:
    """Describe the machine in one line: processor, usable cores, accelerator if any, torch's version."""
    import torch  # the command line counts nouns before it needs torch

    parts = [_processor(), number_of(_cores(), "core")]
    if torch.cuda.is_available():
        parts.append(f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return ", ".join([*parts, f"torch {torch.__version__}"])


def _processor() -> str:
    """The processor's model where the system tells it, else its family."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def _cores() -> int:
    """Cores that this process may use, which on a shared machine are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
