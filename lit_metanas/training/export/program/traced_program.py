"""A network traced by torch.export, and taken apart into core operations where it has others than this package's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.operations import without_fast_paths
from lit_metanas.training.export.program.program_archive import LARGEST_PROGRAM, read_program

_LONGEST_REASON = 160
"""Characters of PyTorch's words that are passed on."""


class TracedProgram(NamedTuple):
    """A traced network."""

    program: ExportedProgram  # as it was traced
    content: bytes  # of the file
    refusal: str  # why it is not read; empty where it is


def trace_program(network: nn.Module, example: Tensor, shape: Shape, outputs: int, *, each_step: bool) -> TracedProgram:
    """Trace a network for any number of inputs, and write it as ``read_program`` reads it, where it can."""
    with torch.enable_grad(), without_fast_paths(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own parts about each other
        try:
            program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        except Exception as error:  # of many kinds
            raise ValueError(_untraceable(error)) from None
        content = _written(program)
        refusal = _refusal(content, shape, outputs, each_step)
        if refusal:
            with suppress(Exception):  # of many kinds, too: the program stays as it was traced
                content = _written(program.run_decompositions(_decompositions()))
                refusal = _refusal(content, shape, outputs, each_step)
    return TracedProgram(program, content, refusal)


def _decompositions() -> dict[torch._ops.OperatorBase, Callable[..., Any]]:
    """What takes operations apart, but for a pool that would become a view of memory by strides."""
    table = torch.export.default_decompositions()
    table.pop(torch.ops.aten.adaptive_avg_pool2d.default)
    return table


def _written(program: ExportedProgram) -> bytes:
    buffer = BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _refusal(content: bytes, shape: Shape, outputs: int, each_step: bool) -> str:
    """Why a file is not read, which goes on after its name; empty where it is."""
    if len(content) > LARGEST_PROGRAM:
        return f"is larger than {LARGEST_PROGRAM >> 20} MB"
    try:
        read_program(content).check(shape, outputs, each_step=each_step)
    except Exception as error:  # torch raises errors of many kinds for operations that do not fit each other
        if type(error) is ValueError:
            return str(error)
        return f"has a step that fails ({type(error).__name__})"
    return ""


def _untraceable(error: Exception) -> str:
    """A sentence on a network that PyTorch cannot trace."""
    reason = " ".join(str(error).split())
    if "Constraints violated" in reason:
        return (
            "The network takes one number of inputs alone, as `len(inputs)` does in its code: write `inputs.shape[0]`, "
            "or reshape by -1, so that torch.export takes any number."
        )
    return (
        f"torch.export cannot trace the network ({type(error).__name__}: {reason[:_LONGEST_REASON]}): let its code not "
        "branch on numbers in a tensor."
    )
