"""What an argument of an exported network's operation may be."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Check = Callable[[object], bool]

LONGEST_RECURRENCE = 1 << 14
"""Of a recurrence, which takes its time step by step, on any device."""


def is_tensor(argument: object) -> bool:
    """Whether it is a tensor."""
    return isinstance(argument, Tensor)


def is_maybe_tensor(argument: object) -> bool:
    """Whether it is a tensor, or None."""
    return argument is None or isinstance(argument, Tensor)


def is_matrices(argument: object) -> bool:
    """Whether it is a tensor of shape ``(n, several, rows, columns)``."""
    return isinstance(argument, Tensor) and argument.dim() == 4


def is_series(argument: object) -> bool:
    """Whether it is a tensor of shape ``(n, steps, channels)``, of not too many steps for a recurrence."""
    return isinstance(argument, Tensor) and argument.dim() == 3 and argument.shape[1] <= LONGEST_RECURRENCE


def is_factor(argument: object) -> bool:
    """Whether it is a tensor, or a finite number."""
    return isinstance(argument, Tensor) or is_number(argument)


def is_tensors(argument: object) -> bool:
    """Whether it is a list of tensors, neither empty nor long."""
    return isinstance(argument, list) and 0 < len(argument) <= 1000 and all(map(is_tensor, argument))


def is_number(argument: object) -> bool:
    """Whether it is a finite number."""
    return type(argument) in (int, float) and math.isfinite(argument)  # type: ignore[arg-type]


def is_share(argument: object) -> bool:
    """Whether it is a floating-point number from 0 to 1."""
    return isinstance(argument, float) and 0 <= argument <= 1


def is_flag(argument: object) -> bool:
    """Whether it is a boolean."""
    return type(argument) is bool


def is_scalar(argument: object) -> bool:
    """Whether it is a number, which may be infinite, or a boolean."""
    return type(argument) in (int, float, bool)


def is_moderate(argument: object) -> bool:
    """Whether it is a number small enough that lengths are reckoned exactly with it."""
    return is_number(argument) and abs(argument) <= 1 << 40  # type: ignore[arg-type]


def is_scalars(argument: object) -> bool:
    """Whether it is a list of one to three positive numbers."""
    return isinstance(argument, list) and 0 < len(argument) <= 3 and all(is_number(own) and own > 0 for own in argument)


def is_kind(argument: object) -> bool:
    """Whether it is a kind of numbers."""
    return isinstance(argument, torch.dtype)


def is_places(argument: object) -> bool:
    """Whether it is a list of tensors, some of which may be None."""
    return isinstance(argument, list) and 0 < len(argument) <= 12 and all(map(is_maybe_tensor, argument))


def just(value: bool) -> Check:
    """Whether it is this boolean."""
    return lambda argument: argument is value


def maybe(check: Check) -> Check:
    """Whether it is None, or passes a check."""
    return lambda argument: argument is None or check(argument)


def one_of(*texts: str) -> Check:
    """Whether it is one of some texts."""
    return lambda argument: type(argument) is str and argument in texts


def whole(lowest: int, highest: int) -> Check:
    """Whether it is a whole number of a range."""

    def check(argument: object) -> bool:
        return type(argument) is int and lowest <= argument <= highest

    return check


def wholes(lowest: int, highest: int, *lengths: int) -> Check:
    """Whether it is a list of so many whole numbers of a range."""

    def check(argument: object) -> bool:
        return (
            isinstance(argument, list)
            and len(argument) in lengths
            and all(type(entry) is int and lowest <= entry <= highest for entry in argument)
        )

    return check
