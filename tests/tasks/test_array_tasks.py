"""Arrays as tasks and sources: every layout and kind of label, against plain loops and against folders of files."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from lit_metanas.kinds import ArraySource, FolderTask, task_from_arrays

GREY = np.random.default_rng(0).integers(0, 256, (30, 6, 5), dtype=np.uint8)
LABELS = np.arange(30) % 3


def rows(task):
    """All images with the part and the class they are in."""
    parts = {"train": task.train, "val": task.val, "test": task.test}
    return {
        image.numpy().tobytes(): (name, task.classes[label])
        for name, part in parts.items()
        if part is not None
        for image, label in zip(part.inputs, part.labels.tolist(), strict=True)
    }


def test_each_image_is_in_one_part_under_its_own_label():
    task = task_from_arrays(GREY, LABELS, val=0.3, test=0.1, seed=4)
    assert (task.id, task.way, task.shape, task.classes) == ("arrays", 3, (1, 6, 5), ("0", "1", "2"))
    assert not torch.equal(task_from_arrays(GREY, LABELS, val=0.3, test=0.1, seed=5).train.inputs, task.train.inputs)
    found = rows(task)
    for image, label in zip(GREY, LABELS, strict=True):
        assert found[(image[None].astype(np.float32) / 255).tobytes()][1] == str(label)
    assert Counter(found.values()) == {
        (part, str(label)): number for part, number in (("train", 6), ("val", 3), ("test", 1)) for label in range(3)
    }
    for part in (task.train, task.val, task.test):
        assert part.inputs.dtype == torch.float32
        assert part.labels.tolist() == sorted(part.labels.tolist())


def test_a_folder_of_the_same_images_gives_the_same_task(tmp_path):
    labels = ["ant", "bee", "cat"] * 10
    for place, (image, label) in enumerate(zip(GREY, labels, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / label / f"{place:02}.png")
    folder = FolderTask(str(tmp_path), shape=(1, 6, 5), seed=3)[0]
    task = task_from_arrays(GREY, labels, seed=3)
    assert (folder.id, folder.classes) == (tmp_path.name, task.classes)
    assert FolderTask(str(tmp_path), shape=(1, 4, 4), train=0.5, val=0.0)[0].val is None
    for name in ("train", "val", "test"):
        assert torch.equal(getattr(task, name).inputs, getattr(folder, name).inputs)
        assert torch.equal(getattr(task, name).labels, getattr(folder, name).labels)


COLOUR = np.random.default_rng(1).integers(0, 256, (30, 3, 8, 5), dtype=np.uint8)
FOUR = COLOUR.repeat(2, 1)[:, :4]  # channels, fewer than rows and columns


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 2, 3, 1), COLOUR),
        (COLOUR[:, :1], COLOUR[:, :1]),
        (COLOUR[:, 0], COLOUR[:, :1]),
        (FOUR.transpose(0, 2, 3, 1), FOUR),
    ],
)
@pytest.mark.parametrize(
    "convert", [lambda x: x, lambda x: x.astype(">f8") / 255, lambda x: np.flip(np.flip(x, 1), 1), lambda x: list(x)]
)
def test_every_layout_gives_the_same_pixels(images, expected, convert):
    task = task_from_arrays(convert(images), LABELS)
    assert task.shape == expected.shape[1:]
    wanted = {(image.astype(np.float32) / 255).round(6).tobytes() for image in expected}
    parts = torch.cat([task.train.inputs, task.val.inputs, task.test.inputs])
    assert {image.numpy().round(6).tobytes() for image in parts} == wanted


def test_a_shape_that_tells_no_layout_is_asked_about():
    square = torch.rand(30, 3, 7, 3)
    with pytest.raises(ValueError, match=r"shape \(30, 3, 7, 3\), in which the channels may come first or last: say"):
        task_from_arrays(square, LABELS)
    assert task_from_arrays(square, LABELS, channels="first").shape == (3, 7, 3)
    assert task_from_arrays(square, LABELS, channels="last").shape == (3, 3, 7)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS / 2, ("0.0", "0.5", "1.0")),
        (np.array(["c", "a", "b"])[LABELS], ("a", "b", "c")),
        ([("x", 1), ("x", 0), ("a", 5)] * 10, ("('a', 5)", "('x', 0)", "('x', 1)")),
        ([7, "seven", None.__class__] * 10, ("7", "seven", "<class 'NoneType'>")),
        ([torch.tensor(1), torch.tensor([0]), np.int64(2)] * 10, ("0", "1", "2")),
    ],
)
def test_labels_of_any_kind(labels, classes):
    task = task_from_arrays(GREY, labels)
    assert sorted(task.classes) == sorted(classes)
    plain = [str(label.item() if hasattr(label, "item") else label) for label in labels]
    found = rows(task)
    for image, label in zip(GREY, plain, strict=True):
        assert found[(image[None].astype(np.float32) / 255).tobytes()][1] == label


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (LABELS + 1, ["w", "x", "y", "z"], ("x", "y", "z")),
        (np.array(["b", "a", "c"])[LABELS], {"a": "x", "b": "y", "c": "z"}, ("x", "y", "z")),
    ],
)
def test_class_names(labels, classes, expected):
    assert task_from_arrays(GREY, labels, classes=classes).classes == expected


def test_a_test_part_that_is_given_keeps_its_order():
    order = np.random.default_rng(5).permutation(30)
    task = task_from_arrays(GREY, LABELS, COLOUR[order, 0, :6], LABELS[order], val=0.5)
    assert torch.equal(task.test.inputs[:, 0], torch.tensor(COLOUR[order, 0, :6]).float() / 255)
    assert task.test.labels.tolist() == LABELS[order].tolist()
    assert (len(task.train), len(task.val)) == (15, 15)
    some = task_from_arrays(GREY, LABELS, 255 - GREY[:2], LABELS[:2], val=0)
    assert some.val is None
    assert len(some.train) == 30


def nan():
    images = GREY / 255
    images[4, 0, 0] = np.nan
    return images


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": LABELS[:29]}, "y has 29 labels for 30 images: give one label an image."),
        ({"y": [0] * 30}, "All images have the label 0: give two or more classes."),
        ({"y": ["a"] * 2 + ["b"] * 28}, "Class 'a' has 2 examples, too few for a train, val and test part: add some."),
        ({"y": [*LABELS[:29], float("nan")]}, "Label 29 in y is nan: leave out images without a label."),
        ({"y": [1, "1"] * 15}, "Two classes are named '1': give each a name of its own."),
        ({"X": nan()}, "X has values that are not finite, the first in image 4: leave it out or fix it."),
        ({"X": GREY.astype(np.float32)}, "X has floats from 0 to 255: divide them by 255."),
        ({"X": torch.linspace(-1, 1, 900).view(30, 6, 5)}, "X has floats from -1 to 1: scale them to [0, 1], or"),
        ({"X": GREY.astype(np.int64)}, "X holds int64: give uint8 from 0 to 255 or floats in [0, 1]."),
        ({"X": np.zeros((30, 784), np.uint8)}, "X has shape (30, 784): give (n, height, width)"),
        ({"channels": "middle"}, "channels = 'middle' must be 'first', 'last' or None."),
        ({"classes": ["a", "b"]}, "classes has 2 names for 3 classes: name each once."),
        ({"classes": {0: "a", 2: "b"}}, "classes has no name for the label 1: give one."),
        ({"X_test": GREY}, "X_test and y_test belong together: give both or neither."),
        ({"X_test": GREY, "y_test": LABELS + 1}, "y_test has the label '3', which y lacks: leave its images out."),
        ({"X_test": GREY[:, :4], "y_test": LABELS}, "The test part of task 'arrays' has images of shape"),
        ({"val": 0.5, "test": 0.5}, "task_from_arrays: train = 0, val = 0.5, test = 0.5 must be shares above 0"),
    ],
)
def test_a_mistake_gets_one_sentence(change, message):
    with pytest.raises(ValueError) as caught:
        task_from_arrays(**{"X": GREY, "y": LABELS, **change})
    assert str(caught.value).startswith(message)


MANY = np.arange(60) % 10


def make_source(**options):
    images = np.random.default_rng(2).integers(0, 256, (60, 6, 6), dtype=np.uint8)
    return images, ArraySource(images, MANY, **options)


def test_a_source_holds_each_class_once_and_whole():
    images, source = make_source(fractions=(0.5, 0.2, 0.3), seed=3)
    floats = ArraySource(images[..., None] / 255, MANY, fractions=(0.5, 0.2, 0.3), seed=3, name="mine")
    assert (floats.name, floats.shape) == ("mine", (1, 6, 6))
    assert torch.equal(floats.inputs("train", 0, range(6)), source.inputs("train", 0, range(6)))  # rounded to bytes
    parts = [source.classes(subset) for subset in ("train", "val", "test")]
    assert [len(part) for part in parts] == [5, 2, 3]
    assert sorted(name for part in parts for name in part) == [str(label) for label in range(10)]
    for subset, part in zip(("train", "val", "test"), parts, strict=True):
        for place, name in enumerate(part):
            assert source.instances(subset, place) == 6
            assert source.instances(subset, place, held_out=True) == 0
            found = source.inputs(subset, place, [5, 0, 2])
            assert np.array_equal(found[:, 0], images[int(name) == MANY][[5, 0, 2]])
    assert parts == [make_source(fractions=(0.5, 0.2, 0.3), seed=3)[1].classes(s) for s in ("train", "val", "test")]
    assert any(make_source(fractions=(0.5, 0.2, 0.3), seed=seed)[1].classes("train") != parts[0] for seed in range(3))
