"""Near copies among images: pictures of one moment, or of one file that was saved again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.io.text import printable
from lit_metanas.tasks.splits import digests
from lit_metanas.tasks.task import Task

# Pixels to either side that are compared: enough to tell scenes apart, too few to see how a file was compressed.
SIDE = 16

# The least correlation of near copies.
# Copies of 150 photographs at half the size, of JPEG's quality 30, or brighter by 30 % had 0.981 or more in 98 of 100
# cases. Among the 480 nearest pairs of two other sets none had 0.97.
ALIKE = 0.98

# Images that are reduced at once, and pairs that are compared at once: both bound the memory.
COMPARED_AT_ONCE, PAIRS_AT_ONCE = 1024, 1 << 24

# So many pairs take a few seconds. If there are more, some of the images to test stand for all of them.
MOST_PAIRS = 1 << 27


def near_copies(images: Tensor, others: Tensor) -> Tensor:
    """Whether each image is nearly the same as one of others, shape ``(n,)``."""
    # Two images are, if their grey values as `SIDE` x `SIDE` pixels correlate by `ALIKE` or more. Images of a single
    # colour are like no other.
    known = torch.cat([_normalised(part) for part in others.split(COMPARED_AT_ONCE)])
    at_once = max(1, min(COMPARED_AT_ONCE, PAIRS_AT_ONCE // max(1, len(known))))
    return torch.cat([(_normalised(part) @ known.T).amax(1) >= ALIKE for part in images.split(at_once)])


def describe_near_copies(task: Task) -> list[str]:
    """A sentence on test images that are near copies of some that are learned from, apart from equal ones, if any."""
    learned = [part.inputs for part in (task.train, task.val) if part is not None]
    test, place = task.test.spread(max(1, MOST_PAIRS // sum(map(len, learned)))), f"'{printable(task.id, 40)}'"
    found = torch.stack([near_copies(test.inputs, part) for part in learned]).any(0)
    if not bool(found.any()):
        return []
    equal = {own for part in learned for own in digests(part)}
    number = sum(own not in equal for own in digests(test.inputs[found]))
    if not number:
        return []
    compared = "" if len(test) == len(task.test) else " that were compared"
    return [
        f"{place}: {number:,} of the {len(test):,} images to test{compared} are nearly the same as one "
        "that is learned from, so the score may be too good; remove copies, or keep series together by 'group'."
    ]


def _normalised(images: Tensor) -> Tensor:
    """The grey values of small images without mean, of length 1, shape ``(n, SIDE * SIDE)``; zeros of a flat one."""
    small = F.adaptive_avg_pool2d(images.float().mean(1, keepdim=True), SIDE).flatten(1)
    centred = small - small.mean(1, keepdim=True)
    lengths = centred.norm(dim=1, keepdim=True)
    flat = lengths <= 1e-3 * small.norm(dim=1, keepdim=True)
    return torch.where(flat, 0.0, centred / lengths)
