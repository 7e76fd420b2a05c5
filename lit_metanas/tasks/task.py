"""A task, an episode, and a collection of tasks."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import Dataset


# Not frozen, for Lightning's precision plugins refuse frozen dataclasses in batches; treat all three as immutable.
@dataclass(eq=False)
class Split:
    """Labelled examples.

    Attributes:
        inputs: images, shape ``(n, channels, height, width)``, float32 in [0, 1].
        labels: class indices in ``[0, way)``, shape ``(n,)``, int64.
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Split:
        """Return the same examples on another device."""
        return Split(
            self.inputs.to(device, non_blocking=non_blocking),
            self.labels.to(device, non_blocking=non_blocking),
        )


@dataclass(eq=False)
class Task:
    """One classification problem with its train, validation and test examples.

    Attributes:
        id: a name that identifies the task in records and results.
        way: number of classes.
        train: examples to learn from.
        val: examples to choose architectures by; an episode has none.
        test: examples to report accuracy on.
        classes: the names of the classes, in the order of their labels.
    """

    id: str
    way: int
    train: Split
    val: Split | None
    test: Split
    classes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one input: ``(channels, height, width)``."""
        channels, height, width = self.train.inputs.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the same task on another device."""
        return replace(
            self,
            train=self.train.to(device, non_blocking),
            val=None if self.val is None else self.val.to(device, non_blocking),
            test=self.test.to(device, non_blocking),
        )


@dataclass(eq=False)
class Episode(Task):
    """A small task without validation part: ``support`` to adapt on, ``query`` to be judged by."""

    @property
    def support(self) -> Split:
        """The train part: ``way * shot`` examples, ordered by class."""
        return self.train

    @property
    def query(self) -> Split:
        """The test part."""
        return self.test

    @property
    def shot(self) -> int:
        """Support examples a class."""
        return len(self.train) // self.way


class TaskCollection(Dataset[Task]):
    """Target tasks, each with train, validation and test examples, all of one input shape."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Shape of one input: ``(channels, height, width)``."""

    def prepare(self) -> None:
        """Do what is done once for all processes: render, cache. Called on one process only."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of tasks."""

    @abstractmethod
    def __getitem__(self, index: int) -> Task:
        """Return one task; the same index always gives the same task."""
