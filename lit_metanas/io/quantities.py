"""Durations, sizes and numbers as a user writes them; a ValueError names one that is malformed or out of its range."""

from __future__ import annotations

import re
from math import inf
from numbers import Integral, Real

from lit_metanas.io.text import printable, short_value

_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}


def seconds_of(duration: float | str) -> float:
    """A duration in seconds, given as such or as a text with its unit, such as ``5ms``."""
    return _measured(duration, _SECONDS, "no duration: give seconds, or a number with ms, as 5ms.")


def bytes_of(size: float | str, begin: str = "") -> float:
    """A size in bytes, given as such or as a text with its unit, such as ``500kB``; an error begins with ``begin``."""
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
        raise ValueError(f"{name} = {_shown(value)} must be a number above 0.")
    if number > most:
        raise ValueError(f"{name} = {_shown(value)} must be at most {most:g}.")
    return number


def whole_number(name: str, value: object, least: int, most: int) -> int:
    """A whole number in a range, also one of numpy's."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        raise ValueError(f"{name} = {_shown(value)} must be a whole number from {least} to {most:,}.")
    return int(value)


def rounded(number: float) -> float:
    """To twelve digits, as a person can copy them."""
    return float(f"{number:.12g}")


def _shown(value: object) -> str:
    """A value for a sentence; a text, which may look like a number, in quotes."""
    if isinstance(value, str):
        return f"'{printable(value, 40)}'"
    return short_value(value)
