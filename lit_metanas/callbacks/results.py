"""Results of tested episodes, as a file and as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import isfinite, nan
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from lit_metanas.callbacks.architecture_file import keep_architectures
from lit_metanas.callbacks.protocols import Searched, Tested, searches
from lit_metanas.callbacks.trial_coordinates import COORDINATES, draw_coordinates
from lit_metanas.io.text import hardware, markdown_lines
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import SearchRecord, Trial
from lit_metanas.records.result_files import merge_results
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import t_interval


class ResultsFile(Callback):
    """Writes the test's scores as one row of ``results.json``, and keeps the other rows in the file.

    A row of the same method, task, protocol and seed is replaced.

    Args:
        path: the file; it may exist.
        method: the row's name in tables.
        task_id: the target task, or the name of the series of episodes.
        config: path of the run's saved configuration.

    Example:
        >>> callback = lm.callbacks.ResultsFile("results.json", method="MAML")
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
        """Merge the row into the file; a module without test scores raises ValueError."""
        if not trainer.is_global_zero:
            return
        merge_results(self.path, [self._result(pl_module, str(trainer.precision))])

    def _result(self, module: LightningModule, precision: str) -> ResultRow:
        """The row, with all that the module knows."""
        if not isinstance(module, Tested) or not len(module.test_values):
            raise ValueError(
                f"ResultsFile needs test scores, but {type(module).__name__} kept none in test_values: "
                "test on at least one episode, or remove the callback."
            )
        values = tuple(float(value) for value in module.test_values)
        interval = t_interval(values)
        known: dict[str, Any] = {"space": "", "architecture": None, "recipe": {}, "cost": Cost(), "meta_cost": Cost()}
        measured = module.result_fields()
        if searches(module):
            known |= {"space": module.space.name, "architecture": module.architecture()}
        return ResultRow(
            method=self.method,
            task_id=self.task_id,
            value=interval.mean,
            ci95=interval.half,
            values=values,
            hardware=hardware(),
            precision=precision,
            config=self.config,
            **{**known, **measured},
        )


TARGET_TABLE, TRIAL_TABLE = "target/results", "search/trials"
"""The tables' names in logs."""

TARGET_COLUMNS = (
    "task", "method", "metric", "score", "± 95 %", "way", "shot", "seed", "parameters", "multiply-adds", "search FLOPs",
    "search seconds", "architecture",
)  # fmt: skip
TRIAL_COLUMNS = (
    "task", "method", "trial", "score", "state", "fidelity", "search queries", "search FLOPs", "search seconds",
    "recipe", "architecture",
)  # fmt: skip
Cells = list[str | int | float]


class ResultsTable(Callback):
    """Logs the results of ``search`` at its end, to any logger.

    Scalars, one step for each target task: ``target/<method>/<metric>``, for classification ``accuracy``, and
    ``target/<method>/ci95``, the half width of its 95 % interval. Loggers that take tables (W&B) also get
    ``target/results``, a row for each task and method, and ``search/trials``, a row for each architecture that was
    tried, with its score and the search's cost so far. TensorBoard gets both as text. W&B keeps the architectures as an
    artifact, and gets parallel coordinates of all trials if plotly is installed (extra ``dashboard``).

    Example:
        >>> callback = lm.callbacks.ResultsTable()
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a module that does not search."""
        _require_searched(pl_module)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log on the first process."""
        module = _require_searched(pl_module)
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            for step, task in enumerate(dict.fromkeys(row.task_id for row in module.results), start=1):
                logger.log_metrics(_scalars([row for row in module.results if row.task_id == task]), step)
            _log_table(logger, TARGET_TABLE, TARGET_COLUMNS, [_cells(row) for row in module.results])
            _log_table(logger, TRIAL_TABLE, TRIAL_COLUMNS, list(trial_cells(module.records)))
            if isinstance(logger, WandbLogger) and (chart := draw_coordinates(module.records)) is not None:
                logger.experiment.log({COORDINATES: chart})
        keep_architectures(trainer.loggers, module.directory / "architectures.json")


def _require_searched(module: LightningModule) -> Searched:
    if not isinstance(module, Searched):
        raise ValueError(
            f"ResultsTable logs the results of a search, but {type(module).__name__} does not search: remove the "
            "callback."
        )
    return module


def _scalars(rows: Sequence[ResultRow]) -> dict[str, float]:
    """The numbers of one task; signs that TensorBoard would replace are replaced for all loggers."""
    scalars: dict[str, float] = {}
    for row in rows:
        method, metric = (re.sub(r"[^\w.-]+", "_", name) for name in (row.method, row.metric))
        scalars |= {f"target/{method}/{metric}": row.value, f"target/{method}/ci95": row.ci95}
    return scalars


def _cells(row: ResultRow) -> Cells:
    return [
        row.task_id, row.method, row.metric, row.value, row.ci95, row.protocol.way, row.protocol.shot, row.seed,
        row.parameters, row.flops, row.cost.flops, row.cost.seconds, str(row.architecture or ""),
    ]  # fmt: skip


def trial_cells(records: Sequence[SearchRecord]) -> Iterator[Cells]:
    """The trials of each search, in order; a missing number is NaN, as tables take one type a column."""
    for record in records:
        for place, trial in enumerate(record.trials):
            recipe = ", ".join(f"{name}={value}" for name, value in trial.recipe.items())
            value = trial.value if isfinite(trial.value) else nan
            yield [
                record.task_id, record.method, place, value, _state(trial), trial.fidelity or nan, trial.cost.queries,
                trial.cost.flops, trial.cost.seconds, recipe, str(trial.architecture),
            ]  # fmt: skip


def _state(trial: Trial) -> str:
    if trial.failure:
        return f"failed: {' '.join(trial.failure.split())}"
    states = {"given up": trial.pruned, "known": trial.duplicate, "without a score": not isfinite(trial.value)}
    return next((name for name, so in states.items() if so), "scored")


def _log_table(logger: Any, key: str, columns: Sequence[str], rows: list[Cells]) -> None:
    """Log a table with rows, if the logger takes tables."""
    if rows and hasattr(logger, "log_table"):
        logger.log_table(key, list(columns), rows)
    elif rows and isinstance(logger, TensorBoardLogger):
        logger.experiment.add_text(key, _markdown(columns, rows), 0)


def _markdown(columns: Sequence[str], rows: list[Cells]) -> str:
    return markdown_lines([columns, ["---"] * len(columns), *([_text(cell) for cell in row] for row in rows)])


def _text(cell: str | int | float) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return str(cell)
