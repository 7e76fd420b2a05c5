"""An exported network, run operation by operation from a short list, so that its file can do nothing else."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, TextRowShape, TokenShape, as_shape, describe_shape
from lit_metanas.training.export.program.argument_checks import AllowedArguments, fits
from lit_metanas.training.export.program.core_operations import ARITHMETIC, CORE_OPERATIONS
from lit_metanas.training.export.program.operation_limits import (
    StepCost,
    check_numbers,
    core_cost,
    operation_cost,
    size_of,
)
from lit_metanas.training.export.program.space_operations import ATEN_OPERATIONS

LARGEST_MEMORY = 1 << 26
"""Numbers that are held at once for one input."""

LARGEST_WORK = 1 << 36
"""Multiply-adds for one input; a number that is not multiplied counts as 16, or as 64 in a core operation."""

LONGEST_TRIAL = 10.0
"""Seconds of the processor to find out what a number of inputs takes."""

_TRIALS = (2, 1021)
"""Numbers of inputs: a prime beyond all sizes of a kernel, so that none depends on it."""

FIRST_ALONE: Mapping[str, int] = {
    "gru.input": 2,
    "_native_batch_norm_legit.no_stats": 3,
    "_native_batch_norm_legit_no_training.default": 3,
    "native_group_norm.default": 3,
    "native_layer_norm.default": 3,
}
"""Operations with several outputs, of which networks use the first, and how many there are."""

_LIKE_INPUT = frozenset(
    {
        "batch_norm.default", "group_norm.default", "layer_norm.default", *FIRST_ALONE.keys() - {"gru.input"},
        "_softmax.default", "clamp.default", "elu.default", "gelu.default", "hardtanh.default", "leaky_relu.default",
        "relu.default", "relu6.default", "sigmoid.default", "silu.default", "tanh.default",
    }
)  # fmt: skip
"""Operations with outputs of their input's shape, which PyTorch takes a millisecond to find out without numbers."""

_BROADCAST = frozenset({"add.Tensor", "div.Tensor", "mul.Tensor", "sub.Tensor"})
"""Operations of two inputs, whose outputs have the shape that both are expanded to."""

_COMPARED = frozenset({"eq.Scalar", "gt.Scalar", "ne.Scalar"})
"""Comparisons with a number. Without numbers, PyTorch loads its compiler for them: almost a second."""

_REDUCTIONS = frozenset({"amax.default", "mean.dim", "sum.dim_IntList"})
"""Operations whose outputs lack some axes of their input, or have size 1 there; they load the compiler, too."""

_MAKERS = frozenset({"arange.start_step", "empty.memory_format", "full.default", "scalar_tensor.default"})
"""Operations without inputs, which are given the device."""

_LAYOUT = frozenset({"device", "layout", "memory_format", "non_blocking", "pin_memory"})
"""AllowedArguments of core operations on where and how numbers are kept, which are left out."""

_LARGEST_SIZE = 1 << 40
"""Of a number that is made of sizes."""

Node = tuple[str, dict[str, Any], tuple[str, ...]]
"""An operation, its arguments (tensors and sizes as ``Reference``), and the names of its outputs."""


class Reference(str):
    """The name of a tensor, or of a size."""


class PlainProgram(nn.Module):
    """A network as a list of operations, without a line of code from its file."""

    # `torch.export.load` is no reader for files of others: it unpickles what an archive declares as pickled, evaluates
    # texts, and calls whatever operation a graph names, some of which read and write files or memory of their choice.
    # Here only listed operations are called, with checked arguments, after a trial without numbers (on torch's device
    # `meta`) has shown that they fit each other and how much memory and work an input takes. Core operations may mix
    # inputs, so that each number of inputs has a trial of its own.

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        tensors: Mapping[str, Tensor],
        inputs: str,
        output: str,
        traced_on: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.traced_on = traced_on  # the sizes of the inputs, 0 for an open one
        made = [name for *_, names in nodes for name in names]
        if len({*tensors, inputs, *made}) < len(tensors) + 1 + len(made):
            raise ValueError("gives two tensors the same name")
        self.nodes, self.inputs, self.output = list(nodes), inputs, output
        self.memory = 0
        self.shape: Shape | None = None
        self._scores: tuple[int, int] = (0, 0)
        self._mixes, self._tried = False, set[int]()
        self._names = list(tensors)
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        last = {name: place for place, (*_, names) in enumerate(nodes) for name in names}
        last |= {
            name: place for place, (_, arguments, _) in enumerate(nodes) for name in _references([*arguments.values()])
        }
        self._unused_after: list[list[str]] = [[] for _ in nodes]
        for name, place in last.items():
            if name != output:
                self._unused_after[place].append(name)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of inputs, shape ``(n, *shape)``; of some after the others where memory is short."""
        if self.shape is not None:
            _check_inputs(inputs, self.shape)
        tensors = {name: self.get_buffer(name) for name in self._names}
        if torch.compiler.is_compiling():  # it becomes a part of another program, and was checked before
            return self._traced({**tensors, self.inputs: inputs})
        scores: list[Tensor] = []
        most = len(inputs)
        if self.memory:  # no more than were tried
            most = min(_TRIALS[-1], max(1, LARGEST_MEMORY // self.memory))
        for part in inputs.split(most):
            if self._mixes and self.shape is not None and len(part) not in self._tried:
                self._try(len(part), LARGEST_MEMORY)
            *_, (found, _) = self._steps(part, tensors)
            scores.append(found[self.output])
        return torch.cat(scores)

    @torch.no_grad()
    def check(self, shape: Shape, outputs: int, *, each_step: bool = False) -> None:
        """Try the operations without numbers, then once with them."""
        self.shape, self._scores = shape, (outputs, 2 + each_step)
        for examples in _TRIALS:
            memory = self._try(examples, LARGEST_MEMORY * examples)
            self.memory = max(self.memory, math.ceil(memory / examples))
        if not self(blank_inputs(1, shape)).isfinite().all():
            raise ValueError("gives scores that are not numbers")

    def _traced(self, found: dict[str, Any]) -> Tensor:
        """The output, by operations without any check, whose sizes are symbols."""
        for operation, arguments, names in self.nodes:
            given = {key: _resolve(argument, found) for key, argument in arguments.items() if key not in _LAYOUT}
            overload, _, kind = operation.partition(".")
            if operation in ARITHMETIC:
                made = getattr(operator, kind)(given["a"], given["b"])
            else:
                made = getattr(getattr(torch.ops.aten, overload), kind)(**given)
            found.update(zip(names, made if isinstance(made, tuple | list) else [made], strict=False))
        output: Tensor = found[self.output]
        return output

    def _try(self, examples: int, largest: int) -> int:
        """How many numbers are held at once for some inputs, without computing them."""
        assert self.shape is not None
        tensors = {name: self.get_buffer(name).to("meta") for name in self._names}
        with torch.device("meta"):
            inputs = blank_inputs(examples, self.shape)
        begun, memory, work = time.thread_time(), 0, 0
        found: dict[str, Any] = {}
        for found, cost in self._steps(inputs, tensors):
            held = (own for name, own in found.items() if name not in tensors and isinstance(own, Tensor))
            memory, work = max(memory, sum(map(size_of, held)) + cost.memory), work + cost.work
            if memory > largest or work > LARGEST_WORK * max(1, examples):
                raise ValueError("takes too much memory or time (take smaller inputs, or fewer layers)")
            if time.thread_time() - begun > LONGEST_TRIAL:
                raise ValueError("takes too long to look through")
        size, (outputs, dimensions) = found[self.output].shape, self._scores
        if (size[0], size[-1], len(size)) != (examples, outputs, dimensions):
            raise ValueError(f"gives {tuple(size)} scores for {examples} inputs")
        self._tried.add(examples)
        return memory

    def _steps(self, inputs: Tensor, tensors: Mapping[str, Tensor]) -> Iterator[tuple[dict[str, Any], StepCost]]:
        """All tensors and sizes that are held after each operation, and what it took; the last are the output's."""
        found: dict[str, Any] = {**tensors, self.inputs: inputs}
        for (operation, arguments, names), unused in zip(self.nodes, self._unused_after, strict=True):
            given: dict[str, Any] = {key: _resolve(argument, found) for key, argument in arguments.items()}
            apart = _fit(ATEN_OPERATIONS.get(operation), given)
            self._mixes |= not apart
            if not apart:
                given = {key: argument for key, argument in given.items() if key not in _LAYOUT}
            if not apart and not _fit(CORE_OPERATIONS.get(operation), given):
                raise ValueError(f"calls {operation} with other arguments than an exported network does")
            check_numbers(operation, given)
            made = _outputs(operation, given, inputs.device)
            if len(made) != len(names):
                raise ValueError(f"has an operation of {len(names)} outputs")
            found.update(zip(names, made, strict=True))
            outputs = [own for own in made if isinstance(own, Tensor)]
            yield found, (operation_cost if apart else core_cost)(operation, given, outputs)
            for other in unused:
                found.pop(other, None)


def _fit(known: AllowedArguments | None, given: Mapping[str, Any]) -> bool:
    """Whether an operation is known, and each of its arguments is what it may be."""
    return known is not None and all(key in known and fits(argument, known[key]) for key, argument in given.items())


def _outputs(operation: str, given: Mapping[str, Any], device: torch.device) -> Sequence[Tensor | int]:
    """What an operation gives."""
    if operation in ARITHMETIC:
        number = getattr(operator, operation.removeprefix("_operator."))(given["a"], given["b"])
        if abs(number) > _LARGEST_SIZE:
            raise ValueError("computes a size that is too large")
        return [number]
    if (known := _known_shape(operation, given)) is not None:
        return [known]
    if operation == "view.default":  # whose strides need not be those of the trace
        return [torch.ops.aten.reshape.default(given["self"], given["size"])]
    more: dict[str, Any] = {}
    if operation in _MAKERS:
        more["device"] = device
    if operation == "empty.memory_format":  # memory is never given as it is found
        return [torch.ops.aten.zeros.default(**given, **more)]
    overload, _, kind = operation.partition(".")
    made = getattr(getattr(torch.ops.aten, overload), kind)(**given, **more)
    if operation in FIRST_ALONE:
        return [made[0]]
    if isinstance(made, tuple | list):
        return made
    return [made]


def _known_shape(operation: str, given: Mapping[str, Any]) -> Tensor | None:
    """What an operation gives without numbers, where that is plain; None elsewhere."""
    first, other = given.get("input", given.get("self")), given.get("other")
    if not isinstance(first, Tensor) or not first.is_meta:
        return None
    if operation in _COMPARED:
        return first.new_empty(first.shape, dtype=torch.bool)
    if operation == "bitwise_not.default" and first.dtype == torch.bool:
        return first.new_empty(first.shape)
    if not first.is_floating_point():
        return None
    if operation in _LIKE_INPUT or (operation in _BROADCAST and not isinstance(other, Tensor)):
        return first.new_empty(first.shape)
    if operation in _BROADCAST and isinstance(other, Tensor) and other.dtype == first.dtype:
        return first.new_empty(torch.broadcast_shapes(first.shape, other.shape))
    if operation == "linear.default":
        return _linear_shape(first, given["weight"], given.get("bias"))
    if operation in _REDUCTIONS and given.keys() <= {"self", "dim", "keepdim"}:
        return _reduced_shape(first, given["dim"], keepdim=given.get("keepdim", False))
    if operation == "masked_fill.Scalar" and _can_expand(given["mask"].shape, first.shape):
        return first.new_empty(first.shape)
    return None


def _reduced_shape(inputs: Tensor, axes: Sequence[int], *, keepdim: bool) -> Tensor | None:
    """What a sum over some axes gives without numbers; None for others than those that are counted from the first."""
    if len({*axes} & {*range(inputs.dim())}) < max(1, len(axes)):
        return None
    sizes = [1 if axis in axes else size for axis, size in enumerate(inputs.shape) if keepdim or axis not in axes]
    return inputs.new_empty(sizes)


def _can_expand(part: torch.Size, whole: torch.Size) -> bool:
    """Whether a tensor of one shape can be expanded to another."""
    return len(part) <= len(whole) and all(
        one in (1, all_) for one, all_ in zip(reversed(part), reversed(whole), strict=False)
    )


def _linear_shape(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor | None:
    """What a linear layer gives without numbers; None for parts that do not fit each other, which PyTorch refuses."""
    fits_bias = bias is None or (bias.shape == weight.shape[:1] and bias.dtype == weight.dtype)
    if weight.dim() != 2 or weight.dtype != inputs.dtype or inputs.shape[-1:] != weight.shape[1:] or not fits_bias:
        return None
    return inputs.new_empty((*inputs.shape[:-1], len(weight)))


def _check_inputs(inputs: Tensor, shape: Shape) -> None:
    """Refuse inputs of another shape, and tokens that a network does not know."""
    known = as_shape(shape)
    blank = blank_inputs(0, known)
    size = tuple(blank.shape[1:])
    if tuple(inputs.shape[1:]) != size or inputs.is_floating_point() != blank.is_floating_point():
        raise ValueError(
            f"Inputs of shape {tuple(inputs.shape)} do not fit a network for {describe_shape(shape)}: give the shape "
            f"(n, {', '.join(map(str, size))})."
        )
    tokens = known.split(inputs)[1] if isinstance(known, TextRowShape) else inputs
    if isinstance(known, TokenShape | TextRowShape) and tokens.numel():
        for token in map(int, tokens.aminmax()):
            if not 0 <= token < known.vocabulary:
                raise ValueError(
                    f"There is a token {token}, and the network knows 0 to {known.vocabulary - 1}: use the "
                    "preprocessing that it was trained with."
                )


def _references(argument: object) -> Iterator[str]:
    if isinstance(argument, Reference):
        yield argument
    elif isinstance(argument, list):
        for inner in argument:
            yield from _references(inner)


def _resolve(argument: object, found: Mapping[str, Any]) -> object:
    if isinstance(argument, list):
        return [_resolve(entry, found) for entry in argument]
    if isinstance(argument, Reference):
        return found[argument]
    return argument
