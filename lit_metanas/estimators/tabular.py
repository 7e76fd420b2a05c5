"""Scores from the table of a benchmark, and its data sets as tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from lit_metanas.estimators.estimator import Estimator, Measure, Score
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.records.record import Cost, RecipeFields
from lit_metanas.spaces import Architecture, ChoiceSpace
from lit_metanas.tasks.episode_data import RankedData


@keeps_arguments()
class Table(ABC):
    """Measured scores of the architectures of a space on one data set.

    Attributes:
        space: the space of the architectures.
        dataset: the data set's name.
        signals: names of the scores that the table holds.

    Example:
        >>> class Kernels(lm.estimators.Table):
        ...     space, dataset, signals = lm.LayeredSpace(shared=True), "letters", ("val",)
        ...
        ...     def score(self, architecture, signal):
        ...         return int(architecture["kernel"]) / 10
        >>> Kernels().score(lm.Architecture({"kernel": "5"}), "val")
        0.5
    """

    space: ChoiceSpace
    dataset: str
    signals: tuple[str, ...]

    @abstractmethod
    def score(self, architecture: Architecture, signal: str) -> float:
        """The score, in [0, 1], higher is better; ValueError if the table lacks the signal or architecture."""

    def early(self, signal: str) -> str | None:
        """The signal of the same kind after a shortened training, or None."""
        return None

    def training_flops(self, architecture: Architecture, signal: str) -> int:
        """Cost of the training for this signal: 3 x forward multiply-adds x images; 0 if unknown."""
        return 0

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Its methods called ``parameters``, ``flops`` and, in seconds, ``latency``, each of an architecture."""
        named = ((name, getattr(self, name, None)) for name in ("parameters", "flops", "latency"))
        return {name: method for name, method in named if callable(method)}

    def check_signal(self, signal: str) -> None:
        """Refuse a signal that the table does not hold."""
        if signal not in self.signals:
            raise ValueError(f"{type(self).__name__} has no signal '{signal}': use {', '.join(self.signals)}.")


TableCallable = Callable[[str], Table]  # makes the table of a data set: a class, with its further arguments


class TableDataModule(RankedData):
    """One table a batch; process ``rank`` gets those whose index equals its number modulo the number of processes.

    Args:
        table: makes the table of a data set.
        datasets: the data sets, at least one.

    Example:
        >>> data = lm.estimators.TableDataModule(lm.estimators.NASBenchGraphTable, ["cora", "citeseer"])
        >>> data.datasets
        ['cora', 'citeseer']
    """

    def __init__(self, table: TableCallable, datasets: list[str]) -> None:
        super().__init__()
        if not datasets:
            raise ValueError("TableDataModule has no data sets: give at least one of the table's.")
        self.table = table
        self.datasets = datasets
        self.tables: list[Table] = []

    def setup(self, stage: str) -> None:
        """Read all tables, before the first is searched; ValueError if a process would have none."""
        if len(self.datasets) < self.world_size:
            raise ValueError(
                f"Too few data sets: {len(self.datasets)} for {self.world_size} processes, one of which would have "
                "none: lower trainer.devices."
            )
        self.tables = [self.table(dataset) for dataset in self.datasets]

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return a loader of this process's tables."""
        tables: Any = self.tables  # a list serves as a data set
        return DataLoader(tables, batch_size=None, sampler=self.own_share(tables))


class TabularEstimator(Estimator):
    """Looks a score up: one query, and no time.

    The cost is that of the training by the table's authors, if the table has it. At any fidelity below 1 the score is
    that of the table's shortened training. NAS-Bench-201, for example, has trainings of 200 and of 12 epochs, each with
    its own learning-rate schedule, and nothing between.

    Args:
        table: measured scores on one data set.
        signal: the score to take, such as ``val_200``.

    Raises:
        ValueError: the table has no such signal.

    Example:
        >>> table = lm.estimators.NASBenchGraphTable("cora")  # doctest: +SKIP
        >>> estimator = lm.estimators.TabularEstimator(table, "val")  # doctest: +SKIP
    """

    def __init__(self, table: Table, signal: str) -> None:
        table.check_signal(signal)
        self.table = table
        self.signal = signal

    @property
    def settings(self) -> RecipeFields:
        """The table, its data set and the signal."""
        return {"table": type(self.table).__name__, "dataset": self.table.dataset, "signal": self.signal}

    @property
    def measures(self) -> Mapping[str, Measure]:
        """The table's measures."""
        return self.table.measures

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query, and the training of the table's authors."""
        return Cost(queries=1, flops=self.table.training_flops(architecture, self._signal(fidelity)))

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Look a score up; ValueError if the fidelity is below 1, and the table has only one training."""
        return Score(self.table.score(architecture, self._signal(fidelity)), self.cost(architecture, fidelity))

    def _signal(self, fidelity: float) -> str:
        assert 0 < fidelity <= 1, fidelity
        if fidelity == 1:
            return self.signal
        signal = self.table.early(self.signal)
        if signal is None:
            raise ValueError(
                f"{type(self.table).__name__} has no shorter training than that of '{self.signal}': search at "
                "fidelity 1."
            )
        return signal
