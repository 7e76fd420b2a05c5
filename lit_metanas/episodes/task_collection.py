"""A fixed list of target tasks."""

from __future__ import annotations

from abc import abstractmethod

from torch.utils.data import Dataset

from lit_metanas.episodes.task import Task


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
