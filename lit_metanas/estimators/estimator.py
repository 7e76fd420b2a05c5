"""How good an architecture is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lit_metanas.episodes.task import Task
from lit_metanas.estimators.measures import Measure
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace


@dataclass(frozen=True)
class Score:
    """An estimate.

    Attributes:
        value: validation score, higher is better.
        cost: what the estimate cost.
        weights: what was trained, by name, to go on from; None where nothing was.
    """

    value: float
    cost: Cost
    weights: dict[str, Tensor] | None = None


class Estimator(ABC):
    """Scores architectures on one problem, which the implementation holds."""

    @abstractmethod
    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Estimate.

        Args:
            architecture: what to score.
            fidelity: share of the full training to spend on it, in (0, 1].
            start: weights to inherit instead of a fresh start.
        """

    @abstractmethod
    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """What the call would cost, known beforehand."""

    @property
    def settings(self) -> Mapping[str, float | int | str | bool]:
        """What else decides a score, such as the recipe: a stored search is resumed under equal settings only."""
        return {}

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What else it knows of an architecture, without training, by name: further objectives and constraints."""
        return {}

    @property
    def meta_cost(self) -> Cost:
        """What was paid once, before any task, for what it knows."""
        return Cost()

    def with_recipe(self, changes: Mapping[str, float | int | str | bool]) -> Estimator:
        """The same estimator under changed training hyper-parameters.

        Args:
            changes: new values of fields of its recipe.

        Raises:
            ValueError: it has no recipe.
        """
        raise ValueError(
            f"{type(self).__name__} has no recipe whose {', '.join(changes)} could be searched: take an estimator that "
            "trains, such as TrainingEstimator, or leave the hyper-parameters out of the search."
        )


EstimatorCallable = Callable[[Task, SearchSpace, int], Estimator]
"""Makes the estimator of a task, a space and a seed: a class, its further arguments given or left at their defaults."""
