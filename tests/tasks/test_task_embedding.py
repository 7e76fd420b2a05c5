"""Embeddings of tasks against plain loops; what they must not depend on."""

import math
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, pstdev

import pytest
import torch

from lit_metanas.tasks import DataStatistics, Split, Task, TaskEmbedding


def make_task(seed=0, way=3, each=5, shape=(1, 8, 6), spread=0.3):
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.rand(way, *shape, generator=generator)

    def split():
        labels = torch.arange(way).repeat_interleave(each)
        noise = torch.rand(way * each, *shape, generator=generator)
        return Split((1 - spread) * patterns[labels] + spread * noise, labels)

    return Task(f"made/{seed}", way, split(), split(), split())


class Poison:
    """Examples that break whoever touches them."""

    def __len__(self):
        return 1

    def __getattr__(self, name):
        raise AssertionError(f"touched {name}")


def test_order_and_other_parts_do_not_matter():
    embedding, task = DataStatistics(), make_task()
    found = embedding(task)
    assert all(type(number) is float and math.isfinite(number) for number in found)
    order = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(5))
    shuffled = Split(task.train.inputs[order], task.train.labels[order])
    poisoned = replace(task, train=shuffled, val=Poison(), test=Poison())
    with torch.inference_mode():
        assert embedding(poisoned) == pytest.approx(found)
    others = embedding(make_task(1)), embedding(make_task(way=5, each=2, shape=(3, 9, 9)))
    assert all(len(other) == len(found) and other != found for other in others)


def test_data_statistics_equal_plain_loops():
    task = make_task(shape=(2, 3, 4))
    task.train.labels[0] = 1
    images = task.train.inputs.double().tolist()
    pixels = [value for image in images for channel in image for row in channel for value in row]
    mean, deviation = fmean(pixels), pstdev(pixels)
    own = [pstdev([value for channel in image for row in channel for value in row]) for image in images]
    rows = [row for image in images for channel in image for row in channel]
    across = fmean(abs(a - b) for row in rows for a, b in pairwise(row))
    columns = [column for image in images for channel in image for column in zip(*channel, strict=True)]
    down = fmean(abs(a - b) for column in columns for a, b in pairwise(column))
    colour = fmean(
        abs(channel[y][x] - (image[0][y][x] + image[1][y][x]) / 2)
        for image in images for channel in image for y in range(3) for x in range(4)
    )  # fmt: skip
    entropy = -sum(share * math.log(share) for share in (4 / 15, 6 / 15, 5 / 15)) / math.log(3)
    expected = [
        math.log(3), math.log(15), math.log(2), math.log(3), math.log(4), entropy, mean, deviation,
        fmean(((p - mean) / deviation) ** 3 for p in pixels), fmean(((p - mean) / deviation) ** 4 for p in pixels) - 3,
        fmean(own), pstdev(own), across, down, colour,
    ]  # fmt: skip
    assert DataStatistics()(task) == pytest.approx(expected, rel=1e-5)


def test_statistics_of_equal_images_are_numbers():
    alike = replace(make_task(each=1), train=Split(torch.zeros(3, 1, 8, 8), torch.zeros(3, dtype=torch.int64)))
    assert all(math.isfinite(number) for number in DataStatistics()(alike))


class Infinite(TaskEmbedding):
    """Gives no number."""

    def features(self, train, way):
        return torch.tensor([math.inf])


def test_refusals():
    with pytest.raises(ValueError, match="Infinite of task 'made/0' is not a finite number"):
        Infinite()(make_task())
    empty = replace(make_task(), train=Split(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)))
    with pytest.raises(ValueError, match="'made/0' has no training examples for DataStatistics"):
        DataStatistics()(empty)


def test_accelerators_without_double_precision(on_accelerator):
    embedding, task = DataStatistics(), make_task()
    train = Split(on_accelerator(task.train.inputs), task.train.labels)
    assert embedding(replace(task, train=train)) == pytest.approx(embedding(task), rel=1e-6)
