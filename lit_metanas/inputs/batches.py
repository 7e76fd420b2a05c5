"""Batches of inputs: their masks, padding, layout and values."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.inputs.shapes import (
    PADDING,
    ImageShape,
    RowShape,
    SeriesShape,
    Shape,
    TextRowShape,
    TokenShape,
    as_shape,
)

BRIGHTEST = 10.0  # no image scaled to [0, 1] has a larger value; one from 0 to 255 nearly always has


def blank_inputs(examples: int, shape: Shape) -> Tensor:
    """Inputs of zeros, or of the first token, without padding: what the cost of a network is counted on."""
    found = as_shape(shape)
    if isinstance(found, TokenShape):
        return torch.ones(examples, found.steps, dtype=torch.int64)
    if isinstance(found, TextRowShape):
        return torch.cat([blank_inputs(examples, found.row), blank_inputs(examples, found.text)], 1)
    inputs = torch.zeros(examples, *found)
    if isinstance(found, SeriesShape):
        # The mask: without it all steps would be padding, which some networks leave out.
        inputs[:, -1] = 1
    return inputs


def input_size(shape: Shape) -> tuple[int, ...]:
    """The sizes of one input as a tensor."""
    return tuple(blank_inputs(0, shape).shape[1:])


def float_type(inputs: Tensor) -> torch.dtype:
    """The precision of a network for some inputs: theirs, and the default one for tokens."""
    if inputs.is_floating_point():
        return inputs.dtype
    return torch.get_default_dtype()


def float32(device: torch.device) -> AbstractContextManager[object]:
    """What losses, distances, second derivatives and augmentation run in: no autocast."""
    return torch.autocast(device.type, enabled=False)


def at_least_float32(outputs: Tensor) -> Tensor:
    """Features or scores of bf16 in float32; others as they are."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


def as_floats(inputs: Tensor) -> Tensor:
    """Images of 8 bits as float32 in [0, 1]; other inputs as they are."""
    if inputs.dtype == torch.uint8:
        return inputs.float().div_(255)
    return inputs


def inputs_like(inputs: Tensor, like: Tensor) -> Tensor:
    """Inputs on another tensor's device and of its precision; tokens stay whole numbers."""
    inputs = as_floats(inputs)
    if inputs.is_floating_point():
        return inputs.to(like)
    return inputs.to(like.device)


def channels_last(inputs: Tensor) -> Tensor:
    """Images laid out with their channels last, which convolutions are fastest on; other kinds stay as they are."""
    if inputs.dim() != 4:
        return inputs
    return inputs.contiguous(memory_format=torch.channels_last)


def step_mask(inputs: Tensor) -> Tensor:
    """Which steps lie within an example, shape ``(n, steps)``, bool."""
    if inputs.dim() == 3:
        return inputs[:, -1] > 0
    return inputs != PADDING


def has_steps(inputs: Tensor) -> bool:
    """Whether inputs are series or tokens, which may end before the others of a batch do."""
    return inputs.dim() == 3 or (inputs.dim() == 2 and not inputs.is_floating_point())


def trim_steps(inputs: Tensor) -> Tensor:
    """Leave out the steps behind the end of all examples; one stays. Other kinds of input stay as they are."""
    if not has_steps(inputs) or not inputs.shape[-1]:
        return inputs
    within = step_mask(inputs).any(0)
    within[0] = True
    return inputs[..., : int(within.nonzero().max()) + 1]


def shortened(inputs: Tensor) -> Tensor:
    """What ``trim_steps`` leaves, but in exported programs and under vmap, where sizes cannot depend on values."""
    if not torch.compiler.is_compiling():
        with suppress(RuntimeError):
            return trim_steps(inputs)
    return inputs


def join_inputs(parts: Sequence[Tensor]) -> Tensor:
    """The inputs of several parts as one, padded to the longest."""
    if not any(map(has_steps, parts[:1])):  # all are of one kind
        return torch.cat([*parts])
    steps = max(part.shape[-1] for part in parts)
    return torch.cat([F.pad(part, (0, steps - part.shape[-1])) for part in parts])


def random_inputs(examples: int, shape: Shape) -> Tensor:
    """Normal numbers, or tokens, of PyTorch's global generator; of the lengths of series and tokens one is the most."""
    found = as_shape(shape)
    if isinstance(found, ImageShape | RowShape):
        return torch.randn(examples, *found)
    if isinstance(found, TextRowShape):
        return torch.cat([random_inputs(examples, found.row), random_inputs(examples, found.text)], 1)
    lengths = torch.randint(1, found.steps + 1, (examples,))
    lengths[0] = found.steps
    within = torch.arange(found.steps) < lengths[:, None]
    if isinstance(found, TokenShape):
        return torch.randint(1, max(2, found.vocabulary), (examples, found.steps)) * within
    series = torch.randn(examples, *found)
    series[:, -1] = 1.0
    return series * within[:, None]


def check_brightness(name: str, images: Tensor) -> None:
    """Find images whose values run from 0 to 255. Standardised ones leave [0, 1], too, but are not all positive."""
    if images.numel() and BRIGHTEST < float(images.max()) <= 255 and float(images.min()) >= 0:
        raise ValueError(f"{name} has images with values up to {float(images.max()):g}: divide them by 255.")


def check_tokens(name: str, tokens: Tensor, vocabulary: int) -> None:
    """Find tokens that are not of the vocabulary."""
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary:
        raise ValueError(
            f"{name} has tokens from {int(tokens.min())} to {int(tokens.max())}, but vocabulary = {vocabulary}: give "
            "tokens from 0 to vocabulary - 1."
        )


def check_padding(name: str, inputs: Tensor) -> None:
    """Find examples with a step behind their end, or a series without a mask."""
    if inputs.dim() == 3 and not bool(((inputs[:, -1] == 0) | (inputs[:, -1] == 1)).all()):
        raise ValueError(
            f"{name} has series whose last feature is no mask: let it be 1 up to the end of each, and 0 behind it."
        )
    mask = step_mask(inputs)
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise ValueError(f"{name} has padding within an example: let it stand behind the end alone.")
