"""Short texts for sentences: counted nouns, durations, large numbers, hardware; and foreign text made safe to show."""

from __future__ import annotations

import html
import platform
import re
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby
from numbers import Number
from pathlib import Path

from lit_metanas.io.cores import usable_cores

_PASSWORD = re.compile(r"(\b[\w+.-]+://[^\s:/@]*:)[^\s/]+@")

# Parts of words in Persian, Malayalam and others, of emoji, and spaces; Python counts them as not printable.
_HARMLESS = (
    "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"
)

MOST_NAMED = 5  # files, folders or classes that a sentence names

PREFIXES = ("", "k", "M", "G", "T", "P", "E")

DEBUG = "LIT_METANAS_DEBUG"  # environment variable: `1` shows tracebacks and all that Lightning says, like `--debug`

_FROM_SHELL = ContextVar("_FROM_SHELL", default=False)


@contextmanager
def asked_from_shell() -> Iterator[None]:
    """Within it, sentences spell options as the shell does."""
    before = _FROM_SHELL.set(True)
    try:
        yield
    finally:
        _FROM_SHELL.reset(before)


def option_words(name: str, value: object = None) -> str:
    """An option, with a value if one is given, as who asked writes it: ``--kind rows``, or ``kind='rows'``."""
    if _FROM_SHELL.get():
        return f"--{name}" if value in (None, True) else f"--{name} {value}"
    return f"'{name}'" if value is None else f"{name}={value!r}"


def number_of(number: int, noun: str) -> str:
    """``1 query`` or ``2 queries``; the last word of the singular ``noun`` changes."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith(("s", "x", "ch", "sh")) and noun != "epoch":
        return f"{number} {noun}es"
    if noun.endswith("y") and noun[-2] not in "aeou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}s"


def one_of(noun: str) -> str:
    """``an image`` of ``images``."""
    article = "an" if noun[0] in "aeiou" else "a"
    return f"{article} {noun.removesuffix('s')}"


def first_few(names: Sequence[str]) -> str:
    """The first names for a sentence, and the number of further ones."""
    named = ", ".join(names[:MOST_NAMED])
    if len(names) <= MOST_NAMED:
        return named
    return f"{named} and {len(names) - MOST_NAMED} more"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The most similar name, whatever its case; None if no name is similar."""
    # Names with the same first word are preferred: `val_tasks` means `val_episodes` rather than `eval_tasks_per_step`.
    by_case = {name.lower(): name for name in names}
    sought = word.lower()
    first, several, _ = sought.partition("_")

    def likeness(name: str) -> float:
        return SequenceMatcher(None, name, sought).ratio() + 0.2 * (several != "" and name.startswith(f"{first}_"))

    score, near = max(((likeness(name), name) for name in by_case), default=(0.0, ""))
    return by_case[near] if score >= 0.6 else None


def hint(word: str, names: Iterable[str], otherwise: str) -> str:
    """``did you mean 'x'?`` for the most similar name; something else where no name is similar."""
    near = nearest(word, names)
    return otherwise if near is None else f"did you mean '{near}'?"


def short_number(number: int) -> str:
    """A whole number for a sentence; a long one is rounded."""
    if abs(number) < 10**12:
        return str(number)
    if abs(number) < 10**300:
        return f"{number:.0e}"
    return "beyond 1e+300"


def short_value(value: object) -> str:
    """Any value for a sentence, also from a damaged file: its first characters, without deep nesting."""
    match value:
        case int() if abs(value) >= 10**20:
            return short_number(value)
        case str() | Number():
            return printable(str(value), 80)
    return printable(reprlib.repr(value), 80)


def plain_number(number: float) -> str:
    """A number without ``.0`` that is read as the same number again: ``20000``, ``0.005``."""
    short = f"{number:.15g}"
    if float(short) == number:
        return short
    return repr(float(number))


def is_text(text: str) -> bool:
    """Whether a text can be written in UTF-8; Python marks the bytes of a file's name that cannot."""
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def utf8_text(text: str) -> str:
    """The text, with escapes for characters that UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def writable(text: str) -> str:
    """A file's name for a sentence: see ``utf8_text`` and ``printable``."""
    return printable(utf8_text(text))


def composed(text: str) -> str:
    """A text in Unicode's form NFC, in linear time."""
    if text.isascii():
        return text
    # `unicodedata` sorts the marks of a letter by insertion, which takes minutes for 100,000 marks. Those of long words
    # are therefore sorted first. Each word composes by itself, as a space never composes with its neighbours.
    words = (word if len(word) <= 64 else _with_sorted_marks(word) for word in text.split(" "))
    return " ".join(unicodedata.normalize("NFC", word) for word in words)


def _with_sorted_marks(word: str) -> str:
    """The decomposed word, with the marks of each letter in Unicode's order."""
    letters = "".join(unicodedata.normalize("NFD", letter) for letter in word)
    runs = groupby(letters, key=lambda letter: unicodedata.combining(letter) > 0)
    return "".join(letter for _, run in runs for letter in sorted(run, key=unicodedata.combining))


def without_passwords(text: str) -> str:
    """The text with stars for the password of each address, such as a database's."""
    return _PASSWORD.sub(r"\1***@", text)


def printable(text: str, longest: int | None = None) -> str:
    """A foreign text without line breaks and terminal codes, cut off after ``longest`` characters."""
    shown = "".join(
        each if each.isprintable() or each in _HARMLESS else "\N{REPLACEMENT CHARACTER}" for each in text[:longest]
    )
    if longest is None or len(text) <= longest:
        return shown
    return f"{shown[:-1]}…"


_MARKDOWN = re.compile(r"[\\`*_{\[#~$]")
_ADDRESS = re.compile(r"(?i)(?<=[a-z])(?=://)|(?<=www)(?=\.)")
# A text in a file keeps more than ``printable`` shows: all but control characters, and marks that turn a line.
_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Some spreadsheets read wide signs as narrow ones.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9.,]+(?:[eE][+-]?[0-9]+)?%?")


def markdown_text(text: str, longest: int | None = None) -> str:
    """Foreign text that Markdown shows literally: no HTML, picture, link or formula."""
    shown = html.escape(printable(text, longest), quote=False)
    return _ADDRESS.sub("\N{ZERO WIDTH SPACE}", _MARKDOWN.sub(r"\\\g<0>", shown))


def markdown_lines(lines: Sequence[Sequence[str]]) -> str:
    """Rows of plain texts as a Markdown table; the first row is the heading, the second the ruler."""
    heading, ruler, *rows = lines
    shown = [[markdown_text(cell).replace("|", "\\|") for cell in line] for line in (heading, *rows)]
    return table_lines([shown[0], ruler, *shown[1:]])


def table_lines(lines: Sequence[Sequence[str]]) -> str:
    """Rows of Markdown, such as bold numbers, as rows of a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell_text(text: str) -> str:
    """Text for a cell of CSV: no terminal codes, and an apostrophe before what a spreadsheet takes for a formula."""
    shown = _CODES.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
    if _FORMULA.match(shown) and not _NUMBER.fullmatch(shown):
        return f"'{shown}"
    return shown


def cell_content(cell: str) -> str:
    """The text of a cell that ``cell_text`` made, without the apostrophe that it put before it."""
    if cell.startswith("'") and cell_text(cell[1:]) == cell:
        return cell[1:]
    return cell


def shorten(text: str, longest: int = 80) -> str:
    """A text that is short enough for a sentence."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def duration(seconds: float) -> str:
    """``0 s`` (below 5 ms), ``0.42 s``, ``12 s``, ``3.4 min``, ``2.1 h``."""
    # Each limit is the first number that would be rounded up to another form.
    forms = {0.005: "0 s", 9.95: f"{seconds:.2g} s", 99.5: f"{seconds:.0f} s", 5970: f"{seconds / 60:.1f} min"}
    return next((form for limit, form in forms.items() if seconds < limit), f"{seconds / 3600:.1f} h")


def with_prefix(number: float, exact: bool = False) -> str:
    """Three digits and a prefix: ``0``, ``950``, ``12.3 k``, ``4.56 M``, ``1.00 G``; ``exact`` gives ``1 G``."""
    if number == 0:
        return "0"
    power = 0
    while abs(number) >= 999.5 and power < len(PREFIXES) - 1:
        number, power = number / 1000, power + 1
    if exact:
        return f"{number:.3g} {PREFIXES[power]}".strip()
    digits = (abs(number) < 99.95) + (abs(number) < 9.995)
    if power == 0 and number == int(number):
        digits = 0
    return f"{number:.{digits}f} {PREFIXES[power]}".strip()


@lru_cache(maxsize=1)
def hardware() -> str:
    """The machine in one line: processor, usable cores, accelerator if any, version of torch."""
    import torch  # the command line counts nouns before it needs torch

    parts = [_processor(), number_of(usable_cores(), "core")]
    if torch.cuda.is_available():
        parts.append(f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return ", ".join([*parts, f"torch {torch.__version__}"])


def _processor() -> str:
    """The processor's model if the system reports it, otherwise its family."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown processor"
