"""The data module of target tasks."""

from __future__ import annotations

from collections.abc import Iterator

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from lit_metanas.tasks.inputs import Shape
from lit_metanas.tasks.task import Task, TaskCollection


class _Indices(Dataset[int]):
    """The numbers below a length."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        return index


class RankSampler(DistributedSampler[int]):
    """The indices that equal ``rank`` modulo ``world``: none twice, where the base class pads to equal lengths.

    A ``DistributedSampler``, so that Lightning does not wrap it in another one.

    Args:
        length: number of indices over all processes.
        rank: number of this process.
        world: number of processes.
    """

    def __init__(self, length: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(_Indices(length), num_replicas=world, rank=rank, shuffle=False)
        self.indices = range(rank, length, world)

    def __iter__(self) -> Iterator[int]:
        """Yield this process's indices."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Return the number of this process's indices."""
        return len(self.indices)


class TargetTaskDataModule(LightningDataModule):
    """One target task a batch; process ``rank`` gets the tasks whose index equals its number modulo their number.

    Args:
        tasks: the target tasks.
        num_workers: processes that draw tasks ahead; 0 draws in the main process.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> source = lm.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6, fractions=(0.5, 0.0, 0.5))
        >>> data = lm.TargetTaskDataModule(lm.DrawnTasks(source, way=2, train=5, val=2, test=3, tasks=4))
        >>> [task.id for task in data.predict_dataloader()]
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
        """Bring the tasks to the ``input_shape`` of the module that is run on them, and check the division.

        A process without a task would keep the others waiting for ever.

        Raises:
            ValueError: there are fewer tasks than processes.
        """
        module = getattr(self.trainer, "lightning_module", None)
        shape = getattr(module, "input_shape", None)
        if shape is not None:
            self.tasks.bring_to(shape)
        world = 1 if self.trainer is None else self.trainer.world_size
        if len(self.tasks) < world:
            raise ValueError(
                f"Too few target tasks: {len(self.tasks)} for {world} processes, one of which would have none: give "
                "more tasks, or lower trainer.devices."
            )

    def predict_dataloader(self) -> DataLoader[Task]:
        """Return a loader of this process's tasks."""
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        sampler = RankSampler(len(self.tasks), rank, world)
        return DataLoader(self.tasks, batch_size=1, sampler=sampler, num_workers=self.num_workers, collate_fn=_only)


def _only(tasks: list[Task]) -> Task:
    (task,) = tasks
    return task
