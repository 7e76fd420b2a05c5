"""What of an image or a sound speaks for a prediction, by occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from lit_metanas.comparisons.shown_predictions import heat_rows
from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import ImageShape
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.records.rows import ShownPrediction
from lit_metanas.tasks.task import Task

PATCHES, POSITIONS = 5, 10
"""Patches that a side is as long as, and their positions along it: they overlap by half."""

SEVERAL = 8
"""Positions that are computed at once."""


def can_explain(task: Task) -> bool:
    """Whether a task has images or sounds, and captum is installed (extra ``saliency``)."""
    known = isinstance(task.shape, ImageShape) or isinstance(task.preprocessing, LogMel)
    return known and find_spec("captum") is not None


def saliency(network: nn.Module, inputs: Tensor, classes: Tensor, *, masked: bool = False) -> Tensor:
    """How much of a class's score is lost where a patch of an input is covered by its mean; gains count as nothing.

    This is occlusion (Zeiler and Fergus 2014, Section 4.2), by captum.

    Args:
        network: in evaluation mode; inputs ``(n, *shape)`` in, scores ``(n, way)`` out.
        inputs: images ``(n, channels, height, width)``, or series ``(n, features + 1, steps)``, the mask last.
        classes: one for each input, shape ``(n,)``.
        masked: whether the inputs are series.

    Returns:
        From 0 to 1, shape ``(n, height, width)`` or ``(n, features, steps)``.
    """
    from captum.attr import Occlusion  # loads matplotlib

    shown, mask = inputs, inputs[:, :0]
    if masked:
        shown, mask = inputs[:, :-1], inputs[:, -1:]
    heard = mask if masked else torch.ones_like(shown[:, :1])
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
            perturbations_per_eval=SEVERAL,
        )
    gained = lost.clamp(min=0) * heard
    if not masked:
        gained = gained.mean(1)
    return gained / gained.flatten(1).amax(1)[:, None, None].clamp(min=1e-12)


def explained(
    shown: Sequence[ShownPrediction], network: nn.Module, task: Task, places: Tensor, classes: Tensor
) -> tuple[ShownPrediction, ...]:
    """Test examples at some places, each with what speaks for the class that was predicted, if that can be known."""
    if not shown or not can_explain(task):
        return tuple(shown)
    weight = next(network.parameters())
    inputs = as_floats(task.test.inputs[places.to(task.test.inputs.device)]).to(weight)
    heats = saliency(network.eval(), inputs, classes.to(weight.device), masked=inputs.dim() == 3).cpu()
    return tuple(
        replace(one, heat=heat_rows(heat, row)) for one, heat, row in zip(shown, heats, inputs.cpu(), strict=True)
    )
