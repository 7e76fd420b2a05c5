"""The data modules of tasks: of target tasks, and of tasks to meta-train on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lit_metanas.inputs.preprocessing import check_range
from lit_metanas.inputs.shapes import Shape, describe_shape, same_shape
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.tasks.episode_data import MOST_EPISODES, RankedData, StepTasks
from lit_metanas.tasks.episode_loader import EpisodeKey, EpisodeLoader, EpisodeSampler
from lit_metanas.tasks.task import Task, TaskCollection


class TargetTaskDataModule(RankedData):
    """One target task a batch; process ``rank`` gets the tasks whose index equals its number modulo their number.

    Args:
        tasks: the target tasks.
        num_workers: processes that draw tasks ahead; 0 draws in the main process.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6, fractions=(0.5, 0.0, 0.5))
        >>> data = lm.tasks.TargetTaskDataModule(lm.tasks.DrawnTasks(source, way=2, train=5, val=2, test=3, tasks=4))
        >>> [whole.task.id for whole in data.predict_dataloader()]
        ['arrays/test/0', 'arrays/test/1', 'arrays/test/2', 'arrays/test/3']
    """

    def __init__(self, tasks: TaskCollection, num_workers: int = 0) -> None:
        super().__init__()
        self.tasks = tasks
        self.num_workers = num_workers

    @property
    def shape(self) -> Shape:
        """Shape of one input."""
        return self.tasks.shape

    def prepare_data(self) -> None:
        """Prepare the tasks' source, on one process."""
        self.tasks.prepare()

    def setup(self, stage: str) -> None:
        """Bring the tasks to the ``input_shape`` and ``preprocessing`` of the module that is run; check the division.

        A process without a task would keep the others waiting for ever.

        Raises:
            ValueError: there are fewer tasks than processes.
        """
        module = getattr(self.trainer, "lightning_module", None)
        if (shape := getattr(module, "input_shape", None)) is not None:
            self.tasks.bring_to(shape)
        if (preprocessing := getattr(module, "preprocessing", None)) is not None:
            self.tasks.take_preprocessing(preprocessing)
        if len(self.tasks) < self.world_size:
            raise ValueError(
                f"Too few target tasks: {len(self.tasks)} for {self.world_size} processes, one of which would have "
                "none: give more tasks, or lower trainer.devices."
            )

    def predict_dataloader(self) -> DataLoader[Task]:
        """Return a loader of this process's tasks, each a ``WholeTask``."""
        return DataLoader(
            self.tasks,
            batch_size=1,
            sampler=self.own_share(self.tasks),
            num_workers=self.num_workers,
            collate_fn=_only,
        )

    def on_after_batch_transfer(self, batch: WholeTask, dataloader_idx: int) -> Task:
        """The task itself, its examples in the Trainer's precision."""
        assert self.trainer is not None
        task, convert = batch.task, self.trainer.precision_plugin.convert_input
        return replace(task, train=convert(task.train), val=convert(task.val), test=convert(task.test))


def _only(tasks: list[Task]) -> WholeTask:
    (task,) = tasks
    return WholeTask(task)


MOST_KEPT = 64  # tasks of a collection that are kept in memory rather than made again


class WholeTask:
    """A task in a batch, which Lightning leaves as it is."""

    # It changes the precision of other batches part by part, and fails at a frozen part, such as a task's objective.

    def __init__(self, task: Task) -> None:
        self.task = task

    def to(self, device: torch.device | str, non_blocking: bool = False) -> WholeTask:
        """Return the same on another device."""
        return WholeTask(self.task.to(device, non_blocking))


@dataclass(eq=False)
class ShuffledTasks(Dataset[WholeTask]):
    """The tasks of a collection again and again, each once in a pass, in an order that a seed draws for each pass."""

    # Passes go on from one epoch, of `per_epoch` tasks, to the next. Without a seed the collection's order stays.

    tasks: TaskCollection
    seed: int | None
    per_epoch: int
    _kept: dict[int, WholeTask] = field(default_factory=dict, init=False)

    def __getitem__(self, key: EpisodeKey) -> WholeTask:
        epoch, index = key
        passes, place = divmod(epoch * self.per_epoch + index, len(self.tasks))
        if self.seed is not None:
            place = int(np.random.default_rng((self.seed, passes)).permutation(len(self.tasks))[place])
        if place in self._kept:
            return self._kept[place]
        whole = WholeTask(self.tasks[place])
        if len(self.tasks) <= MOST_KEPT:
            self._kept[place] = whole
        return whole


@keeps_arguments()
class TrainingTaskDataModule(StepTasks):
    """Tasks to meta-train on: batches are lists of them, ``tasks_per_step`` over all processes.

    A training task is a function of (seed, epoch, index), whatever the number of processes; each is taken once before
    any is taken again. Validation tasks are the first ones of their collection, in every epoch.

    Args:
        train: the tasks to meta-train on.
        val: the tasks of validation, others than those of ``train``; None leaves it out.
        tasks_per_step: tasks an outer step, over all processes: a multiple of their number. None takes one a process.
        steps_per_epoch: outer steps an epoch.
        val_tasks: tasks of a validation, over all processes; fewer where there are no more.
        seed: of the order of the training tasks, at least 0.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
        >>> tasks = lm.tasks.DrawnTasks(source, "train", way=2, train=4, val=2, test=2, tasks=3)
        >>> data = lm.TrainingTaskDataModule(tasks, tasks_per_step=2, steps_per_epoch=5)
        >>> [len(batch) for batch in data.train_dataloader()]
        [2, 2, 2, 2, 2]
    """

    def __init__(
        self,
        train: TaskCollection,
        val: TaskCollection | None = None,
        tasks_per_step: int | None = None,
        steps_per_epoch: int = 100,
        val_tasks: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        given = {"tasks_per_step": tasks_per_step, "steps_per_epoch": steps_per_epoch, "val_tasks": val_tasks}
        numbers = {name: (value, 1, MOST_EPISODES) for name, value in given.items() if value is not None}
        check_range("TrainingTaskDataModule", **numbers, seed=(seed, 0))
        self.train = train
        self.val = val
        self.tasks_per_step = tasks_per_step
        self.steps_per_epoch = steps_per_epoch
        self.val_tasks = val_tasks
        self.seed = seed
        self._streams: dict[tuple[bool, int], ShuffledTasks] = {}

    @property
    def shape(self) -> Shape:
        """Shape of one input."""
        return self.train.shape

    @property
    def example(self) -> Task:
        """The first training task. All have inputs like its own, and as many outputs if they share a classifier."""
        return self._stream(True)[0, 0].task

    def prepare_data(self) -> None:
        """Prepare the collections, on one process."""
        for tasks in (self.train, self.val):
            if tasks is not None:
                tasks.prepare()

    def setup(self, stage: str) -> None:
        """Check the division over processes, and the tasks of validation.

        Raises:
            ValueError: the processes cannot share a step evenly, there is no task, or inputs have different shapes.
        """
        for name, tasks in (("train", self.train), ("val", self.val)):
            if tasks is not None and not len(tasks):
                raise ValueError(f"TrainingTaskDataModule: '{name}' has no task: give other tasks.")
        if stage == "fit":
            self.check_shares()
        if self.val is not None and not same_shape(self.val.shape, self.train.shape):
            raise ValueError(
                f"TrainingTaskDataModule: the tasks of validation have {describe_shape(self.val.shape)}, those of "
                f"training {describe_shape(self.train.shape)}: give both one preprocessing."
            )

    def train_dataloader(self) -> EpisodeLoader[WholeTask]:
        """Return a loader of ``steps_per_epoch`` batches an epoch."""
        return EpisodeLoader(self._stream(True), self.training_sampler(), done=lambda: self.trained_batches)

    def val_dataloader(self) -> EpisodeLoader[WholeTask] | list[WholeTask]:
        """Return a loader of the validation tasks, one a batch and process."""
        if self.val is None:
            return []
        number = min(self.val_tasks, len(self.val))
        sampler = EpisodeSampler(number, self.world_size, self.rank, self.world_size, renewed=False)
        return EpisodeLoader(self._stream(False), sampler)

    def _stream(self, train: bool) -> ShuffledTasks:
        per_epoch = self.steps_per_epoch * self.tasks_in_step
        if (train, per_epoch) not in self._streams:
            tasks, seed = (self.train, self.seed) if train else (self.val, None)
            assert tasks is not None
            self._streams[train, per_epoch] = ShuffledTasks(tasks, seed, per_epoch)
        return self._streams[train, per_epoch]
