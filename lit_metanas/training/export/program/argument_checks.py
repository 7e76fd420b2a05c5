"""What an argument of an exported network's operation may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

LONGEST_RECURRENCE = 1 << 14
"""Of a recurrence, which takes its time step by step, on any device."""


class Listed(NamedTuple):
    """A list of so many arguments of one kind."""

    of: Allowed
    lengths: Container[int]


Allowed = (
    None
    | bool
    | range
    | frozenset[str]
    | type[Tensor | torch.dtype | bool | int | float]
    | Callable[[object], bool]
    | Listed
    | tuple["Allowed", ...]
)
"""A value, whole numbers of a range, texts, instances of a class, what passes a function, a list, or any of several."""

AllowedArguments = Mapping[str, Allowed]


def fits(argument: object, allowed: Allowed) -> bool:
    """Whether an argument is what it may be."""
    match allowed:
        case None | bool():
            return argument is allowed
        case range():
            return type(argument) is int and argument in allowed
        case frozenset():
            return isinstance(argument, str) and argument in allowed
        case Listed():
            return (
                isinstance(argument, list)
                and len(argument) in allowed.lengths
                and all(fits(own, allowed.of) for own in argument)
            )
        case tuple():
            return any(fits(argument, one) for one in allowed)
        case type():
            return isinstance(argument, allowed)
    return allowed(argument)


def table(families: Mapping[str, AllowedArguments]) -> dict[str, AllowedArguments]:
    """The arguments of each operation; a family is the names of operations that have the same ones."""
    return {
        name if "." in name else f"{name}.default": arguments
        for names, arguments in families.items()
        for name in names.split()
    }


def is_number(argument: object) -> bool:
    """Whether it is a finite number."""
    return type(argument) in (int, float) and math.isfinite(argument)  # type: ignore[arg-type]


def is_positive(argument: object) -> bool:
    """Whether it is a finite number above 0."""
    return is_number(argument) and argument > 0  # type: ignore[operator]


def is_share(argument: object) -> bool:
    """Whether it is a floating-point number from 0 to 1."""
    return isinstance(argument, float) and 0 <= argument <= 1


def is_moderate(argument: object) -> bool:
    """Whether it is a number small enough that lengths are computed exactly with it."""
    return is_number(argument) and abs(argument) <= 1 << 40  # type: ignore[arg-type]


def is_matrices(argument: object) -> bool:
    """Whether it is a tensor of shape ``(n, several, rows, columns)``."""
    return isinstance(argument, Tensor) and argument.dim() == 4


def is_series(argument: object) -> bool:
    """Whether it is a tensor of shape ``(n, steps, channels)``, of not too many steps for a recurrence."""
    return isinstance(argument, Tensor) and argument.dim() == 3 and argument.shape[1] <= LONGEST_RECURRENCE


TENSOR_OR_NUMBER: Allowed = (Tensor, is_number)
MAYBE_TENSOR: Allowed = (Tensor, None)
SCALAR: Allowed = (int, float)
TENSORS = Listed(Tensor, range(1, 1001))
