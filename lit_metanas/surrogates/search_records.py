"""Records of earlier searches, one task a batch, as a Lightning data module."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from lit_metanas.io.text import number_of
from lit_metanas.records.record import SearchRecord, TaskScores, best_trials, by_task, cost_of
from lit_metanas.records.record_lines import records_of_space
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.encodings import Encoding
from lit_metanas.tasks.target_data import RankSampler


class RecordDataModule(LightningDataModule):
    """The results of searches on many tasks, for models that learn from them where to search on a new task.

    All searches of one task are one batch, a ``TaskScores``. It has each architecture once. If an architecture was
    tried more often, the highest fidelity counts, then the longest recorded training, then the first. Trials that
    failed, were given up or have no score are left out, and so are tasks with fewer than two scores. Validation holds
    out whole tasks, never single trials.

    Args:
        paths: files of records, such as the ``records.jsonl`` of several searches.
        encoding: of the space that was searched.
        records: further records in memory, such as ``record_of`` an Optuna study.
        space: of the records; by default the encoding's. Records of a smaller space are accepted.
        val_tasks: the ids of the tasks to validate on, or their share; 0 for none.
        seed: of the drawn share and of the order of the tasks in each epoch.

    Attributes:
        train: the tasks to learn from, after ``setup``.
        val: the held-out tasks, after ``setup``.

    Example:
        >>> encoding = lm.spaces.OneHotEncoding(lm.LayeredSpace(shared=True))
        >>> data = lm.surrogates.RecordDataModule(["search/records.jsonl"], encoding=encoding, val_tasks=0.25)
        >>> data.val_tasks
        0.25
    """

    def __init__(
        self,
        paths: list[str] | None = None,
        *,
        encoding: Encoding,
        records: Sequence[SearchRecord] = (),
        space: ChoiceSpace | None = None,
        val_tasks: list[str] | float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not paths and not records:
            raise ValueError("RecordDataModule has no records: give at least one file, such as RUN/records.jsonl.")
        if not isinstance(val_tasks, list) and not 0 <= val_tasks < 1:
            raise ValueError(
                f"RecordDataModule: val_tasks = {val_tasks} is not a share; give task ids, or 0 to below 1."
            )
        self.paths = paths or []
        self.records = tuple(records)
        self.encoding = encoding
        self.space = space or encoding.space
        self.val_tasks = val_tasks
        self.seed = seed
        self.train: tuple[TaskScores, ...] = ()
        self.val: tuple[TaskScores, ...] = ()

    def setup(self, stage: str) -> None:
        """Read the files and split the tasks; ValueError if there are too few, or if records do not fit."""
        if self.train:
            return
        tasks = {}
        for name, records in by_task(records_of_space(self.paths, self.records, self.space)).items():
            scores = self._merge(name, records)
            if len(scores) > 1:
                tasks[name] = scores
            else:
                warnings.warn(f"Task '{name}', left out: it has {number_of(len(scores), 'score')}.", stacklevel=2)
        _check_embeddings(tasks)
        held_out = self._choose_validation_tasks(list(tasks))
        self.train = tuple(scores for name, scores in tasks.items() if name not in held_out)
        self.val = tuple(scores for name, scores in tasks.items() if name in held_out)
        if len(self.train) < self._world:
            raise ValueError(
                f"The records have scores of {number_of(len(tasks), 'task')}, {len(self.val)} of them held out: to "
                f"learn from, there must be {number_of(self._world, 'other')}, one for each process, so search more "
                "tasks, or hold out fewer."
            )
        if 0 < len(self.val) < self._world:
            raise ValueError(
                f"Too few held-out tasks: {len(self.val)} for {self._world} processes, one of which would have none: "
                "hold out more, or lower trainer.devices."
            )

    def train_dataloader(self) -> DataLoader[TaskScores]:
        """Return a loader of this process's tasks, in another order each epoch."""
        tasks: Any = self.train  # a tuple serves as a data set
        sampler: DistributedSampler[TaskScores] = DistributedSampler(
            tasks, num_replicas=self._world, rank=self._rank, seed=self.seed
        )
        return DataLoader(tasks, batch_size=None, sampler=sampler)

    def val_dataloader(self) -> list[DataLoader[TaskScores]]:
        """Return a loader of this process's held-out tasks; an empty list if none are held out."""
        if not self.val:
            return []
        tasks: Any = self.val
        sampler = RankSampler(len(tasks), self._rank, self._world)
        return [DataLoader(tasks, batch_size=None, sampler=sampler)]

    @property
    def _world(self) -> int:
        return getattr(self.trainer, "world_size", 1)

    @property
    def _rank(self) -> int:
        return getattr(self.trainer, "global_rank", 0)

    def _merge(self, name: str, records: Sequence[SearchRecord]) -> TaskScores:
        """All searches of a task."""
        best = best_trials(records, lambda trial: self.space.canonical(trial.architecture))
        embedding = next((record.embedding for record in records if record.embedding), ())
        return TaskScores(
            task_id=name,
            features=self.encoding(list(best)),
            scores=torch.tensor([trial.value for trial in best.values()], dtype=torch.float64),
            embedding=torch.tensor(embedding, dtype=torch.float64),
            architectures=tuple(best),
            cost=cost_of(records),
        )

    def _choose_validation_tasks(self, names: list[str]) -> set[str]:
        """The tasks to validate on."""
        if isinstance(self.val_tasks, list):
            if missing := [name for name in self.val_tasks if name not in names]:
                known = ", ".join([*names[:20], "…"][: len(names)])
                raise ValueError(f"The records have no task '{missing[0]}' to validate on: they have {known}.")
            return set(self.val_tasks)
        if not self.val_tasks:
            return set()
        number = max(1, round(self.val_tasks * len(names)))
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(self.seed))
        return {names[place] for place in order[:number].tolist()}


def _check_embeddings(tasks: dict[str, TaskScores]) -> None:
    """Refuse tasks whose embeddings differ in length, which cannot be compared."""
    by_length = {len(scores.embedding): name for name, scores in tasks.items()}
    if len(by_length) > 1:
        (one, first), (other, second) = sorted(by_length.items())[:2]
        raise ValueError(
            f"Tasks '{first}' and '{second}' have embeddings of {one} and {other} numbers: make the records with one "
            "and the same embedding, or leave some files out."
        )
