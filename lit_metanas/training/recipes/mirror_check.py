"""Whether images may be mirrored in training: a check on validation examples."""

from __future__ import annotations

import torch

from lit_metanas.records.statistics import wilson
from lit_metanas.tasks.task import Split
from lit_metanas.training.child import Child, scores_of

LEAST_KEPT = 0.8
"""The least share of the recognised images that are recognised when they are mirrored, too."""


def mirror_keeps_classes(child: Child, val: Split) -> bool:
    """Whether mirrored images are of the same classes, by a network that has seen none of them.

    Of the validation images that the network recognises, nearly all must be recognised when left and right have changed
    places: at least ``LEAST_KEPT``, less half of the 95 % interval of that share. A network that was trained briefly on
    letters, digits or arrows recognises few of the mirrored ones.

    Args:
        child: trained on the task without ``mirror`` in its recipe.
        val: images to choose by, shape ``(n, channels, height, width)``.

    Returns:
        Whether a recipe for these data may have ``mirror``; False if the network recognises none of them.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space = lm.LayeredSpace(widths=(4,))
        >>> architecture = space.sample(torch.Generator().manual_seed(0))
        >>> child = lm.Child(space=space, architecture=architecture, shape=task.shape, way=2)
        >>> lm.training.mirror_keeps_classes(child, task.val) in (True, False)
        True
    """
    child.eval()
    right = []
    for scores in (child, lambda inputs: child(inputs.flip(-1))):
        said = child.objective.predictions(scores_of(scores, val, child.objective))
        pairs = zip(said, child.objective.answers(val.labels), strict=True)
        right.append(torch.tensor([child.objective.agrees(*pair) for pair in pairs]))
    recognised = int(right[0].sum())
    if not recognised:
        return False
    kept = int((right[0] & right[1]).sum()) / recognised
    return kept + wilson(kept, recognised) >= LEAST_KEPT
