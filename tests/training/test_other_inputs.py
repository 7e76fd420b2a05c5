"""Series and tokens go the way that images go: tasks, episodes, trainings, searches, embeddings."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.inputs.shapes import SeriesShape, TokenShape


class LengthSource(lm.TaskSource):
    """Tokens, or series of one-hot vectors of them; examples of a class begin with tokens of its own."""

    def __init__(self, series: bool) -> None:
        self.series = series

    @property
    def shape(self):
        return SeriesShape(13, 6) if self.series else TokenShape(12, 6)

    def classes(self, subset):
        return ("a", "b", "c", "d")

    def instances(self, subset, class_index, held_out=False):
        return 0 if held_out else 20

    def inputs(self, subset, class_index, instances, held_out=False):
        rows = torch.zeros(len(instances), 6, dtype=torch.int64)
        for row, instance in zip(rows, instances, strict=True):
            generator = torch.Generator().manual_seed(100 * class_index + instance)
            rest = torch.randint(1, 12, (5,), generator=generator)
            row[: 2 + instance % 4] = torch.cat([torch.tensor([2 + 2 * class_index]), rest])[: 2 + instance % 4]
        if not self.series:
            return rows
        hot = nn.functional.one_hot(rows, 12)[..., :].float().transpose(1, 2)
        hot[:, 0] = 0
        return torch.cat([hot, (rows > 0).float()[:, None]], dim=1)


@pytest.fixture(params=[False, True], ids=["tokens", "series"])
def source(request):
    return LengthSource(request.param)


def test_a_task_tells_its_kind_of_input(source):
    task = lm.draw_task(source, "test", way=3, train=6, val=3, test=4)
    assert task.shape == source.shape
    lm.tasks.check_task(task)
    episode = lm.tasks.draw_episode(source, "train", seed=0, epoch=0, index=0, way=3, shot=2, query=2)
    assert episode.shape == source.shape
    for embedding in (lm.tasks.DataStatistics(), lm.tasks.ClassDistances(), lm.tasks.RandomFeatures()):
        assert len(embedding(task)) > 0
    assert lm.tasks.ClassDistances()(task)[6] > 0.5  # the nearest mean knows the classes by their first token
