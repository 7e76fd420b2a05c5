"""Arrays of images, or tables of numbers, and labels as a target task or a task source."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence

import torch
from torch import Tensor

from lit_metanas.inputs.input_checks import in_unit_range
from lit_metanas.kinds.images.image_arrays import Channels, Images, image_tensor
from lit_metanas.kinds.rows.row_tasks import LabelledRows, is_table
from lit_metanas.kinds.rows.standardised_columns import NumericColumns
from lit_metanas.tasks.labels import (
    ClassNames,
    Groups,
    Labels,
    class_indices,
    class_names,
    group_names,
    label_list,
    plain_label,
)
from lit_metanas.tasks.source import Subset, TaskSource
from lit_metanas.tasks.splits import (
    by_class,
    check_held_out_shares,
    class_subsets,
    kept_labels,
    large_classes,
    split_examples,
    warn_of_repeats,
)
from lit_metanas.tasks.task import Split, Task, check_task


def _places(labels: Sequence[Hashable], names: Mapping[Hashable, str]) -> dict[str, list[int]]:
    """The places of the images of each class, by its name."""
    places: dict[str, list[int]] = {name: [] for name in names.values()}
    for place, label in enumerate(labels):
        places[names[label]].append(place)
    return places


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
    preprocessing: NumericColumns | None = None,
    id: str = "arrays",
) -> Task:
    """Make a target task of arrays. Each class is split at random by the shares, unless the test part is given.

    A given test part is taken as it is, and what it repeats is told. Rows of a table become ``StandardisedColumns`` by
    the means and deviations of the rows to learn from, and a missing value (NaN) takes the mean of its column.

    Args:
        X: images, uint8 from 0 to 255 or floats in [0, 1]; shape ``(n, height, width)``, ``(n, channels, height,
            width)`` or ``(n, height, width, channels)``. Or a table of numbers, ``(n, columns)``, but not of uint8,
            which are taken for pixels.
        y: one label an image or row: numbers, names, or whatever else is hashable.
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
        preprocessing: of a table, in place of ``StandardisedColumns``.
        id: the task's name in records and results.

    Raises:
        ValueError: images or labels are malformed, there are too few of a class, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> import lit_metanas as lm
        >>> X, y = np.random.rand(20, 8, 8), ["cat", "dog"] * 10
        >>> task = lm.task_from_arrays(X, y)
        >>> task.shape, task.classes, len(task.train), len(task.val), len(task.test)
        (ImageShape(channels=1, height=8, width=8), ('cat', 'dog'), 12, 4, 4)
        >>> lm.task_from_arrays(np.random.rand(20, 3), y).preprocessing.columns
        3
    """
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test belong together: give both or neither.")
    share = test if X_test is None else 0.0
    check_held_out_shares(val=val, test=share, drawn=X_test is None, seed=seed)
    if is_table(X):
        if channels is not None:
            raise ValueError(f"channels = {channels!r} is for images, and X is a table of numbers: leave it out.")
        tested = None if X_test is None or y_test is None else (X_test, y_test)
        named = () if preprocessing is None else preprocessing.names
        rows = LabelledRows(X, y, classes=classes, names=named, group=group, min_per_class=min_per_class)
        return rows.task(id, val=val, test=share, seed=seed, tested=tested, preprocessing=preprocessing)
    if preprocessing is not None:
        raise ValueError("preprocessing is for a table of numbers, and X holds images: leave it out.")
    images = image_tensor(X, channels=channels)
    labels = label_list(y, len(images))
    names = class_names(labels, classes)
    places = large_classes(_places(labels, names), min_per_class, "X")
    groups = None if group is None else group_names(group, len(images), "images")
    train_part, val_part, test_part = split_examples(
        {name: images[own] for name, own in places.items()},
        train=None,
        val=val,
        test=share,
        seed=seed,
        culprit="Class {!r}".format,
        groups=by_class(groups, places),
    )
    if X_test is not None and y_test is not None:
        test_part = _test_part(X_test, y_test, names, places, channels)
        warn_of_repeats("X_test", [train_part.inputs, val_part.inputs], test_part.inputs)
    task = Task(
        id=id,
        way=len(places),
        train=train_part,
        val=val_part if len(val_part) else None,
        test=test_part,
        classes=tuple(places),
    )
    check_task(task)
    return task


def _test_part(
    X_test: Images, y_test: Labels, names: Mapping[Hashable, str], kept: Collection[str], channels: Channels | None
) -> Split:
    """The test part in its own order, without the classes that were left out."""
    images = in_unit_range(image_tensor(X_test, channels=channels, name="X_test"))
    labels = label_list(y_test, len(images), name="y_test", images="X_test")
    places, order = kept_labels(labels, names, kept)
    return Split(images[places], class_indices([labels[place] for place in places], order).to(images.device))


class ArraySource(TaskSource):
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
        ValueError: images or labels are malformed, a named class does not exist or is named twice, or the fractions
            are negative or do not sum to 1.

    Example:
        >>> import numpy as np
        >>> import lit_metanas as lm
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
        labels = label_list(y, len(images))
        names = class_names(labels, classes)
        images = images if images.dtype == torch.uint8 else images.mul_(255).round_().byte()
        self._shape = tuple(images.shape[1:])
        self._name = name
        listed: dict[Subset, Sequence[Hashable] | None] = {"train": train, "val": val, "test": test}
        self._classes = class_subsets(
            list(names.values()),
            {subset: None if one is None else [str(plain_label(x)) for x in one] for subset, one in listed.items()},
            fractions=fractions,
            seed=seed,
            owner=type(self).__name__,
            place=name,
        )
        self._members = {name: images[own] for name, own in _places(labels, names).items()}

    @property
    def name(self) -> str:
        """The name that was given."""
        return self._name

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: ``(channels, height, width)``."""
        channels, height, width = self._shape
        return channels, height, width

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the names of a subset's classes."""
        return self._classes[subset]

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return how many images a class has; none is held out."""
        return 0 if held_out else len(self._members[self._classes[subset][class_index]])

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return images of one class, uint8, shape ``(n, channels, height, width)``."""
        return self._members[self._classes[subset][class_index]][list(instances)]
