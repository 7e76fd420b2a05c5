"""Exported networks that were not trained."""

from pathlib import Path
from typing import Any

import torch

import lit_metanas as lm


def export_untrained(
    space: lm.SearchSpace, shape: lm.Shape, classes: Any = ("a", "b", "c"), folder: str | Path = "out", **more: Any
) -> lm.training.Exported:
    """Export the first network that is drawn from a space, and load it."""
    goal = more.get("objective") or lm.Classification(len(classes))
    network = space.child(space.sample(torch.Generator().manual_seed(0)), shape, goal.outputs)
    lm.export_child(network, folder, architecture={}, classes=classes, shape=shape, **more)
    return lm.load(folder)
