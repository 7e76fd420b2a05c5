"""What it means that a child fails."""

from __future__ import annotations

FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)
"""What a child raises that cannot be built, does not fit into memory, or whose training diverges."""


def reason_of(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a reason'}"
