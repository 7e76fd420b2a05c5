"""Training hyper-parameters as further choices of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf

import optuna

from lit_metanas.modules.recipe import Recipe


@dataclass(frozen=True)
class RecipeRange:
    """The values that one number of a recipe may take.

    Attributes:
        low: the smallest.
        high: the largest.
        log: whether they are drawn evenly over orders of magnitude.

    Raises:
        ValueError: the range is empty or has no end, or is logarithmic and reaches 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not -inf < self.low <= self.high < inf or (self.log and self.low <= 0):
            raise ValueError(
                f"The range from {self.low} to {self.high}{' (log)' if self.log else ''} is empty or reaches 0: give "
                "low <= high, both finite, and for a logarithmic one low > 0."
            )


def check_ranges(ranges: Mapping[str, RecipeRange]) -> None:
    """Refuse ranges that no recipe can have.

    Raises:
        ValueError: a name is no number of a recipe, or a bound is refused by it.
    """
    for name, given in ranges.items():
        for bound in (given.low, given.high):
            Recipe().changed({name: bound})
            if isinstance(asdict(Recipe())[name], int) and bound != int(bound):
                raise ValueError(f"The {name} of a recipe is a whole number, and {bound} is none: give whole bounds.")


def suggest_recipe(trial: optuna.Trial, ranges: Mapping[str, RecipeRange]) -> dict[str, float | int | str | bool]:
    """Ask a trial for a value of each range, under the prefix ``train.``; whole numbers where a recipe has them."""
    defaults = asdict(Recipe())
    values: dict[str, float | int | str | bool] = {}
    for name, given in ranges.items():
        if isinstance(defaults[name], int):
            values[name] = trial.suggest_int(f"train.{name}", int(given.low), int(given.high), log=given.log)
        else:
            values[name] = trial.suggest_float(f"train.{name}", given.low, given.high, log=given.log)
    return values
