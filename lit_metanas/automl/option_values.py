"""Values of options: durations, sizes and numbers as a user writes them, and as a command repeats them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from inspect import Parameter
from math import inf
from numbers import Integral, Real
from typing import Any

from lit_metanas.io.text import plain_number, printable, short_value

_DURATION = re.compile(r"\s*([0-9.eE+-]+)\s*(s|ms|us|µs|)\s*")
_SIZE = re.compile(r"\s*([0-9.eE+-]+)\s*([kKmMgG]?[bB]|)\s*")
_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}


def seconds_of(duration: float | str) -> float:
    """A duration in seconds, given as such or as a text with its unit, such as ``5ms``."""
    if not 0 < (seconds := _measured(duration, _DURATION, _SECONDS)) < inf:
        raise ValueError(f"'{printable(str(duration), 40)}' is no duration: give seconds, or a number with ms, as 5ms.")
    return seconds


def milliseconds(seconds: float) -> str:
    """A duration as a text that ``seconds_of`` reads as the same one, such as ``5ms``."""
    text = f"{plain_number(1000 * seconds)}ms"
    if seconds_of(text) == seconds:
        return text
    return plain_number(seconds)


def bytes_of(size: float | str, name: str = "") -> float:
    """A size in bytes, given as such or as a text with its unit, such as ``500kB`` or ``2MB``.

    The message of the error begins with a name, if there is one.
    """
    if not 0 < (number := _measured(size, _SIZE, _BYTES)) < inf:
        begin = f"auto: {name} = " * bool(name)
        raise ValueError(
            f"{begin}'{printable(str(size), 40)}' is no size: give bytes, or a number with kB or MB, as 500kB."
        )
    return number


def positive(name: str, value: object, most: float = inf) -> float:
    """A number above 0, also one of numpy's; the name begins the message of the error."""
    try:
        number = float(value) if isinstance(value, Real) else 0.0
    except OverflowError:
        number = inf
    if not 0 < number < inf:
        raise ValueError(f"{name} = {shown(value)} must be a number above 0.")
    if number > most:
        raise ValueError(f"{name} = {shown(value)} must be at most {most:g}.")
    return number


def whole_number(name: str, value: object, least: int, most: int) -> int:
    """A whole number in a range, also one of numpy's."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        raise ValueError(f"{name} = {shown(value)} must be a whole number from {least} to {most:,}.")
    return int(value)


def several(given: Any) -> tuple[Any, ...]:
    """One value or several."""
    if isinstance(given, Sequence) and not isinstance(given, str):
        return tuple(given)
    return (given,)


def _measured(given: object, pattern: re.Pattern[str], units: dict[str, float]) -> float:
    """A number with a unit; 0 if it is none."""
    found = pattern.fullmatch(str(given))
    if found is None:
        return 0.0
    try:
        return float(found[1]) * units[found[2].lower()]
    except ValueError:
        return 0.0


def shown(value: object) -> str:
    """A value for a sentence; a text, which may look like a number, in quotes."""
    if isinstance(value, str):
        return f"'{printable(value, 40)}'"
    return short_value(value)


def default_text(default: object) -> str:
    """The end of a line of help."""
    if default is Parameter.empty:
        return " (must be given)"
    if default is None:
        return ""
    return f" (default: {str(default).lower()})"


def word_of(name: str, value: object, from_shell: bool) -> str:
    """The value of an option in a command or a call."""
    if name == "max_latency" and isinstance(value, float):
        value = milliseconds(value)
    elif name == "records":
        return repr(value)
    elif name in ("encoders", "exclude") and isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return f"[{','.join(value)}]" if from_shell else repr([*value])
    elif isinstance(value, float):
        return plain_number(value)
    elif value is None:
        return "null" if from_shell else "None"  # the shell takes None for a text
    elif isinstance(value, Integral):
        return str(value)
    if not isinstance(value, str | os.PathLike):
        return name
    return os.fspath(value) if from_shell else repr(os.fspath(value))


def key_words(name: str, value: str) -> list[str]:
    """A key and its value as words of a command; one word if the value looks like a key."""
    if value.startswith("-"):
        return [f"--{name}={value}"]
    return [f"--{name}", value]
