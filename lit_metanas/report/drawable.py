"""Results as they can be drawn and counted, whoever wrote their file."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

from lit_metanas.io.text import number_of, printable
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import Trial
from lit_metanas.records.rows import ResultRow

MOST_RESULTS = 20_000
"""Rows of one report."""


def drawable(results: Sequence[ResultRow]) -> list[ResultRow]:
    """Leave out what is no number, with a warning, and characters that are not to be shown.

    Raises:
        ValueError: there are more rows than a report has room for.
    """
    if len(results) > MOST_RESULTS:
        raise ValueError(f"There are {len(results)} results, more than {MOST_RESULTS}: give fewer files at once.")
    kept = [_drawable(row) for row in results if all(map(math.isfinite, (row.value, *row.values)))]
    if (left_out := len(results) - len(kept)) > 0:
        warnings.warn(f"{number_of(left_out, 'result')} without a finite score: left out.", stacklevel=3)
    return kept


def _drawable(row: ResultRow) -> ResultRow:
    return replace(
        row,
        method=printable(row.method),
        task_id=printable(row.task_id),
        hardware=printable(row.hardware),
        config=printable(row.config),
        protocol=replace(
            row.protocol, name=printable(row.protocol.name), batch_norm=printable(row.protocol.batch_norm)
        ),
        ci95=row.ci95 if math.isfinite(row.ci95) else math.nan,
        cost=_timed(row.cost),
        meta_cost=_timed(row.meta_cost),
        curve=tuple(point for point in row.curve if all(map(math.isfinite, point))),
        front=tuple(trial for trial in row.front if _on_axes(trial)),
    )


def _timed(cost: Cost) -> Cost:
    return cost if math.isfinite(cost.seconds) else replace(cost, seconds=0.0)


def _on_axes(trial: Trial) -> bool:
    """Whether a front's point has a place: the axes of measures are logarithmic."""
    return math.isfinite(trial.value) and all(0 < value < math.inf for value in trial.measures.values())
