"""A labelled collection from which episodes and target tasks are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor
from torch.utils.data import Dataset

from lit_metanas.io.settings import keeps_arguments

Subset = Literal["train", "val", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "val", "test")


@keeps_arguments()
class TaskSource(ABC):
    """Labelled images, split into class-disjoint meta-train, meta-validation and meta-test subsets.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> class Greys(lm.TaskSource):
        ...     shape = (1, 8, 8)
        ...     def classes(self, subset):
        ...         return ("black", "grey", "white")
        ...     def instances(self, subset, class_index, held_out=False):
        ...         return 0 if held_out else 10
        ...     def images(self, subset, class_index, instances, held_out=False):
        ...         return torch.full((len(instances), *self.shape), 100 * class_index, dtype=torch.uint8)
        >>> lm.draw_task(Greys(), way=3, train=5, val=2, test=3).test.inputs.shape
        torch.Size([9, 1, 8, 8])
    """

    @property
    def name(self) -> str:
        """A short name, the first part of the ids of this source's tasks."""
        return type(self).__name__.lower()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: ``(channels, height, width)``."""

    def prepare(self) -> None:  # noqa: B027  (most sources have nothing to prepare)
        """Do what is done once for all processes: render, cache. Called on one process only."""

    @abstractmethod
    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the names of a subset's classes; a class index is a position in this tuple."""

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the group (alphabet, script) of each class of a subset, for episodes within one group."""
        return ("all",) * len(self.classes(subset))

    @abstractmethod
    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return how many images a class has.

        Args:
            subset: the subset of the class.
            class_index: which of its classes.
            held_out: count the images that are reserved for the test part of target tasks (of faces, drawers, …
                that the other images do not show) instead of the ordinary ones.
        """

    def episode_instances(self, subset: Subset, class_index: int) -> int:
        """Return how many of the ordinary images episodes may use: the first so many, all by default."""
        return self.instances(subset, class_index)

    @abstractmethod
    def images(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return images of one class, uint8, shape ``(n, channels, height, width)``."""


def check_source(source: object) -> None:
    """Find what is not a source of tasks, such as a data set of torch's.

    Raises:
        ValueError: it is none; the message says how to make one.
    """
    if not isinstance(source, TaskSource):
        kind = type(source).__name__
        wrapped = "lm.DatasetSource(...)" if isinstance(source, Dataset) else "lm.ArraySource(images, labels)"
        raise ValueError(f"source is a {kind}, which is not a source of tasks: make one by {wrapped}.")
