"""Test examples with predictions for a person to look at, and what of them speaks for a prediction."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import as_floats, step_mask, trim_steps
from lit_metanas.inputs.shapes import ImageShape
from lit_metanas.inputs.tokens import UNKNOWN_SHOWN
from lit_metanas.io.text import printable, shorten
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.records.rows import UNKNOWN_MARK, ShownPrediction
from lit_metanas.tasks.task import Task

EXAMPLES_SHOWN = 10
"""Examples of one network."""

MOST_SHOWN_PIXELS, LONGEST_SHOWN = 512, 2_000
"""Most rows and columns of a picture, and most characters of a text; the rest is left out."""


def shown_predictions(
    task: Task, predictions: Sequence[Any], places: Tensor | None = None
) -> tuple[ShownPrediction, ...]:
    """Some test examples, by default ten that are evenly spread, with their predictions out of those of all of them."""
    if places is None:
        number = len(task.test)
        places = torch.linspace(0, number - 1, min(EXAMPLES_SHOWN, number)).round().long()
    chosen = task.test.labels[places.to(task.test.labels.device)].cpu()
    said = [predictions[place] for place in places.tolist()]
    meant = task.goal.answers(chosen)
    inputs = task.test.inputs[places.to(task.test.inputs.device)].cpu()
    words = [task.goal.show(each, inputs, task) for each in (said, meant)]
    return tuple(
        ShownPrediction(
            said=shorten(own, LONGEST_SHOWN),
            meant=shorten(wanted, LONGEST_SHOWN),
            right=task.goal.agrees(one, other),
            **_example(task, row),
        )
        for row, own, wanted, one, other in zip(inputs, *words, said, meant, strict=True)
    )


def _example(task: Task, row: Tensor) -> dict[str, Any]:
    if row.dim() == 1:
        return {"example": shorten(_text(task, row), LONGEST_SHOWN)}
    if row.dim() == 2:
        return {"picture": _rows(_grey_levels(row).unsqueeze(2)), "series": True}
    pixels = as_floats(row).float().mul(255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    if pixels.shape[2] == 3:
        return {"picture": _rows(pixels), "coloured": True}
    return {"picture": _rows(pixels[:, :, :1])}


def _short(value: int | float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _text(task: Task, row: Tensor) -> str:
    if task.preprocessing is None:
        return " ".join(map(_short, row.tolist()))
    (shown,) = task.preprocessing.show(row[None])
    return re.sub(f"{UNKNOWN_SHOWN}+", UNKNOWN_MARK, shown)


def heat_rows(heat: Tensor, row: Tensor) -> tuple[str, ...]:
    """What speaks for a prediction of an input, from 0 to 1, as grey levels at the places of its picture."""
    if row.dim() == 2:
        heat = heat[:, : int(step_mask(row[None]).sum())].flip(0)
    return _rows((255 * heat).round().clamp(0, 255).to(torch.uint8).unsqueeze(2))


def _grey_levels(row: Tensor) -> Tensor:
    """A series as grey levels: steps from the left, the first feature at the bottom."""
    series = row[:-1, :1]
    if bool(step_mask(row[None]).any()):
        series = trim_steps(row[None])[0, :-1]
    if not series.numel():
        return torch.zeros(1, 1, dtype=torch.uint8)
    low, high = series.min(), series.max()
    return ((series - low) / (high - low).clamp(min=1e-9) * 255).round().to(torch.uint8).flip(0)


def _rows(pixels: Tensor) -> tuple[str, ...]:
    """The levels of each row; a large picture keeps evenly spread rows and columns."""
    for dimension in (0, 1):
        size = pixels.shape[dimension]
        if size > MOST_SHOWN_PIXELS:
            places = torch.linspace(0, size - 1, MOST_SHOWN_PIXELS).round().long()
            pixels = pixels.index_select(dimension, places)
    return tuple(bytes(row.flatten().tolist()).hex() for row in pixels)


PATCHES, POSITIONS = 5, 8
"""Patches that a side is as long as, and about how many positions they have along it."""

MOST_WORK = 1e11
"""The most multiply-adds, some seconds of a core: for large networks only the first examples are explained."""


def saliency(network: nn.Module, inputs: Tensor, classes: Tensor, *, masked: bool = False) -> Tensor:
    """How much of a class's score is lost where a patch of an input is covered by its mean; gains count as nothing.

    This is occlusion (Zeiler and Fergus 2014, Section 4.2), by captum. Inputs are images, and the result has the shape
    ``(n, height, width)``, or ``masked`` series ``(n, features + 1, steps)``, whose last row is the mask, and it has
    the shape ``(n, features, steps)``. Its values are from 0 to 1.
    """
    from captum.attr import Occlusion  # loads matplotlib

    shown, mask, heard = inputs, inputs[:, :0], torch.ones_like(inputs[:, :1])
    if masked:
        shown, mask, heard = inputs[:, :-1], inputs[:, -1:], inputs[:, -1:]
    sides = tuple(range(1, shown.dim()))
    means = (shown * heard).sum(sides, keepdim=True) / heard.expand_as(shown).sum(sides, keepdim=True).clamp(min=1)
    whole = tuple(shown.shape[1:-2])  # all channels of an image
    window = (*whole, *(-(-side // PATCHES) for side in shown.shape[-2:]))
    stride = (*whole, *(max(1, side // POSITIONS) for side in shown.shape[-2:]))
    with torch.no_grad():
        lost = Occlusion(lambda some, hidden: network(torch.cat([some, hidden], 1))).attribute(
            shown,
            sliding_window_shapes=window,
            strides=stride,
            baselines=means.expand_as(shown),
            target=classes,
            additional_forward_args=(mask,),
        )
    gained = lost.clamp(min=0) * heard
    if not masked:
        gained = gained.mean(1)
    return gained / gained.flatten(1).amax(1)[:, None, None].clamp(min=1e-12)


def explained(
    shown: Sequence[ShownPrediction], network: nn.Module, task: Task, places: Tensor, classes: Tensor, *, flops: float
) -> tuple[ShownPrediction, ...]:
    """Test examples at some places, each with what speaks for the class that was predicted, if that can be known.

    That is so of images and sounds, where captum is installed (extra ``saliency``). ``places`` are the examples' in the
    test part, ``classes`` their predictions, and ``flops`` the multiply-adds of the network for one input.
    """
    most = int(MOST_WORK / POSITIONS**2 / max(flops, 1))
    is_known = isinstance(task.shape, ImageShape) or isinstance(task.preprocessing, LogMel)
    if not shown[:most] or not is_known or find_spec("captum") is None:
        return tuple(shown)
    weight, places, classes = next(network.parameters()), places[:most], classes[:most]
    inputs = as_floats(task.test.inputs[places.to(task.test.inputs.device)]).to(weight)
    try:
        heats = saliency(network.eval(), inputs, classes.to(weight.device), masked=inputs.dim() == 3).cpu()
    except Exception as error:  # whatever a network of somebody's own raises, the result is worth more than a picture
        warnings.warn(f"Nothing is shown of what speaks for predictions: {printable(str(error), 200)}", stacklevel=2)
        return tuple(shown)
    explained_ones = zip(shown, heats, inputs.cpu(), strict=False)
    return (*(replace(one, heat=heat_rows(heat, row)) for one, heat, row in explained_ones), *shown[most:])
