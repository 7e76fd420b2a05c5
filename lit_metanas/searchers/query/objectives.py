"""Objectives and training hyper-parameters of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf

import optuna
from optuna.study import StudyDirection

from lit_metanas.estimators.estimator import Estimator
from lit_metanas.records.record import RecipeValue
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.recipes import Recipe

RECIPE_PREFIX = "train."
"""Prefix of a study's parameters that are numbers of a recipe."""

SCORE = "accuracy"
"""The estimator's score among the objectives."""


@dataclass(frozen=True)
class Objectives:
    """Objectives and constraints of a study."""

    objectives: tuple[str, ...]  # ``accuracy``, then measures that should be small
    constraints: Mapping[str, float]  # the largest value of each named measure

    def __post_init__(self) -> None:
        if self.objectives[:1] != (SCORE,) or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(
                f"The objectives {', '.join(self.objectives) or '(none)'} must be '{SCORE}' followed by measures, "
                "each once."
            )
        for name, limit in self.constraints.items():
            if not limit > 0:
                raise ValueError(f"The constraint {name} <= {limit} cannot be met: give a limit above 0.")

    @property
    def required_measures(self) -> tuple[str, ...]:
        """The measures that each architecture needs."""
        return tuple(dict.fromkeys((*self.objectives[1:], *self.constraints)))

    @property
    def directions(self) -> list[StudyDirection]:
        """Optuna's directions of the objectives."""
        return [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in self.objectives[1:])]

    def check(self, estimator: Estimator) -> None:
        """Refuse measures that the estimator does not know."""
        known = estimator.measures
        for name in self.required_measures:
            if name not in known:
                raise ValueError(
                    f"{type(estimator).__name__} does not know the {name} of an architecture: take objectives and "
                    f"constraints from {', '.join(known) or 'another estimator, as it knows none'}."
                )

    def measure(self, estimator: Estimator, architecture: Architecture) -> dict[str, float]:
        """Measure an architecture."""
        return {name: float(estimator.measures[name](architecture)) for name in self.required_measures}

    def excess(self, measures: Mapping[str, float]) -> dict[str, float]:
        """Each constrained measure's excess as a share of its limit; 0 or less meets the constraint."""
        return {name: measures[name] / limit - 1 for name, limit in self.constraints.items() if name in measures}

    def violation(self, measures: Mapping[str, float]) -> str:
        """The constraints that are not met, in words; empty if all are met."""
        return ", ".join(
            f"{name} is {measures[name]:g}, above {limit:g}"
            for name, limit in self.constraints.items()
            if measures[name] > limit
        )


@dataclass(frozen=True)
class RecipeRange:
    """The values that one number of a recipe may take, both ends included."""

    low: float
    high: float
    log: bool = False  # whether values are drawn evenly over orders of magnitude

    def __post_init__(self) -> None:
        if not -inf < self.low <= self.high < inf or (self.log and self.low <= 0):
            scale = " (log)" if self.log else ""
            raise ValueError(
                f"The range from {self.low} to {self.high}{scale} is empty or reaches 0: give low <= high, both "
                "finite, and for a logarithmic one low > 0."
            )


def check_ranges(ranges: Mapping[str, RecipeRange]) -> None:
    """Refuse ranges that no recipe can have."""
    for name, given in ranges.items():
        for bound in (given.low, given.high):
            Recipe().replace({name: bound})
            if isinstance(asdict(Recipe())[name], int) and bound != int(bound):
                raise ValueError(f"The {name} of a recipe is a whole number, and {bound} is not: give whole bounds.")


def suggest_recipe(trial: optuna.Trial, ranges: Mapping[str, RecipeRange]) -> dict[str, RecipeValue]:
    """Ask a trial for a value of each range, under the prefix ``train.``; whole numbers if the recipe has them."""
    defaults = asdict(Recipe())
    values: dict[str, RecipeValue] = {}
    for name, given in ranges.items():
        if isinstance(defaults[name], int):
            values[name] = trial.suggest_int(RECIPE_PREFIX + name, int(given.low), int(given.high), log=given.log)
        else:
            values[name] = trial.suggest_float(RECIPE_PREFIX + name, given.low, given.high, log=given.log)
    return values
