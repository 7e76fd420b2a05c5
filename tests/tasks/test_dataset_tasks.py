"""Torch's data sets as tasks and sources: the same as the arrays in them."""

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from lit_metanas.kinds import ArraySource, DatasetSource, task_from_arrays, task_from_dataset
from lit_metanas.tasks import TaskSource

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 7, 6, 3), dtype=np.uint8)
LABELS = np.arange(24) % 4


class Items(Dataset):
    """Items as they are given, and torchvision's names."""

    classes = ["ant", "bee", "cat", "dog", "eel"]  # noqa: RUF012

    def __init__(self, items):
        self.items = list(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def same(one, other):
    for name in ("train", "val", "test"):
        assert torch.equal(getattr(one, name).inputs, getattr(other, name).inputs)
        assert torch.equal(getattr(one, name).labels, getattr(other, name).labels)


@pytest.mark.parametrize(
    "convert", [lambda image: image, lambda image: torch.tensor(image).permute(2, 0, 1), Image.fromarray]
)
@pytest.mark.parametrize("kind", [int, torch.tensor])
def test_a_data_set_gives_the_task_of_its_arrays(convert, kind):
    data = Items((convert(image), kind(int(label))) for image, label in zip(IMAGES, LABELS, strict=True))
    task = task_from_dataset(data, seed=2)
    same(task, task_from_arrays(IMAGES, LABELS, seed=2))
    assert (task.id, task.shape, task.classes) == ("items", (3, 7, 6), ("ant", "bee", "cat", "dog"))
    assert task_from_dataset(data, classes=["a", "b", "c", "d"], id="mine").classes == ("a", "b", "c", "d")


def test_two_data_sets_have_the_same_classes() -> None:
    first, second = (Items((IMAGES[i], i % 3) for i in range(12)), Items((IMAGES[12 + i], i % 2) for i in range(4)))
    first.classes, second.classes = ["ant", "bee", "cat"], ["ant", "cat"]
    with pytest.raises(ValueError, match="The test data have other classes than the data: give both the same"):
        task_from_dataset(first, second)
    second.classes = first.classes
    task = task_from_dataset(first, second)
    assert (task.classes, task.test.labels.tolist()) == (("ant", "bee", "cat"), [0, 1, 0, 1])


def test_a_source_of_a_data_set_is_that_of_its_arrays():
    data = Items(zip(IMAGES, LABELS.tolist(), strict=True))
    source = DatasetSource(data, train=["ant", "dog"], test=["bee"])
    arrays = ArraySource(IMAGES, LABELS, train=[0, 3], test=[1])
    assert (source.name, source.classes("train")) == ("items", ("ant", "dog"))
    for subset, classes in (("train", 2), ("test", 1)):
        for place in range(classes):
            assert torch.equal(source.inputs(subset, place, range(6)), arrays.inputs(subset, place, range(6)))
    assert DatasetSource(data, seed=5).classes("train") == DatasetSource(data, seed=5).classes("train")


def test_a_configuration_names_a_data_set_of_torchvision():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(TaskSource, "source")
    dataset = {"size": 40, "image_size": [3, 6, 7], "num_classes": 4}
    named = {"class_path": "torchvision.datasets.FakeData", "init_args": dataset}
    given = {"class_path": "DatasetSource", "init_args": {"dataset": named, "test": [0, 1]}}
    source = parser.instantiate(parser.parse_object({"source": given})).source
    assert (source.name, source.shape, source.classes("test")) == ("fakedata", (3, 6, 7), ("0", "1"))


class Stream(IterableDataset):
    def __iter__(self):
        yield IMAGES[0], 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Stream(), "Stream has no length: give a map-style data set, with __len__ and __getitem__."),
        (Items([]), "Items holds no images: give it some."),
        (Items([(IMAGES[0], 0, 1)]), "Item 0 of Items is not a pair of an image and a label: give such a data set."),
        (Items([(IMAGES[0], 0), ("a.png", 1)]), "Item 1 of Items begins with a str, not with an image: give"),
        (Items([(Image.fromarray(IMAGES[0, :, :, 0].astype(np.int32)), 0)]), "Item 0 of Items has pixels of mode"),
    ],
)
def test_a_mistake_gets_one_sentence(data, message):
    with pytest.raises(ValueError) as caught:
        task_from_dataset(data)
    assert str(caught.value).startswith(message)
