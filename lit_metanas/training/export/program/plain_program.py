"""An exported network, run operation by operation from a list of names, so that its file can do nothing else."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, TextRowShape, TokenShape, as_shape, describe_shape
from lit_metanas.training.export.program.program_operations import ARITHMETIC

AT_ONCE = 64
"""Inputs that are run at once, which bounds the memory."""

LARGEST_TENSOR = 1 << 28
"""Numbers of a tensor in a program's check, which has up to three inputs."""

_MAKERS = frozenset({"arange.start_step", "empty.memory_format", "full.default", "scalar_tensor.default"})
"""Operations without inputs, which are given the device."""

_LAYOUT = frozenset({"device", "layout", "memory_format", "non_blocking", "pin_memory"})
"""Arguments on where and how numbers are kept, which are left out."""

Node = tuple[str, dict[str, Any], tuple[str, ...]]
"""An operation, its arguments (tensors and sizes as ``Reference``), and the names of its outputs."""


class Reference(str):
    """The name of a tensor, or of a size."""


class PlainProgram(nn.Module):
    """A network as a list of operations, without a line of code from its file."""

    # `torch.export.load` is no reader for files of others: it unpickles what an archive declares as pickled, evaluates
    # texts, and calls whatever operation a graph names, some of which read and write files or memory of their choice.

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
        self.shape: Shape | None = None
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
        """Scores of inputs, shape ``(n, *shape)``, some at once."""
        if self.shape is not None:
            _check_inputs(inputs, self.shape)
        if torch.compiler.is_compiling():  # it becomes a part of another program
            return self._run(inputs)
        return torch.cat([self._run(part) for part in inputs.split(AT_ONCE)])

    @torch.no_grad()
    def check(self, shape: Shape, outputs: int, *, each_step: bool = False) -> None:
        """Run the operations on a few inputs; raises ValueError, or what torch raises, where they do not fit."""
        self.shape = shape
        for examples in (2, 3):
            scores = self._run(blank_inputs(examples, shape), LARGEST_TENSOR)
            size = tuple(scores.shape)
            if (size[0], size[-1], len(size)) != (examples, outputs, 2 + each_step):
                raise ValueError(f"gives {size} scores for {examples} inputs")
        if not scores.isfinite().all():
            raise ValueError("gives scores that are not numbers")

    def _run(self, inputs: Tensor, largest: int | None = None) -> Tensor:
        """The output for some inputs; what is no longer needed is let go."""
        found: dict[str, Any] = {name: self.get_buffer(name) for name in self._names}
        found[self.inputs] = inputs
        for (operation, arguments, names), unused in zip(self.nodes, self._unused_after, strict=True):
            given = {key: _resolve(argument, found) for key, argument in arguments.items() if key not in _LAYOUT}
            made = _outputs(operation, given, inputs.device)
            if largest is not None and any(isinstance(own, Tensor) and own.numel() > largest for own in made):
                raise ValueError("takes too much memory (take smaller inputs, or fewer layers)")
            found.update(zip(names, made, strict=True))
            for other in unused:
                found.pop(other, None)
        output: Tensor = found[self.output]
        return output


def _outputs(operation: str, given: dict[str, Any], device: torch.device) -> Sequence[Any]:
    """What an operation gives."""
    if operation in ARITHMETIC:
        return [getattr(operator, operation.removeprefix("_operator."))(given["a"], given["b"])]
    if operation.startswith(("_native_batch_norm", "native_group_norm")):
        _check_channels(given)
    if operation in _MAKERS:
        given["device"] = device
    if operation == "view.default":  # whose strides need not be those of the trace
        return [given["self"].reshape(given["size"])]
    if operation == "empty.memory_format":  # memory is never given as it is found
        return [torch.ops.aten.zeros.default(**given)]
    overload, _, kind = operation.partition(".")
    made = getattr(getattr(torch.ops.aten, overload), kind)(**given)
    if isinstance(made, tuple | list):
        return made
    return [made]


def _check_channels(given: Mapping[str, Any]) -> None:
    """Refuse sizes at which PyTorch would read outside of a tensor."""
    inputs, channels = given["input"], given["input"].shape[1]
    own = [given[name] for name in ("weight", "bias", "running_mean", "running_var") if given.get(name) is not None]
    if any(tensor.shape != (channels,) or tensor.dtype != inputs.dtype for tensor in own):
        raise ValueError("normalises by other channels than its inputs have")
    if "group" in given and (
        given["N"] != inputs.shape[0]
        or given["C"] != channels
        or given["HxW"] != inputs.shape[2:].numel()
        or channels % given["group"]
    ):
        raise ValueError("normalises groups of other sizes than its inputs have")


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
