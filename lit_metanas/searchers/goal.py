"""What a search is for: a high score, small measures beside it, and limits that must be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.study import StudyDirection

from lit_metanas.estimators.estimator import Estimator
from lit_metanas.spaces.architecture import Architecture

SCORE = "accuracy"
"""The estimator's score among the objectives."""


@dataclass(frozen=True)
class Goal:
    """Objectives and constraints.

    Attributes:
        objectives: ``accuracy``, and measures to keep small beside it.
        constraints: the largest value that each named measure may have.

    Raises:
        ValueError: ``accuracy`` is not the first objective, or a name is repeated, or a limit is not positive.
    """

    objectives: tuple[str, ...]
    constraints: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.objectives[:1] != (SCORE,) or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(
                f"The objectives {', '.join(self.objectives) or '(none)'} must be '{SCORE}' and then measures, each "
                "once."
            )
        for name, limit in self.constraints.items():
            if not limit > 0:
                raise ValueError(f"The constraint {name} <= {limit} cannot be met: give a limit above 0.")

    @property
    def measured(self) -> tuple[str, ...]:
        """The measures that must be known of each architecture."""
        return tuple(dict.fromkeys((*self.objectives[1:], *self.constraints)))

    @property
    def directions(self) -> list[StudyDirection]:
        """Optuna's directions of the objectives."""
        return [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in self.objectives[1:])]

    def check(self, estimator: Estimator) -> None:
        """Refuse measures that the estimator does not know.

        Raises:
            ValueError: it does not know one.
        """
        known = estimator.measures
        for name in self.measured:
            if name not in known:
                raise ValueError(
                    f"{type(estimator).__name__} does not know the {name} of an architecture: take objectives and "
                    f"constraints from {', '.join(known) or 'another estimator, as it knows none'}."
                )

    def measure(self, estimator: Estimator, architecture: Architecture) -> dict[str, float]:
        """Measure an architecture."""
        return {name: float(estimator.measures[name](architecture)) for name in self.measured}

    def excess(self, measures: Mapping[str, float]) -> dict[str, float]:
        """By which part of its limit each constrained measure exceeds it; a constraint is met by 0 or less."""
        return {name: measures[name] / limit - 1 for name, limit in self.constraints.items()}

    def broken(self, measures: Mapping[str, float]) -> str:
        """The constraints that are not met, in words; empty where all are."""
        return ", ".join(
            f"{name} is {measures[name]:g}, above {limit:g}"
            for name, limit in self.constraints.items()
            if measures[name] > limit
        )
