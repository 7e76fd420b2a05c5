"""What the arguments of an exported network's operations may be, and what an operation takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

Check = Callable[[object], bool]

LONGEST_RECURRENCE = 1 << 14
"""Of a recurrence, which takes its time step by step, on any device."""

STEP_WORK = 1 << 20
"""Multiply-adds that a step of a recurrence counts for besides its own, as it takes as long."""

REDUCTIONS = frozenset({"amax.default", "argmax.default", "mean.dim", "sum.dim_IntList"})
"""Operations that look at more numbers than they give."""


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


def just(value: bool) -> Check:
    """Whether it is this boolean."""
    return lambda argument: argument is value


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


class StepCost(NamedTuple):
    """Of one operation: numbers that it holds for itself, and multiply-adds."""

    memory: int
    work: int


def operation_cost(operation: str, given: Mapping[str, Any], output: Tensor) -> StepCost:
    """What an operation takes, from the sizes of its arguments and its output."""
    if operation in ("conv1d.default", "conv2d.default"):
        kernel = given["weight"].shape[1:].numel()
        return StepCost(kernel * output.shape[0] * output.shape[2:].numel(), kernel * output.numel())  # unfolded
    if operation == "linear.default":
        return StepCost(0, output.numel() * given["weight"].shape[-1])
    if operation == "matmul.default":
        rows, inner, columns = given["self"].shape[-2], given["self"].shape[-1], output.shape[-1]
        # Each matrix may be copied for those that it is multiplied with.
        return StepCost(output.shape[:-2].numel() * inner * (rows + columns), output.numel() * inner)
    if operation == "gru.input":
        places = given["input"].shape[:-1].numel()
        weights = sum(own.numel() for own in given["params"])
        gates = 3 * output.shape[-1]
        return StepCost(2 * places * gates, places * (weights + 16 * 4 * gates + STEP_WORK))
    if operation in REDUCTIONS:
        return StepCost(0, 16 * given["self"].numel())
    return StepCost(0, 16 * output.numel() * math.prod(given.get("kernel_size", ())))


def check_indices(operation: str, given: Mapping[str, Any]) -> None:
    """Refuse to look up what lies outside of a table; without numbers, on the device ``meta``, all is inside.

    Raises:
        ValueError: an index does, or is no whole number.
    """
    if operation == "embedding.default":
        indices, entries = given["indices"], given["weight"].shape[0]
    elif operation == "gather.default":
        indices, entries = given["index"], given["self"].shape[given["dim"]]
    else:
        return
    if indices.is_floating_point() or indices.is_complex():
        raise ValueError("looks something up by numbers that are not whole")
    if indices.is_meta or not indices.numel():
        return
    low, high = (int(number) for number in indices.aminmax())
    if low < 0 or high >= entries:
        raise ValueError(f"looks up entry {low if low < 0 else high} of {entries}")
