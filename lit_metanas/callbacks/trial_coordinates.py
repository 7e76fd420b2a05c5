"""Parallel coordinates of the trials of a search, for dashboards: a line for each, its score as colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lit_metanas.records.record import SearchRecord, Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COORDINATES = "search/coordinates"
"""The chart's name in logs."""

ABSENT_CHOICE = "–"
"""Stands for a choice that an architecture does not have."""


def columns_of_trials(records: Iterable[SearchRecord]) -> dict[str, list[Any]]:
    """What differs among all scored trials, by the names of choices and of a recipe's fields; the last is the score."""
    trials = [trial for record in records for trial in record.trials if trial.scored]
    named = [_labels(trial) for trial in trials]
    names = dict.fromkeys(name for labels in named for name in labels)
    columns = {name: [labels.get(name, ABSENT_CHOICE) for labels in named] for name in names}
    columns = {name: column for name, column in columns.items() if len(set(column)) > 1}
    return {
        **columns,
        "training FLOPs": [trial.trained for trial in trials],
        "score": [trial.value for trial in trials],
    }


def draw_coordinates(records: Iterable[SearchRecord]) -> Figure | None:
    """The chart; None if there are fewer than two scored trials, or plotly is not installed."""
    columns = columns_of_trials(records)
    if len(columns["score"]) < 2 or find_spec("plotly") is None:
        return None
    from plotly.graph_objects import Figure, Parcoords

    dimensions = [_dimension(name, column) for name, column in columns.items()]
    line = {"color": columns["score"], "colorscale": "Cividis", "showscale": True}
    return Figure(Parcoords(dimensions=dimensions, line=line))


def _labels(trial: Trial) -> dict[str, str | float]:
    """The labels of an architecture, and the recipe that was chosen with it."""
    recipe = {name: str(value) if isinstance(value, bool | str) else value for name, value in trial.recipe.items()}
    return {**trial.architecture, **recipe}


def _dimension(name: str, column: Sequence[Any]) -> dict[str, Any]:
    """An axis: of numbers as they are, of labels with their names at equal distances."""
    if not any(isinstance(value, str) for value in column):
        return {"label": name, "values": list(column)}
    labels = sorted({str(value) for value in column})
    places = [labels.index(str(value)) for value in column]
    return {"label": name, "values": places, "tickvals": list(range(len(labels))), "ticktext": labels}
