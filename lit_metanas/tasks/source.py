"""A labelled collection from which episodes and target tasks are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor
from torch.utils.data import Dataset

from lit_metanas.inputs import Preprocessing, Shape
from lit_metanas.inputs.batches import join_inputs
from lit_metanas.io.settings import keeps_arguments

Subset = Literal["train", "val", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "val", "test")


@keeps_arguments()
class TaskSource(ABC):
    """Labelled examples, split into class-disjoint meta-train, meta-validation and meta-test subsets.

    Example:
        >>> class Greys(lm.TaskSource):
        ...     shape = (1, 8, 8)
        ...     def classes(self, subset):
        ...         return ("black", "grey", "white")
        ...     def instances(self, subset, class_index, held_out=False):
        ...         return 0 if held_out else 10
        ...     def inputs(self, subset, class_index, instances, held_out=False):
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
    def shape(self) -> Shape:
        """Shape of one input, for instance ``(channels, height, width)`` of an image."""

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What makes the inputs of raw examples, such as sentences; None for images."""
        return None

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:  # noqa: B027  (images have none)
        """Take what made the inputs that the model was meta-trained on, if the source leaves it open.

        Args:
            preprocessing: of raw examples.
        """

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
        """Return how many examples a class has.

        Args:
            subset: the subset of the class.
            class_index: which of its classes.
            held_out: count the examples that are reserved for the test part of target tasks (of faces, drawers,
                speakers, … that the other examples do not show) instead of the ordinary ones.
        """

    def episode_instances(self, subset: Subset, class_index: int) -> int:
        """Return how many of the ordinary examples episodes may use: the first so many, all by default."""
        return self.instances(subset, class_index)

    @abstractmethod
    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return examples of one class, shape ``(n, *shape)``: images as uint8, series as float32, tokens as int64."""

    def inputs_of_classes(
        self, subset: Subset, class_indices: Sequence[int], instances: Sequence[Sequence[int]], held_out: bool = False
    ) -> Tensor:
        """Return examples of several classes, one class after the other, padded to the longest.

        A source may pick them faster than class by class.

        Args:
            subset: the subset of the classes.
            class_indices: which of its classes.
            instances: which examples of each of them.
            held_out: whether these are the reserved ones.
        """
        each = zip(class_indices, instances, strict=True)
        return join_inputs([self.inputs(subset, index, chosen, held_out) for index, chosen in each])


def check_source(source: object) -> None:
    """Refuse what is no source of tasks, such as a data set of torch's."""
    if not isinstance(source, TaskSource):
        call = ("ArraySource(images, labels)", "DatasetSource(...)")[isinstance(source, Dataset)]
        raise ValueError(
            f"source is a {type(source).__name__}, which is not a source of tasks: make one by lm.kinds.{call}."
        )
