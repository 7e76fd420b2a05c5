"""What all processes have made."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import distributed

T = TypeVar("T")


def gathered(mine: list[T]) -> list[T]:
    """The lists of all processes joined, that of the first one first."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return mine
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, mine)
    return [each for own in found for each in own]
