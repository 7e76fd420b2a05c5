"""An exported network, run operation by operation from a short list, so that its file can do nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, TokenShape, as_shape, describe_shape
from lit_metanas.training.export.operation_limits import (
    Check,
    StepCost,
    check_indices,
    is_factor,
    is_flag,
    is_matrices,
    is_maybe_tensor,
    is_number,
    is_series,
    is_share,
    is_tensor,
    is_tensors,
    just,
    operation_cost,
    whole,
    wholes,
)

LARGEST_MEMORY = 1 << 26
"""Numbers that are held at once for one input."""

LARGEST_WORK = 1 << 36
"""Multiply-adds for one input; a number that is not multiplied counts as 16, as it takes as long."""

_TRIALS = (2, 1021)
"""Numbers of inputs: a prime beyond all sizes of a kernel, so that none depends on it."""

_SELF = {"self": is_tensor}
_SIZE, _STRIDE, _MARGIN = wholes(1, 255, 2), wholes(1, 255, 0, 2), wholes(0, 255, 2)
_POOL = {**_SELF, "kernel_size": _SIZE, "stride": _STRIDE, "padding": _MARGIN, "ceil_mode": is_flag}
_STEP_SIZE, _STEP_MARGIN = wholes(1, 255, 1), wholes(0, 255, 1)
_STEP_POOL = {
    **_SELF,
    "kernel_size": _STEP_SIZE,
    "stride": _STEP_SIZE,
    "padding": _STEP_MARGIN,
    "ceil_mode": is_flag,
}
_KERNEL = {"input": is_tensor, "weight": is_tensor, "bias": is_maybe_tensor}
_NORM = {"input": is_tensor, "weight": is_maybe_tensor, "bias": is_maybe_tensor, "eps": is_share}
_LARGEST = 1 << 16
_COUNT, _BEYOND_BATCH, _AXES = whole(1, _LARGEST), whole(1, 3), wholes(1, 2, 1)

ATEN_OPERATIONS: Mapping[str, Mapping[str, Check]] = {
    "add.Tensor": {"self": is_tensor, "other": is_tensor},
    "amax.default": {**_SELF, "dim": _AXES},
    "argmax.default": {**_SELF, "dim": whole(2, 2)},
    "avg_pool1d.default": _STEP_POOL,
    "avg_pool2d.default": {**_POOL, "count_include_pad": is_flag},
    "batch_norm.default": {
        **_NORM,
        "cudnn_enabled": is_flag,
        "running_mean": is_tensor,
        "running_var": is_tensor,
        "training": just(False),
        "momentum": is_share,
    },
    "bitwise_not.default": _SELF,
    "cat.default": {"tensors": is_tensors, "dim": _BEYOND_BATCH},
    "clamp.default": {**_SELF, "min": is_number},
    "conv1d.default": {
        **_KERNEL,
        "stride": _STEP_SIZE,
        "padding": _STEP_MARGIN,
        "dilation": _STEP_SIZE,
        "groups": _COUNT,
    },
    "conv2d.default": {**_KERNEL, "stride": _SIZE, "padding": _MARGIN, "dilation": _SIZE, "groups": _COUNT},
    "cumsum.default": {**_SELF, "dim": whole(1, 2)},
    "div.Tensor": {"self": is_tensor, "other": is_tensor},
    "dropout.default": {"input": is_tensor, "p": is_share, "train": just(False)},
    "elu.default": {**_SELF, "alpha": is_share},
    "embedding.default": {"weight": is_tensor, "indices": is_tensor},
    "eq.Scalar": {**_SELF, "other": whole(0, 0)},
    "expand.default": {**_SELF, "size": wholes(-1, _LARGEST, 3)},
    "feature_dropout.default": {"input": is_tensor, "p": is_share, "train": just(False)},
    "flatten.using_ints": {**_SELF, "start_dim": _BEYOND_BATCH},
    "gather.default": {**_SELF, "dim": whole(1, 1), "index": is_tensor},
    "gelu.default": _SELF,
    "glu.default": {**_SELF, "dim": whole(1, 1)},
    "group_norm.default": {**_NORM, "cudnn_enabled": is_flag, "num_groups": _COUNT},
    "gru.input": {
        "input": is_series,
        "hx": is_tensor,
        "params": is_tensors,
        "has_biases": just(True),
        "num_layers": whole(1, 1),
        "dropout": is_share,
        "train": just(False),
        "bidirectional": just(False),
        "batch_first": just(True),
    },
    "gt.Scalar": {**_SELF, "other": whole(0, 0)},
    "layer_norm.default": {**_NORM, "normalized_shape": wholes(1, _LARGEST, 1), "cudnn_enable": is_flag},
    "leaky_relu.default": _SELF,
    "linear.default": _KERNEL,
    "masked_fill.Scalar": {**_SELF, "mask": is_tensor, "value": is_number},
    "matmul.default": {"self": is_matrices, "other": is_matrices},
    "max_pool1d.default": {**_STEP_POOL, "dilation": _STEP_SIZE},
    "max_pool2d.default": {**_POOL, "dilation": _SIZE},
    "mean.dim": {**_SELF, "dim": wholes(2, 3, 2)},
    "mul.Tensor": {**_SELF, "other": is_factor},
    "ne.Scalar": {**_SELF, "other": whole(0, 0)},
    "ones_like.default": {**_SELF, "pin_memory": just(False)},
    "pad.default": {**_SELF, "pad": wholes(0, 255, 2, 4)},
    "relu.default": _SELF,
    "relu6.default": _SELF,
    "remainder.Scalar": {**_SELF, "other": whole(1, 1 << 31)},
    "select.int": {**_SELF, "dim": _BEYOND_BATCH, "index": whole(-1, 255)},
    "sigmoid.default": _SELF,
    "silu.default": _SELF,
    "slice.Tensor": {
        **_SELF,
        "dim": whole(0, 3),
        "start": whole(0, 255),
        "end": whole(1, 2**63 - 1),
        "step": whole(1, 255),
    },
    "softmax.int": {**_SELF, "dim": _BEYOND_BATCH},
    "sub.Tensor": {"self": is_tensor, "other": is_tensor},
    "sum.dim_IntList": {**_SELF, "dim": _AXES, "keepdim": is_flag},
    "tanh.default": _SELF,
    "transpose.int": {**_SELF, "dim0": _BEYOND_BATCH, "dim1": _BEYOND_BATCH},
    "unflatten.int": {**_SELF, "dim": whole(2, 2), "sizes": wholes(1, _LARGEST, 2, 3)},
    "unsqueeze.default": {**_SELF, "dim": whole(0, 2)},
    "zeros_like.default": {**_SELF, "pin_memory": just(False)},
}
"""The operations of the children of this package's spaces, and what each argument may be."""

_LIKE_INPUT = ("batch_norm.default", "group_norm.default", "layer_norm.default")
"""Operations with outputs of their input's shape, which PyTorch takes a millisecond to find out without numbers."""

Node = tuple[str, dict[str, Any], str]
"""An operation, its arguments (tensors as ``Reference``), and the name of its output."""


class Reference(str):
    """The name of a tensor."""


class PlainProgram(nn.Module):
    """A network as a list of operations, without a line of code from its file.

    ``torch.export.load`` is no reader for files of others: it unpickles what an archive declares as pickled, evaluates
    texts, and calls whatever operation a graph names, some of which read and write files or memory of their choice.
    Here only ``ATEN_OPERATIONS`` are called, with checked arguments, after a trial without numbers (on torch's device
    ``meta``) has shown that they fit each other and how much memory and work an input takes. What is
    looked up in a table is looked at before, each time.

    Args:
        nodes: the operations in order; each uses the inputs, the tensors and outputs of those before it.
        tensors: weights and statistics by name.
        inputs: the name of the inputs.
        output: the name of what is returned.

    Attributes:
        memory: numbers that are held at once for one input, once ``check`` has run.

    Raises:
        ValueError: two tensors have one name, so that the memory of one would not be counted.

    Example:
        >>> nodes = [("relu.default", {"self": Reference("inputs")}, "relu")]
        >>> PlainProgram(nodes, tensors={}, inputs="inputs", output="relu")(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def __init__(self, nodes: Sequence[Node], *, tensors: Mapping[str, Tensor], inputs: str, output: str) -> None:
        super().__init__()
        if len({*tensors, inputs, *(made for *_, made in nodes)}) < len(tensors) + 1 + len(nodes):
            raise ValueError("gives two tensors the same name")
        self.nodes, self.inputs, self.output = list(nodes), inputs, output
        self.memory = 0
        self.shape: Shape | None = None
        self._names = list(tensors)
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        last = {name: place for place, (_, arguments, _) in enumerate(nodes) for name in _references(arguments)}
        self._unused_after: list[list[str]] = [[] for _ in nodes]
        for name, place in last.items():
            if name != output:
                self._unused_after[place].append(name)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of inputs, shape ``(n, *shape)``; of some after the others where memory is short.

        Raises:
            ValueError: the inputs are of another shape than the program was checked for, or there are other tokens.
        """
        if self.shape is not None:
            _check_inputs(inputs, self.shape)
        tensors = {name: self.get_buffer(name) for name in self._names}
        scores: list[Tensor] = []
        # No more than were tried.
        most = min(_TRIALS[-1], max(1, LARGEST_MEMORY // self.memory)) if self.memory else len(inputs)
        for part in inputs.split(most):
            *_, (found, _) = self._steps(part, tensors)
            scores.append(found[self.output])
        return torch.cat(scores) if len(scores) > 1 else scores[0]

    @torch.no_grad()
    def check(self, shape: Shape, outputs: int, *, each_step: bool = False) -> None:
        """Try the operations without numbers, then once with them.

        Args:
            shape: of one input.
            outputs: how many scores there are to be.
            each_step: whether there are so many of each step, ``(n, steps, outputs)``.

        Raises:
            ValueError: it takes too much memory or work, or has another output than ``(n, outputs)``.
            Exception: of any kind, by torch, for operations that do not fit each other.
        """
        tensors = {name: self.get_buffer(name).to("meta") for name in self._names}
        for examples in _TRIALS:
            memory = work = 0
            found: dict[str, Tensor] = {}
            for found, cost in self._steps(_without_numbers(examples, shape), tensors):
                own = sum(tensor.numel() for name, tensor in found.items() if name not in tensors)
                memory, work = max(memory, own + cost.memory), work + cost.work
                if memory > LARGEST_MEMORY * examples or work > LARGEST_WORK * examples:
                    raise ValueError("takes too much memory or time for one input")
            size = found[self.output].shape
            if (size[0], size[-1], len(size)) != (examples, outputs, 3 if each_step else 2):
                raise ValueError(f"gives {tuple(size)} scores for {examples} inputs")
            self.memory = math.ceil(memory / examples)
        self.shape = shape
        if not self(blank_inputs(1, shape)).isfinite().all():
            raise ValueError("gives scores that are not numbers")

    def _steps(self, inputs: Tensor, tensors: Mapping[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], StepCost]]:
        """All tensors that are held after each operation, and what it took; the last are the output's."""
        found = {**tensors, self.inputs: inputs}
        for (operation, arguments, name), unused in zip(self.nodes, self._unused_after, strict=True):
            given: dict[str, Any] = {key: _resolve(argument, found) for key, argument in arguments.items()}
            checks = ATEN_OPERATIONS[operation]
            if not all(key in checks and checks[key](argument) for key, argument in given.items()):
                raise ValueError(f"calls {operation} with other arguments than an exported network does")
            check_indices(operation, given)
            if operation in _LIKE_INPUT and given["input"].is_meta:
                found[name] = torch.empty_like(given["input"])
            else:
                overload, _, kind = operation.partition(".")
                made = getattr(getattr(torch.ops.aten, overload), kind)(**given)
                found[name] = made[0] if isinstance(made, tuple) else made
            yield found, operation_cost(operation, given, found[name])
            for other in unused:
                found.pop(other, None)


def _without_numbers(examples: int, shape: Shape) -> Tensor:
    if isinstance(shape, TokenShape):
        return torch.empty(examples, shape.steps, dtype=torch.int64, device="meta")
    return torch.empty(examples, *shape, device="meta")


def _check_inputs(inputs: Tensor, shape: Shape) -> None:
    """Refuse inputs of another shape, and tokens that a network does not know.

    Raises:
        ValueError: they are such.
    """
    known = as_shape(shape)
    size = (known.steps,) if isinstance(known, TokenShape) else tuple(known)
    if tuple(inputs.shape[1:]) != size or inputs.is_floating_point() == isinstance(known, TokenShape):
        raise ValueError(
            f"Inputs of shape {tuple(inputs.shape)} do not fit a network for {describe_shape(shape)}: give the shape "
            f"(n, {', '.join(map(str, size))})."
        )
    if isinstance(known, TokenShape) and inputs.numel():
        low, high = (int(number) for number in inputs.aminmax())
        if low < 0 or high >= known.vocabulary:
            raise ValueError(
                f"There is a token {low if low < 0 else high}, and the network knows 0 to {known.vocabulary - 1}: use "
                "the preprocessing that it was trained with."
            )


def _references(argument: object) -> Iterator[str]:
    if isinstance(argument, Reference):
        yield argument
    elif isinstance(argument, dict | list):
        for inner in argument.values() if isinstance(argument, dict) else argument:
            yield from _references(inner)


def _resolve(argument: object, found: Mapping[str, Tensor]) -> object:
    if isinstance(argument, list):
        return [_resolve(entry, found) for entry in argument]
    return found[argument] if isinstance(argument, Reference) else argument
