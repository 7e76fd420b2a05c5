"""A task of noisy patterns, and spaces of cells and stages, for searches that share weights."""

import pytest
import torch

from lit_metanas.spaces import DARTSCell, NASBench201
from lit_metanas.tasks import Split, Task


def make_task(way=3, each=8, size=8, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.rand(way, 1, size, size, generator=generator)

    def split():
        labels = torch.arange(way).repeat_interleave(each)
        noise = torch.rand(way * each, 1, size, size, generator=generator)
        return Split((patterns[labels] + 0.3 * noise).clamp(0, 1).to(dtype), labels)

    return Task("patterns", way, split(), split(), split())


TASK = make_task()

every_space = pytest.mark.parametrize(
    "space",
    [NASBench201(channels=2, cells=1, merge_isomorphs=False), DARTSCell(channels=2, cells=3)],
    ids=lambda space: space.name,
)


def check_found(found, space, value):
    """What was found is buildable, and its child has the accuracy that was recorded."""
    assert space.violation(found.architecture) is None
    child = space.child(found.architecture, TASK.shape, 3, found.weights).eval()
    right = (child(TASK.val.inputs).argmax(1) == TASK.val.labels).float().mean().item()
    assert right == pytest.approx(value)
