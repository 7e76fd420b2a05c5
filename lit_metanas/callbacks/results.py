"""Results of tested episodes, as a file and as a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from lit_metanas.callbacks.architecture_file import keep_architectures
from lit_metanas.callbacks.protocols import Searched, Tested, searches
from lit_metanas.io.text import hardware, markdown_lines
from lit_metanas.records.budget import Cost
from lit_metanas.records.result_files import merge_results
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import t_interval


class ResultsFile(Callback):
    """Writes the test's scores as one row of ``results.json``, beside the rows of other methods, tasks and seeds.

    A row of the same method, task, protocol and seed is replaced.

    Args:
        path: the file; it may exist.
        method: the row's name in tables.
        task_id: the target task, or the name of the series of episodes.
        config: where the run's configuration is kept.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.ResultsFile("results.json", method="MAML")
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, path: str, method: str, task_id: str = "test episodes", config: str = "") -> None:
        self.path = path
        self.method = method
        self.task_id = task_id
        self.config = config

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Merge the row into the file.

        Raises:
            ValueError: the module keeps no test scores, or the file is not one of results.
        """
        if not trainer.is_global_zero:
            return
        merge_results(self.path, [self._result(pl_module)])

    def _result(self, module: LightningModule) -> ResultRow:
        """The row: what was measured, and what the module knows."""
        if not isinstance(module, Tested) or not len(module.test_values):
            raise ValueError(
                f"ResultsFile needs test scores, but {type(module).__name__} kept none in test_values: "
                "test on at least one episode, or remove the callback."
            )
        values = tuple(float(value) for value in module.test_values)
        interval = t_interval(values)
        fields = dict(module.result_fields())
        if searches(module):
            fields = {"space": module.space.name, "architecture": module.architecture(), **fields}
        return ResultRow(
            method=self.method,
            task_id=self.task_id,
            space=fields.get("space", ""),
            architecture=fields.get("architecture"),
            recipe=fields.get("recipe", {}),
            seed=fields["seed"],
            protocol=fields["protocol"],
            value=interval.mean,
            ci95=interval.half,
            cost=fields.get("cost", Cost()),
            meta_cost=fields.get("meta_cost", Cost()),
            parameters=fields["parameters"],
            flops=fields["flops"],
            values=values,
            hardware=hardware(),
            config=self.config,
        )


TARGET_COLUMNS = (
    "task", "method", "metric", "score", "± 95 %", "way", "shot", "seed", "parameters", "multiply-adds", "search FLOPs",
    "search seconds", "architecture",
)  # fmt: skip
"""Of the table, in order."""

TARGET_TABLE = "target/results"
"""Under which the table is logged."""


@runtime_checkable
class TakesTables(Protocol):
    """A logger of tables, such as W&B's."""

    def log_table(self, key: str, columns: list[str], data: list[list[str | int | float]]) -> None:
        """Log a table."""


class ResultsTable(Callback):
    """Logs the results on target tasks at the end of ``search``, to whatever logger is on.

    Scalars, one step a task: ``target/<method>/<metric>``, of classification ``accuracy``, and
    ``target/<method>/ci95``, the half width of its 95 % interval. Loggers that take tables (W&B) also get
    ``target/results``, a row for each task and method; TensorBoard gets it as text. W&B keeps the architectures as an
    artifact.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.ResultsTable()
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look whether there will be results.

        Raises:
            ValueError: the module does not search target tasks.
        """
        _require_searched(pl_module)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log, on the first process."""
        module = _require_searched(pl_module)
        if not trainer.is_global_zero or not module.results:
            return
        results = module.results
        for logger in trainer.loggers:
            for step, task in enumerate(dict.fromkeys(row.task_id for row in results), start=1):
                logger.log_metrics(_scalars([row for row in results if row.task_id == task]), step)
            _log_table(logger, [_cells(row) for row in results])
        keep_architectures(trainer.loggers, module.directory / "architectures.json")


def _require_searched(module: LightningModule) -> Searched:
    if not isinstance(module, Searched):
        raise ValueError(
            f"ResultsTable logs results on target tasks, but {type(module).__name__} has none: remove the callback, "
            "or search with TargetSearch."
        )
    return module


def _scalars(rows: Sequence[ResultRow]) -> dict[str, float]:
    """The numbers of one task. Signs that TensorBoard would replace are replaced for all loggers alike."""
    scalars: dict[str, float] = {}
    for row in rows:
        method, metric = (re.sub(r"[^\w.-]+", "_", name) for name in (row.method, row.metric))
        scalars |= {f"target/{method}/{metric}": row.value, f"target/{method}/ci95": row.ci95}
    return scalars


def _cells(row: ResultRow) -> list[str | int | float]:
    return [
        row.task_id, row.method, row.metric, row.value, row.ci95, row.protocol.way, row.protocol.shot, row.seed,
        row.parameters, row.flops, row.cost.flops, row.cost.seconds,
        "" if row.architecture is None else str(row.architecture),
    ]  # fmt: skip


def _log_table(logger: Logger, rows: list[list[str | int | float]]) -> None:
    """Hand the table to a logger that takes one."""
    if isinstance(logger, TakesTables):
        logger.log_table(TARGET_TABLE, list(TARGET_COLUMNS), rows)
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_text(TARGET_TABLE, _markdown(rows), 0)


def _markdown(rows: list[list[str | int | float]]) -> str:
    texts = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return markdown_lines([TARGET_COLUMNS, ["---"] * len(TARGET_COLUMNS), *texts])
