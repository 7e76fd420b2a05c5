"""Embeddings of tasks against plain loops; what they must not depend on."""

import math
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, pstdev

import pytest
import torch

from lit_metanas.tasks import (
    ClassDistances,
    DataStatistics,
    JoinedEmbedding,
    RandomFeatures,
    Split,
    Task,
    TaskEmbedding,
)

EMBEDDINGS = [DataStatistics(), ClassDistances(4), RandomFeatures(width=4, size=12)]


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


@pytest.mark.parametrize("embedding", [*EMBEDDINGS, JoinedEmbedding(EMBEDDINGS)], ids=lambda e: type(e).__name__)
def test_order_and_other_parts_do_not_matter(embedding):
    task = make_task()
    found = embedding(task)
    assert all(type(number) is float and math.isfinite(number) for number in found)
    order = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(5))
    shuffled = Split(task.train.inputs[order], task.train.labels[order])
    poisoned = replace(task, train=shuffled, val=Poison(), test=Poison())
    with torch.inference_mode():
        assert embedding(poisoned) == found  # to the last bit
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


def test_class_distances_equal_plain_loops():
    task = make_task(way=4, each=4, shape=(1, 2, 2), spread=0.6)
    task = replace(task, way=6)  # two classes without examples
    points = task.train.inputs.double().flatten(1)
    labels = task.train.labels.tolist()
    means = [torch.stack([p for p, k in zip(points, labels, strict=True) if k == label]).mean(0) for label in range(4)]
    spread = math.sqrt(fmean(float(((p - means[k]) ** 2).sum()) for p, k in zip(points, labels, strict=True)))
    apart = sorted(float((means[a] - means[b]).norm()) / spread for a in range(4) for b in range(a))
    quantiles = [float(torch.tensor(apart, dtype=torch.float64).quantile(q)) for q in (0, 0.25, 0.5, 0.75, 1)]
    whole = fmean(float(((p - points.mean(0)) ** 2).sum()) for p in points)
    right = 0
    for place, point in enumerate(points):
        distances = []
        for label in range(4):
            others = [points[i] for i in range(len(points)) if labels[i] == label and i != place]
            distances.append(float((point - torch.stack(others).mean(0)).norm()))
        right += distances.index(min(distances)) == labels[place]
    assert 0 < right < len(points)
    expected = [*quantiles, 1 - spread**2 / whole, right / len(points), math.log(spread)]
    assert ClassDistances(2)(task) == pytest.approx(expected, rel=1e-6)


def test_class_distances_of_odd_tasks_are_numbers():
    single = make_task(way=3, each=1)
    assert ClassDistances()(single)[6] == 0  # no example has another of its class
    alike = replace(single, train=Split(torch.zeros(3, 1, 8, 8), torch.zeros(3, dtype=torch.int64)))
    assert all(math.isfinite(number) for number in ClassDistances()(alike))
    assert all(math.isfinite(number) for number in DataStatistics()(alike))


def test_random_features_see_what_differs():
    flat = make_task(spread=0.0)
    assert RandomFeatures()(flat)[8:] != RandomFeatures()(replace(flat, train=Split(
        flat.train.inputs[:1].expand(15, -1, -1, -1).contiguous(), flat.train.labels)))[8:]  # fmt: skip
    grey = replace(flat, train=Split(flat.train.inputs.expand(-1, 3, -1, -1).contiguous(), flat.train.labels))
    assert RandomFeatures()(grey) == pytest.approx(RandomFeatures()(flat), rel=1e-5)
    assert RandomFeatures(seed=1)(flat) != RandomFeatures()(flat)


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
    with pytest.raises(ValueError, match="has no embeddings"):
        JoinedEmbedding([])
    with pytest.raises(ValueError, match="width = 0 must be"):
        RandomFeatures(width=0)
    with pytest.raises(ValueError, match="size = 0 must be"):
        ClassDistances(0)


@pytest.mark.parametrize("embedding", [*EMBEDDINGS, JoinedEmbedding(EMBEDDINGS)], ids=lambda e: type(e).__name__)
def test_accelerators_without_double_precision(embedding, on_accelerator):
    task = make_task()
    train = Split(on_accelerator(task.train.inputs), task.train.labels)
    assert embedding(replace(task, train=train)) == pytest.approx(embedding(task), rel=1e-6)


class OnCPU(TaskEmbedding):
    """Makes its features on the CPU, wherever the images are."""

    def features(self, train, way):
        return torch.ones(2)


class Means(TaskEmbedding):
    """Makes its features where the images are."""

    def features(self, train, way):
        return train.inputs.mean((0, 2, 3))


def test_joined_parts_may_lie_on_different_devices(on_accelerator):
    inputs = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    train = Split(on_accelerator(inputs), torch.arange(6) % 3)
    found = JoinedEmbedding([OnCPU(), Means()])(replace(make_task(), train=train))
    assert found == pytest.approx([1, 1, *inputs.mean((0, 2, 3)).tolist()])
