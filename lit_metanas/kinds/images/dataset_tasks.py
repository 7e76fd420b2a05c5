"""Torch's data sets of images, or of rows of numbers, and labels as a target task or a task source."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from lit_metanas.kinds.images.array_tasks import ArraySource, task_from_arrays
from lit_metanas.kinds.images.image_arrays import Channels, one_shape, pixels_of
from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.tasks.labels import ClassNames, Groups, plain_label
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.task import Task


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
