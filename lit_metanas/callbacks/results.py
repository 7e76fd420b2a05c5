"""Results of tested episodes and of searches: a file, tables, and parallel coordinates of trials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from lit_metanas.callbacks.architecture_logger import keep_architectures
from lit_metanas.callbacks.protocols import Searched, Tested, searches
from lit_metanas.io.text import hardware
from lit_metanas.records.record import Cost, SearchRecord, Trial
from lit_metanas.records.result_files import merge_row_file
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import t_interval

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


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
        if not isinstance(pl_module, Tested) or not len(pl_module.test_values):
            raise ValueError(
                f"ResultsFile needs test scores, but {type(pl_module).__name__} kept none in test_values: "
                "test on at least one episode, or remove the callback."
            )
        values = tuple(map(float, pl_module.test_values))
        interval, measured = t_interval(values), pl_module.result_fields()
        known: dict[str, Any] = {"space": "", "architecture": None, "recipe": {}, "cost": Cost(), "meta_cost": Cost()}
        if searches(pl_module):
            known |= {"space": pl_module.space.name, "architecture": pl_module.architecture()}
        row = ResultRow(
            method=self.method,
            task_id=self.task_id,
            value=interval.mean,
            ci95=interval.half,
            values=values,
            hardware=hardware(),
            precision=str(trainer.precision),
            config=self.config,
            **{**known, **measured},
        )
        merge_row_file(self.path, ResultRow, [row])


TARGET_TABLE, TRIAL_TABLE = "target/results", "search/trials"  # the tables' names in logs

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
    tried, with its score and the search's cost so far. W&B keeps the architectures as an artifact, and gets parallel
    coordinates of all trials if plotly is installed (extra ``dashboard``).

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
    if rows and hasattr(logger, "log_table"):
        logger.log_table(key, list(columns), rows)


COORDINATES = "search/coordinates"  # the chart's name in logs

ABSENT_CHOICE = "–"  # stands for a choice that an architecture does not have


def columns_of_trials(records: Iterable[SearchRecord]) -> dict[str, list[Any]]:
    """What differs among all scored trials, by the names of choices and of a recipe's fields; the last is the score."""
    trials = [trial for record in records for trial in record.trials if trial.scored]
    named = [{**trial.architecture, **trial.recipe} for trial in trials]
    names = dict.fromkeys(name for labels in named for name in labels)
    columns = {name: [labels.get(name, ABSENT_CHOICE) for labels in named] for name in names}
    return {
        **{name: column for name, column in columns.items() if len(set(column)) > 1},
        "training FLOPs": [trial.trained for trial in trials],
        "score": [trial.value for trial in trials],
    }


def draw_coordinates(records: Iterable[SearchRecord]) -> Figure | None:
    """The chart; None if there are fewer than two scored trials, or plotly is not installed."""
    columns = columns_of_trials(records)
    if len(columns["score"]) < 2 or find_spec("plotly") is None:
        return None
    from plotly.graph_objects import Figure, Parcoords

    return Figure(
        Parcoords(
            dimensions=[_dimension(name, column) for name, column in columns.items()],
            line={"color": columns["score"], "colorscale": "Cividis", "showscale": True},
        )
    )


def _dimension(name: str, column: Sequence[Any]) -> dict[str, Any]:
    """An axis: of numbers as they are, of labels with their names at equal distances."""
    if not any(isinstance(value, bool | str) for value in column):
        return {"label": name, "values": list(column)}
    labels = sorted({str(value) for value in column})
    places = [labels.index(str(value)) for value in column]
    return {"label": name, "values": places, "tickvals": list(range(len(labels))), "ticktext": labels}
