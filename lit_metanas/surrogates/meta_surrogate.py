"""The meta-training of a transfer surrogate on records of earlier searches, its data, and its checkpoints."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf, isfinite
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import nn
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import finite_tensor, load_plain
from lit_metanas.io.files import existing_file
from lit_metanas.io.text import number_of
from lit_metanas.records.plain import from_plain
from lit_metanas.records.record import Cost, SearchRecord, TaskScores, best_trials, by_task, cost_of
from lit_metanas.records.record_lines import records_of_space
from lit_metanas.spaces.encodings import Encoding
from lit_metanas.surrogates.gaussian_process import GroupedKernel
from lit_metanas.surrogates.transfer import SourceGP, TransferSurrogate, fit_source

SURROGATE_KEY = "lit_metanas_surrogate"
SURROGATE_SCHEMA = 1


def surrogate_entry(encoding: Encoding, surrogate: TransferSurrogate) -> dict[str, Any]:
    """The entry that goes into the checkpoint under ``SURROGATE_KEY``."""
    return {
        "schema": SURROGATE_SCHEMA,
        **_frame(encoding),
        "scales": surrogate.kernel.scales,
        "mean": surrogate.mean,
        "sources": [
            {**asdict(source), "elite": [architecture.to_json() for architecture in source.elite]}
            for source in surrogate.sources
        ],
    }


def read_surrogate(path: str | os.PathLike[str], encoding: Encoding) -> TransferSurrogate:
    """Read a checkpoint that ``fit`` of ``MetaSurrogate`` wrote, onto the CPU, without executing code."""
    file = existing_file(path, "checkpoint", "give the path of one that `fit` wrote")
    try:
        content = load_plain(file)
    except DAMAGED:
        raise ValueError(f"'{file}' is damaged: give a checkpoint that `fit` of MetaSurrogate wrote.") from None
    return restore_surrogate(content, encoding, str(file))


def restore_surrogate(content: Any, encoding: Encoding, name: str) -> TransferSurrogate:
    """The surrogate of a loaded checkpoint; ValueError if it is damaged, newer, or of another space or encoding."""
    if not isinstance(content, Mapping) or content.get(SURROGATE_KEY) is None:
        raise ValueError(f"'{name}' is not a meta-surrogate: give a checkpoint that `fit` of MetaSurrogate wrote.")
    entry = content[SURROGATE_KEY]
    damaged = ValueError(f"'{name}' is damaged: give a checkpoint that `fit` of MetaSurrogate wrote.")
    if not isinstance(entry, Mapping):
        raise damaged
    schema = entry.get("schema")
    if isinstance(schema, int) and schema > SURROGATE_SCHEMA:
        raise ValueError(f"'{name}' was written by a newer version of lit_metanas: upgrade.")
    frame = _frame(encoding)
    try:
        others = [key for key, ours in frame.items() if json.dumps(entry[key]) != json.dumps(ours)]
    except DAMAGED as error:
        raise damaged from error
    if others:
        ours = str(frame[others[0]])[:200]
        raise ValueError(
            f"'{name}' was fitted with another {others[0]} than {ours}: give the space and encoding of its `fit`."
        )
    try:
        groups = len(encoding.groups)
        scales, mean = finite_tensor(entry["scales"], groups), finite_tensor(entry["mean"], groups + 2)
        if bool((scales <= 0).any()):
            raise ValueError("a scale is not positive")
        sources = [_source(row, encoding) for row in entry["sources"]]
    except DAMAGED as error:
        raise damaged from error
    return TransferSurrogate(GroupedKernel(encoding.groups, scales), sources, mean)


def _frame(encoding: Encoding) -> dict[str, Any]:
    """The values that checkpoint and search must share."""
    return {
        "encoding": type(encoding).__name__,
        "space": encoding.space.name,
        "choices": {choice.name: list(choice.labels) for choice in encoding.space.choices},
        "widths": list(encoding.groups),
    }


def _source(row: Mapping[str, Any], encoding: Encoding) -> SourceGP:
    """Read one source; one of ``DAMAGED`` if a part is missing or does not fit."""
    features = finite_tensor(row["features"], -1, sum(encoding.groups))
    source = SourceGP(
        task_id=row["task_id"],
        parameters=finite_tensor(row["parameters"], len(encoding.groups) + 2).double(),
        features=features.double(),
        weights=finite_tensor(row["weights"], len(features)).double(),
        location=float(row["location"]),
        spread=float(row["spread"]),
        elite=tuple(encoding.space.canonical(labels) for labels in row["elite"]),
        cost=from_plain(Cost, row["cost"], "its cost"),
    )
    if not isinstance(source.task_id, str) or not isfinite(source.location) or not 0 < source.spread < inf:
        raise ValueError("a source has no name, or is not scaled")
    return source


class MetaSurrogate(LightningModule):
    """A two-stage transfer surrogate, meta-trained on ``RecordDataModule`` in one epoch.

    A training step takes one task and fits its Gaussian process (``SourceGP``). It then moves the prior of a new task's
    kernel to the mean over the tasks so far.

    ``MetaSampler`` searches with its checkpoint, which holds tensors and plain values.

    Args:
        encoding: of the space that was searched.

    Example:
        >>> encoding = lm.spaces.OneHotEncoding(lm.LayeredSpace(shared=True))
        >>> lm.surrogates.MetaSurrogate(encoding=encoding).sources
        {}
    """

    def __init__(self, *, encoding: Encoding) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.encoding = encoding
        self.sources: dict[str, SourceGP] = {}
        self.kernel = GroupedKernel.of(encoding.candidates.features, encoding.groups)
        self.mean = nn.Parameter(self.kernel.prior.mean.clone())

    @property
    def surrogate(self) -> TransferSurrogate:
        """The surrogate so far; without any task a plain Gaussian process."""
        return TransferSurrogate(self.kernel, list(self.sources.values()), self.mean.detach().cpu())

    def configure_optimizers(self) -> Optimizer:
        """SGD of rate 1, whose step moves the prior's mean to that of the tasks."""
        return SGD(self.parameters(), lr=1.0)

    def training_step(self, batch: TaskScores, batch_idx: int) -> None:
        """Learn from one task."""
        source = fit_source(batch.to("cpu"), self.kernel, self.encoding.candidates.features)
        self.sources = dict(sorted({**self.sources, source.task_id: source}.items()))
        mean = torch.stack([source.parameters for source in self.sources.values()]).mean(0)
        self.mean.grad = self.mean.detach() - mean.to(self.mean)
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.step()
        self.log("train/tasks", float(len(self.sources)), batch_size=1, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the entry that the sampler reads."""
        checkpoint[SURROGATE_KEY] = surrogate_entry(self.encoding, self.surrogate)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the sources; ValueError if the checkpoint is none of this space and encoding."""
        surrogate = restore_surrogate(checkpoint, self.encoding, "The checkpoint")
        self.sources = {source.task_id: source for source in surrogate.sources}


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
            best = best_trials(records, lambda trial: self.encoding.space.canonical(trial.architecture))
            scores = TaskScores(
                task_id=name,
                features=self.encoding(list(best)),
                scores=torch.tensor([trial.value for trial in best.values()], dtype=torch.float64),
                architectures=tuple(best),
                cost=cost_of(records),
            )
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
