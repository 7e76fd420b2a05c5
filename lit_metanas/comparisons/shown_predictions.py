"""Test examples with a network's predictions, for a person to look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_metanas.inputs.batches import as_floats, step_mask, trim_steps
from lit_metanas.inputs.tokens import UNKNOWN_SHOWN
from lit_metanas.io.text import shorten
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
    """One input, as a text or as a picture."""
    if row.dim() == 1:
        return {"example": shorten(_text(task, row), LONGEST_SHOWN)}
    if row.dim() == 2:
        return {"picture": _rows(_grey_levels(row).unsqueeze(2)), "series": True}
    pixels = as_floats(row).float().mul(255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    if pixels.shape[2] == 3:
        return {"picture": _rows(pixels), "coloured": True}
    return {"picture": _rows(pixels[:, :, :1])}


def _short(value: int | float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.6g}"


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
