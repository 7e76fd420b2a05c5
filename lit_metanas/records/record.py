"""What one search on one task did, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from torch import Tensor

from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture


@dataclass(frozen=True)
class Trial:
    """One architecture that a search tried.

    Attributes:
        architecture: the canonical architecture.
        value: its validation score, higher is better.
        cost: the search's whole cost up to here.
        duplicate: whether it was known already, and so cost nothing.
    """

    architecture: Architecture
    value: float
    cost: Cost
    duplicate: bool = False


@dataclass
class Record:
    """Every architecture that one search tried on one task, in order."""

    task_id: str
    trials: list[Trial] = field(default_factory=list)

    @property
    def best(self) -> Trial:
        """The trial of the highest score, the earliest of equals.

        Raises:
            ValueError: nothing was tried.
        """
        if not self.trials:
            raise ValueError(f"The search on task '{self.task_id}' tried no architecture: give it a larger budget.")
        return max(self.trials, key=lambda trial: trial.value)

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """The anytime curve: (FLOPs spent, best score so far) at each improvement; unscored trials left out."""
        points: list[tuple[float, float]] = []
        for trial in self.trials:
            if trial.value > (points[-1][1] if points else -inf):
                points.append((float(trial.cost.flops), trial.value))
        return tuple(points)


@dataclass(frozen=True)
class Found:
    """What a search returns.

    Attributes:
        architecture: the chosen architecture.
        weights: supernet parameters that the child may inherit, by name, or None.
        record: what was tried, and at what cost.
    """

    architecture: Architecture
    weights: dict[str, Tensor] | None
    record: Record
