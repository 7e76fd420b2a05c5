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

_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}


def seconds_of(duration: float | str) -> float:
    """A duration in seconds, given as such or as a text with its unit, such as ``5ms``."""
    return _measured(duration, _SECONDS, "no duration: give seconds, or a number with ms, as 5ms.")


def bytes_of(size: float | str, name: str = "") -> float:
    """A size in bytes, given as such or as a text with its unit, such as ``500kB``; a name begins an error."""
    begin = f"auto: {name} = " * bool(name)
    return _measured(size, _BYTES, "no size: give bytes, or a number with kB or MB, as 500kB.", begin)


def _measured(given: object, units: dict[str, float], wrong: str, begin: str = "") -> float:
    try:
        number, unit = re.fullmatch(r"\s*([0-9.eE+-]+)\s*([a-zA-Zµ]*)\s*", str(given)).groups()  # type: ignore[union-attr]
        found = float(number) * units[unit.lower()]
    except (AttributeError, KeyError, ValueError):  # no number, no such unit, or neither
        found = 0.0
    if not 0 < found < inf:
        raise ValueError(f"{begin}'{printable(str(given), 40)}' is {wrong}")
    return found


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
    if name == "records":
        return repr(value)
    if name in ("encoders", "exclude") and isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return f"[{','.join(value)}]" if from_shell else repr([*value])
    if isinstance(value, float):
        return plain_number(value)
    if value is None:
        return "null" if from_shell else "None"  # the shell takes None for a text
    if isinstance(value, Integral):
        return str(value)
    if not isinstance(value, str | os.PathLike):
        return name
    return os.fspath(value) if from_shell else repr(os.fspath(value))


def key_words(name: str, value: str) -> list[str]:
    """A key and its value as words of a command; one word if the value looks like a key."""
    if value.startswith("-"):
        return [f"--{name}={value}"]
    return [f"--{name}", value]
