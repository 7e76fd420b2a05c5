"""Records of earlier searches, one task a batch, as a Lightning data module."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from lit_metanas.io.text import number_of
from lit_metanas.records.record import SearchRecord, TaskScores, best_trials, by_task, cost_of
from lit_metanas.records.record_lines import records_of_space
from lit_metanas.spaces.encodings import Encoding


class RecordDataModule(LightningDataModule):
    """The results of searches on many tasks, for models that learn from them where to search on a new task.

    All searches of one task are one batch, a ``TaskScores``. It has each architecture once. If an architecture was
    tried more often, the highest fidelity counts, then the longest recorded training, then the first. Trials that
    failed, were given up or have no score are left out, and so are tasks with fewer than two scores.

    Args:
        paths: files of records, such as the ``records.jsonl`` of several searches.
        encoding: of the space that was searched; records of a smaller space are accepted.
        records: further records in memory, such as ``record_of`` an Optuna study.

    Attributes:
        train: the tasks to learn from, after ``setup``.

    Example:
        >>> encoding = lm.spaces.OneHotEncoding(lm.LayeredSpace(shared=True))
        >>> data = lm.surrogates.RecordDataModule(["search/records.jsonl"], encoding=encoding)
        >>> data.train
        ()
    """

    def __init__(
        self,
        paths: list[str] | None = None,
        *,
        encoding: Encoding,
        records: Sequence[SearchRecord] = (),
    ) -> None:
        super().__init__()
        if not paths and not records:
            raise ValueError("RecordDataModule has no records: give at least one file, such as RUN/records.jsonl.")
        self.paths = paths or []
        self.records = tuple(records)
        self.encoding = encoding
        self.train: tuple[TaskScores, ...] = ()

    def setup(self, stage: str) -> None:
        """Read the files; ValueError if no task has two scores, or if records do not fit."""
        if self.train:
            return
        if getattr(self.trainer, "world_size", 1) > 1:
            raise ValueError("RecordDataModule is for one process, which fits a task in seconds: set devices to 1.")
        tasks = {}
        for name, records in by_task(records_of_space(self.paths, self.records, self.encoding.space)).items():
            scores = self._merge(name, records)
            if len(scores) > 1:
                tasks[name] = scores
            else:
                warnings.warn(f"Task '{name}', left out: it has {number_of(len(scores), 'score')}.", stacklevel=2)
        if not tasks:
            raise ValueError("The records have no task with two scores to learn from: search more.")
        self.train = tuple(tasks.values())

    def train_dataloader(self) -> DataLoader[TaskScores]:
        """Return a loader of the tasks to learn from."""
        tasks: Any = self.train  # a tuple serves as a data set
        return DataLoader(tasks, batch_size=None)

    def _merge(self, name: str, records: Sequence[SearchRecord]) -> TaskScores:
        """All searches of a task."""
        best = best_trials(records, lambda trial: self.encoding.space.canonical(trial.architecture))
        return TaskScores(
            task_id=name,
            features=self.encoding(list(best)),
            scores=torch.tensor([trial.value for trial in best.values()], dtype=torch.float64),
            architectures=tuple(best),
            cost=cost_of(records),
        )
