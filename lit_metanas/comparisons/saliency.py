"""What of an image or a sound speaks for a prediction, by occlusion."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from lit_metanas.comparisons.shown_predictions import heat_rows
from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import ImageShape
from lit_metanas.io.text import printable
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.records.rows import ShownPrediction
from lit_metanas.tasks.task import Task

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
