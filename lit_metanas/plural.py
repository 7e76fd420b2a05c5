"""Numbers of things in sentences."""

from __future__ import annotations


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
