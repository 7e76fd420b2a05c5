"""What an operation of an exported network takes, and which numbers are refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lit_metanas.training.export.program.argument_checks import is_number

STEP_WORK = 1 << 20
"""Multiply-adds that a step of a recurrence counts for besides its own, as it takes as long."""

REDUCTIONS = frozenset({"amax.default", "argmax.default", "mean.dim", "sum.dim_IntList"})
"""Operations that look at more numbers than they give."""


class StepCost(NamedTuple):
    """Of one operation: numbers that it holds for itself, and multiply-adds."""

    memory: int
    work: int


def operation_cost(operation: str, given: Mapping[str, Any], outputs: Sequence[Tensor]) -> StepCost:
    """What an operation of a space's child takes, from the sizes of its arguments and its outputs."""
    output = outputs[0]
    product = output.numel() * _slowness(given)
    if operation in ("conv1d.default", "conv2d.default"):
        kernel = given["weight"].shape[1:].numel()
        return StepCost(kernel * output.shape[0] * output.shape[2:].numel(), kernel * product)  # unfolded
    if operation == "linear.default":
        return StepCost(0, product * given["weight"].shape[-1])
    if operation == "matmul.default":
        rows, inner, columns = given["self"].shape[-2], given["self"].shape[-1], output.shape[-1]
        # Each matrix may be copied for those that it is multiplied with.
        return StepCost(output.shape[:-2].numel() * inner * (rows + columns), product * inner)
    if operation == "gru.input":
        places = given["input"].shape[:-1].numel()
        weights = sum(own.numel() for own in given["params"])
        gates = 3 * output.shape[-1]
        return StepCost(2 * places * gates, places * (weights + 16 * 4 * gates + STEP_WORK))
    if operation in REDUCTIONS:
        return StepCost(0, 16 * given["self"].numel())
    return StepCost(0, 16 * output.numel() * math.prod(given.get("kernel_size", ())))


def core_cost(operation: str, given: Mapping[str, Any], outputs: Sequence[Tensor]) -> StepCost:
    """What one of torch's core operations takes: each of its inputs may be copied, and each number is looked at."""
    inputs = sum(map(size_of, _tensors(given.values())))
    # The slowest take some 9 ns a number, and sorting 26.
    work = 64 * (inputs + sum(map(size_of, outputs))) * math.prod(given.get("kernel_size", ()))
    match operation:
        case "index_put.default":  # which looks for the places of a mask
            masks = [own for own in _tensors(given["indices"]) if own.dtype == torch.bool]
            return StepCost(inputs + sum(2 * mask.dim() * size_of(mask) for mask in masks), work)
        case "sort.default" | "topk.default":
            return StepCost(inputs, 4 * work)
        case "mm.default" | "bmm.default" | "addmm.default":
            inner = given.get("mat1", given["self"]).shape[-1]
            return StepCost(inputs, work + _slowness(given) * outputs[0].numel() * inner)
        case "_cdist_forward.default":
            return StepCost(inputs, work + 64 * outputs[0].numel() * given["x1"].shape[-1])
        case "convolution.default":
            kernel, places, groups = given["weight"].shape[1:].numel(), outputs[0], 1
            if given["transposed"]:  # which takes time for what lies between the places, too
                places, groups, work = given["input"], given["groups"], work * max(given["stride"] + given["dilation"])
            unfolded = kernel * groups * places.shape[0] * places.shape[2:].numel()
            return StepCost(inputs + unfolded, work + _slowness(given) * kernel * places.numel())
    return StepCost(inputs, work)


def _slowness(given: Mapping[str, Any]) -> int:
    """How many times as long a product takes as one in single precision, at most."""
    if all(own.dtype == torch.float32 for own in _tensors(given.values())):
        return 1
    return 32


def size_of(tensor: Tensor) -> int:
    """How many numbers a tensor has; where it has none, as many as the dimensions would have that are not empty."""
    return math.prod(max(1, length) for length in tensor.shape)


def check_numbers(operation: str, given: Mapping[str, Any]) -> None:
    """Refuse numbers at which PyTorch would read or write outside of a tensor, or be ended by the processor."""
    # Without numbers, on the device ``meta``, all places are inside.
    for indices, entries, lowest in _looked_up(operation, given):
        if indices.dtype not in (torch.int64, torch.int32):
            raise ValueError("looks something up by numbers that are not whole")
        if indices.is_meta or not indices.numel():
            continue
        low, high = (int(number) for number in indices.aminmax())
        if low < lowest or high >= entries:
            wrong = low if low < lowest else high
            raise ValueError(f"looks up entry {wrong} of {entries}")
    if operation.startswith(("_native_batch_norm", "native_group_norm")):
        _check_channels(given)
    if given.get("rounding_mode") == "trunc":
        whole_numbers = not any(own.is_floating_point() for own in _tensors(given.values()))
        if whole_numbers and not (is_number(given["other"]) and given["other"] >= 1):
            raise ValueError("divides whole numbers by others than positive ones")


def _looked_up(operation: str, given: Mapping[str, Any]) -> Iterator[tuple[Tensor, int, int]]:
    """Tensors of places, of how many entries each picks one, and the lowest place."""
    if operation == "embedding.default":
        yield given["indices"], given["weight"].shape[0], 0
    elif operation.startswith(("gather.", "index_select.", "scatter")):
        yield given["index"], given["self"].shape[given["dim"]], 0
    elif operation.startswith(("index.", "index_put.")):
        at = 0
        for indices in given["indices"]:
            # How many numbers a mask takes is not known before; where it puts some, nothing changes its size.
            if indices is not None and indices.dtype == torch.bool and operation == "index_put.default":
                at += indices.dim()
                continue
            if indices is not None:
                yield indices, given["self"].shape[at], -given["self"].shape[at]
            at += 1


def _check_channels(given: Mapping[str, Any]) -> None:
    inputs, channels = given["input"], given["input"].shape[1]
    own = [given[name] for name in ("weight", "bias", "running_mean", "running_var") if given.get(name) is not None]
    if any(tensor.shape != (channels,) or tensor.dtype != inputs.dtype for tensor in own):
        raise ValueError("normalises by other channels than its inputs have")
    if "group" in given and (
        given["N"] != len(inputs)
        or given["C"] != channels
        or given["HxW"] != inputs.shape[2:].numel()
        or channels % given["group"]
    ):
        raise ValueError("normalises groups of other sizes than its inputs have")


def _tensors(arguments: Iterable[object]) -> Iterator[Tensor]:
    for argument in arguments:
        if isinstance(argument, Tensor):
            yield argument
        elif isinstance(argument, list):
            yield from _tensors(argument)
