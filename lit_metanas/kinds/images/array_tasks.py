"""Arrays of images, or tables, and torch's data sets with labels as a target task or a task source."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lit_metanas.inputs.batches import as_floats
from lit_metanas.kinds.images.image_files import Channels, Images, image_tensor, one_shape, pixels_of
from lit_metanas.kinds.labelled_examples import ClassifiedExamples, labelled_examples
from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.kinds.rows.row_tasks import is_table, task_of_rows
from lit_metanas.kinds.rows.text_rows import TextRows
from lit_metanas.kinds.source_bases import ClassExamples
from lit_metanas.tasks.labels import ClassNames, Groups, Labels, plain_label
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.source import Subset, TaskSource
from lit_metanas.tasks.splits import check_shares
from lit_metanas.tasks.task import Split, Task


def task_from_arrays(
    X: Images,
    y: Labels,
    X_test: Images | None = None,
    y_test: Labels | None = None,
    *,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    classes: ClassNames | None = None,
    channels: Channels | None = None,
    group: Groups | None = None,
    min_per_class: int | None = None,
    targets: Targets | None = None,
    preprocessing: Columns | TextRows | None = None,
    id: str = "arrays",
) -> Task:
    """Make a target task of arrays. Each class is split at random by the shares, unless the test part is given.

    Args:
        X: images, uint8 from 0 to 255 or floats in [0, 1]; shape ``(n, height, width)``, ``(n, channels, height,
            width)`` or ``(n, height, width, channels)``. Or a table, ``(n, columns)``, not of uint8: an array, lists
            or a data frame of numbers, categories and dates; None and NaN are gaps.
        y: one label an image or row: numbers, names, or whatever else is hashable. Numbers that are no classes are
            predicted: see ``targets``.
        X_test: images or rows of the test part, in the order in which they stay.
        y_test: their labels.
        val: share of each class to choose architectures by; 0 leaves the task without a validation part.
        test: share of each class to report accuracy on, where ``X_test`` is not given. What is left is for training.
        seed: of the split, at least 0.
        classes: names of the classes: by label, or in the order of the sorted labels; where labels are 0, 1, …, more
            names than classes are taken by index. None takes the labels themselves.
        channels: whether the channels come ``first`` or ``last``, where the shape does not tell.
        group: of each of ``X`` which others it belongs to, such as the patient of a photograph: those of a group go
            into one part. None deals them out one by one.
        min_per_class: classes with fewer images or rows are left out, as those of ``FolderTask`` are.
        targets: ``classification`` or ``regression``, which predicts numbers, one for each of ``X`` or several, ``(n,
            targets)``. None looks at ``y``: ten different numbers or more are predicted if some have a fraction, or
            more than a tenth are of fewer than three examples.
        preprocessing: of a table, in place of the usual one, see ``TableTask``; fitted on the rows to learn from.
        id: the task's name in records and results.

    Raises:
        ValueError: images or labels are malformed, there are too few of a class, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> X, y = np.random.rand(20, 8, 8), ["cat", "dog"] * 10
        >>> task = lm.task_from_arrays(X, y)
        >>> task.shape, task.classes, len(task.train), len(task.val), len(task.test)
        (ImageShape(channels=1, height=8, width=8), ('cat', 'dog'), 12, 4, 4)
        >>> lm.task_from_arrays(np.random.rand(20, 3), y, preprocessing=lm.kinds.Columns(scale="standardised")).shape
        RowShape(numbers=4)
    """
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test belong together: give both or neither.")
    tested = None
    if X_test is not None and y_test is not None:
        tested, test = (X_test, y_test), 0.0
    check_shares("task_from_arrays", val=val, test=test, drawn=tested is None, seed=seed)
    divided: Any = {"classes": classes, "group": group, "min_per_class": min_per_class, "targets": targets}
    if is_table(X):
        if channels is not None:
            raise ValueError(f"channels = {channels!r} is for images, and X is a table: leave it out.")
        return task_of_rows(
            id, X, y, shares=(None, val, test), seed=seed, tested=tested, preprocessing=preprocessing, **divided
        )
    if preprocessing is not None:
        raise ValueError("preprocessing is for a table, and X holds images: leave it out.")
    images = image_tensor(X, channels=channels)
    labelled = labelled_examples(len(images), y, noun="images", **divided)
    parts = [
        Split(as_floats(images[places]), labels.to(images.device))
        for places, labels in labelled.divided((None, val, test), seed)
    ]
    if tested is None:
        return labelled.task(id, parts)
    shown = image_tensor(tested[0], channels=channels, name="X_test")
    return labelled.task(id, parts, (as_floats(shown), tested[1]))


def images_by_class(images: Tensor, labels: Labels, classes: ClassNames | None) -> dict[str, Tensor]:
    """The images of each class as uint8, floats in [0, 1] rounded to it."""
    if images.dtype != torch.uint8:
        images = images.mul_(255).round_().byte()
    members = ClassifiedExamples(len(images), labels, noun="images", classes=classes).strata
    return {name: images[list(own)] for name, own in members.items()}


class ArraySource(ClassExamples, TaskSource):
    """Arrays of images of many classes, from which episodes and tasks are drawn.

    The classes are split as given, or at random by a seed. Images are kept as uint8, floats in [0, 1] rounded to it.

    Args:
        X: images, uint8 from 0 to 255 or floats in [0, 1]; shape ``(n, height, width)``, ``(n, channels, height,
            width)`` or ``(n, height, width, channels)``.
        y: one label an image: numbers, names, or whatever else is hashable.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.
        classes: names of the classes, as in ``task_from_arrays``; None takes the labels themselves.
        channels: whether the channels come ``first`` or ``last``, where the shape does not tell.
        name: the first part of the ids of this source's tasks.

    Raises:
        ValueError: images or labels are malformed, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> X, y = np.random.rand(60, 8, 8), np.arange(60) % 6
        >>> source = lm.kinds.ArraySource(X, y, fractions=(0.5, 0.0, 0.5))
        >>> source.classes("test")
        ('0', '1', '4')
        >>> lm.draw_task(source, way=2, train=5, val=2, test=3).classes
        ('0', '1')
    """

    def __init__(
        self,
        X: Images,
        y: Labels,
        *,
        train: Sequence[Hashable] | None = None,
        val: Sequence[Hashable] | None = None,
        test: Sequence[Hashable] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
        classes: ClassNames | None = None,
        channels: Channels | None = None,
        name: str = "arrays",
    ) -> None:
        images = image_tensor(X, channels=channels).cpu()
        self._shape = images.shape[1], images.shape[2], images.shape[3]
        listed: dict[Subset, Any] = {"train": train, "val": val, "test": test}
        super().__init__(
            name,
            images_by_class(images, y, classes),
            {
                subset: None if one is None else [str(plain_label(label)) for label in one]
                for subset, one in listed.items()
            },
            fractions=fractions,
            seed=seed,
            place=name,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: ``(channels, height, width)``."""
        return self._shape


def read_dataset(dataset: Dataset[Any]) -> tuple[Tensor, list[Any]]:
    """All images of a map-style data set, and their labels, each read once."""
    kind = type(dataset).__name__
    try:
        number = len(dataset)  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        raise ValueError(f"{kind} has no length: give a map-style data set, with __len__ and __getitem__.") from None
    if not number:
        raise ValueError(f"{kind} holds no images: give it some.")
    images: list[Tensor] = []
    labels: list[Any] = []
    for place in range(number):
        item = dataset[place]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ValueError(f"Item {place} of {kind} is not a pair of an image and a label: give such a data set.")
        images.append(pixels_of(item[0], f"Item {place} of {kind}"))
        labels.append(item[1])
    return one_shape(images, kind), labels


def names_of(dataset: Dataset[Any], labels: Sequence[Any]) -> ClassNames | None:
    """The names of the classes that labels are numbers of, as torchvision's data sets have; None of others."""
    names = getattr(dataset, "classes", None) or ()
    numbers = {number for label in labels if isinstance(number := plain_label(label), int)}
    if max(numbers, default=len(names)) >= len(names):
        return None
    return {number: str(names[number]) for number in numbers}


def task_from_dataset(
    dataset: Dataset[Any],
    test_dataset: Dataset[Any] | None = None,
    *,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    classes: ClassNames | None = None,
    channels: Channels | None = None,
    group: Groups | None = None,
    min_per_class: int | None = None,
    targets: Targets | None = None,
    preprocessing: Columns | None = None,
    id: str | None = None,
) -> Task:
    """Make a target task of a map-style data set of pairs (image, label), such as torchvision's.

    It is read into memory. Leave transforms that normalise out: images are uint8 or in [0, 1].

    Args:
        dataset: images are tensors, arrays or Pillow's, brought to 32x32 pixels if their shapes differ; or rows of
            numbers, shape ``(columns,)``.
        test_dataset: the test part, in the order in which it stays.
        val: share of each class to choose architectures by; 0 leaves the task without a validation part.
        test: share of each class to report accuracy on, where ``test_dataset`` is not given.
        seed: of the split, at least 0.
        classes: names of the classes, as in ``task_from_arrays``; None takes those of the data set if it has any.
        channels: whether the channels come ``first`` or ``last``, where the shape does not tell.
        group: of each item which others it belongs to, as in ``task_from_arrays``.
        min_per_class: classes with fewer items are left out, as those of ``FolderTask`` are.
        targets: what labels are learned as, as in ``task_from_arrays``.
        preprocessing: of rows of numbers, as in ``task_from_arrays``.
        id: the task's name in records and results; the data set's class by default.

    Raises:
        ValueError: the data set is malformed, has too few examples of a class, or an argument is out of its range.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> data = TensorDataset(torch.rand(20, 3, 8, 8), torch.arange(20) % 2)
        >>> lm.task_from_dataset(data, classes=["cat", "dog"]).shape
        ImageShape(channels=3, height=8, width=8)
    """
    images, labels = read_dataset(dataset)
    tested, given = None, None
    if test_dataset is not None:
        # Torchvision's `ImageFolder` numbers what it finds: where a part lacks a class, its number is another one's.
        if getattr(test_dataset, "classes", None) not in (None, getattr(dataset, "classes", None)):
            raise ValueError("The test data have other classes than the data: give both the same, in the same order.")
        tested, given = read_dataset(test_dataset)
    return task_from_arrays(
        images,
        labels,
        tested,
        given,
        val=val,
        test=test,
        seed=seed,
        classes=classes or names_of(dataset, labels),
        channels=channels,
        group=group,
        min_per_class=min_per_class,
        targets=targets,
        preprocessing=preprocessing,
        id=id or type(dataset).__name__.lower(),
    )


class DatasetSource(ArraySource):
    """A map-style data set of pairs (image, label), from which episodes and tasks are drawn. It is read into memory.

    Args:
        dataset: images are tensors, arrays or Pillow's, all of one shape, uint8 or in [0, 1].
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.
        classes: names of the classes, as in ``task_from_arrays``; None takes those of the data set if it has any.
        channels: whether the channels come ``first`` or ``last``, where the shape does not tell.
        name: the first part of the ids of this source's tasks; the data set's class by default.

    Raises:
        ValueError: the data set is malformed, or an argument is out of its range.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> data = TensorDataset(torch.rand(60, 3, 8, 8), torch.arange(60) % 6)
        >>> source = lm.kinds.DatasetSource(data, train=[0, 1, 2, 3], test=[4, 5])
        >>> lm.tasks.draw_episode(source, "train", seed=0, epoch=0, index=0, way=2, shot=1, query=3).query.inputs.shape
        torch.Size([6, 3, 8, 8])
    """

    def __init__(
        self,
        dataset: Dataset,  # type: ignore[type-arg]  # jsonargparse knows no arguments of what `Dataset[Any]` may be
        *,
        train: Sequence[Hashable] | None = None,
        val: Sequence[Hashable] | None = None,
        test: Sequence[Hashable] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
        classes: ClassNames | None = None,
        channels: Channels | None = None,
        name: str | None = None,
    ) -> None:
        images, labels = read_dataset(dataset)
        super().__init__(
            images,
            labels,
            train=train,
            val=val,
            test=test,
            fractions=fractions,
            seed=seed,
            classes=classes or names_of(dataset, labels),
            channels=channels,
            name=name or type(dataset).__name__.lower(),
        )
