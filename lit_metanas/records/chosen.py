"""One row of ``architectures.json``."""

from __future__ import annotations

from dataclasses import dataclass, field

from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture


@dataclass(frozen=True)
class Chosen:
    """The architecture that one method chose for one task, and how good it looked on validation examples.

    Attributes:
        task_id: the task that was searched.
        method: the searcher's row in tables.
        space: the search space's name.
        architecture: the chosen architecture.
        value: its best validation score in the search; NaN where the method scored nothing.
        seed: seed of the search.
        metric: what ``value`` is.
        cost: of the search.
        recipe: the child's training hyper-parameters.
        shape: channels, height and width of an input; zeros where none was seen.
        way: number of classes.
        classes: the classes' names, in the order of their labels.
        weights: file of the trained child's weights, relative to this file; empty where none was kept.
    """

    task_id: str
    method: str
    space: str
    architecture: Architecture
    value: float
    seed: int = 0
    metric: str = "validation accuracy"
    cost: Cost = field(default_factory=Cost)
    recipe: dict[str, float | int | str | bool] = field(default_factory=dict)
    shape: tuple[int, int, int] = (1, 28, 28)
    way: int = 0
    classes: tuple[str, ...] = ()
    weights: str = ""
