"""JSON from files that anyone may have written: size, depth, numbers and texts are bounded."""

from __future__ import annotations

import json
import math
import os
from typing import Any, NoReturn

from lit_metanas.io.files import read_regular
from lit_metanas.io.text import is_text

LARGEST_JSON = 64 << 20  # bytes of a file

# Numbers, texts, lists and objects in a file: each takes up to 70 bytes of memory, whatever it takes in the file.
MOST_JSON_VALUES = 4_000_000

# Levels of lists and objects within each other.
DEEPEST_JSON = 40

LONGEST_TEXT = 10_000  # characters of a text or a name

# The limit of single precision: no measurement exceeds it, and sums of larger squares overflow.
LARGEST_NUMBER = 3.5e38


def read_json(path: str | os.PathLike[str], fix: str, longest: int = LONGEST_TEXT) -> Any:
    """Read a file of JSON; a ValueError names the file and ends in ``fix``."""
    try:
        return parse_json(read_regular(path, LARGEST_JSON), longest)
    except ValueError as error:
        raise ValueError(f"'{os.fspath(path)}' {error}: {fix}.") from None


def parse_json(content: bytes, longest: int = LONGEST_TEXT) -> Any:
    """Parse JSON in UTF-8; the message of a ValueError continues a sentence that begins with the file's name."""
    if len(content) > LARGEST_JSON:
        raise ValueError(f"is larger than {LARGEST_JSON >> 20} MB")
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_JSON_VALUES:
        raise ValueError(f"holds more than {MOST_JSON_VALUES} values")
    try:
        document = json.loads(content.decode(), parse_int=_integer, parse_float=_number, parse_constant=_constant)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):  # not what is beyond a limit
        raise ValueError("is not valid JSON (truncated, or another kind of file)") from None
    _check(document, longest)
    return document


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (value := int(digits)) < 2**63:
        raise ValueError(f"holds a number that is too large ({digits[:10]}…)")
    return value


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value) or abs(value) > LARGEST_NUMBER:
        raise ValueError(f"holds a number that is too large ({digits[:10]}…)")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is not a number")


def _check(document: object, longest: int) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > DEEPEST_JSON:
            raise ValueError(f"is nested deeper than {DEEPEST_JSON} levels")
        inner: list[object] = []
        for value in level:
            match value:
                case list():
                    inner += value
                case dict():
                    inner += (*value.keys(), *value.values())
                case str() if len(value) > longest:
                    raise ValueError(f"holds a text of {len(value)} characters, more than {longest}")
                case str() if not is_text(value):
                    raise ValueError("holds text that is not Unicode")
        level = inner
