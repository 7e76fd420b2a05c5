"""Checks of inputs: values, tokens, padding."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.inputs.batches import as_floats, step_mask

BRIGHTEST = 10.0
"""No image scaled to [0, 1] has a larger value; one from 0 to 255 nearly always has."""


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


def in_unit_range(images: Tensor) -> Tensor:
    """Floating point in [0, 1]: uint8 is divided by 255, floating point stays."""
    if images.dtype != torch.uint8:
        check_brightness("A source", images)
    return as_floats(images)
