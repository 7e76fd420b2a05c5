"""Tabular benchmarks as a Lightning data module: the tasks are the data sets of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from lit_metanas.episodes.target_task_data import RankSampler
from lit_metanas.estimators.tabular import Table

TableCallable = Callable[[str], Table]
"""Makes the table of a data set: a class, its further arguments given."""


class TableDataModule(LightningDataModule):
    """One table a batch; process ``rank`` gets those whose index equals its number modulo the number of processes.

    Args:
        table: makes the table of a data set.
        datasets: the data sets.

    Raises:
        ValueError: there are no data sets.
    """

    def __init__(self, table: TableCallable, datasets: list[str]) -> None:
        super().__init__()
        if not datasets:
            raise ValueError("TableDataModule has no data sets: give at least one of the table's.")
        self.table = table
        self.datasets = datasets
        self.tables: list[Table] = []

    def setup(self, stage: str) -> None:
        """Read the tables, all of them before the first is searched.

        Raises:
            FileNotFoundError: a table is absent.
            ValueError: a table is damaged or unknown, or there are fewer of them than processes.
        """
        world = 1 if self.trainer is None else self.trainer.world_size
        if len(self.datasets) < world:
            raise ValueError(
                f"Too few data sets: {len(self.datasets)} for {world} processes, one of which would have none: lower "
                "trainer.devices."
            )
        self.tables = [self.table(dataset) for dataset in self.datasets]

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return a loader of this process's tables."""
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        tables: Any = self.tables  # a list serves as a data set
        return DataLoader(tables, batch_size=None, sampler=RankSampler(len(self.tables), rank, world))
