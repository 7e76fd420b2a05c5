"""The base of searchers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import SearchOutcome
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.meta_search.meta_checkpoint import MetaCheckpoint


@keeps_arguments()
class Searcher(ABC):
    """Searches the architecture for one task.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> class FirstLabels(lm.Searcher):
        ...     def search(self, task, space, budget, seed):
        ...         architecture = space.canonical({choice.name: choice.labels[0] for choice in space.choices})
        ...         return lm.records.SearchOutcome(architecture, None, lm.records.SearchRecord(task.id))
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> outcome = FirstLabels().search(task, lm.LayeredSpace(shared=True), lm.Budget(), seed=0)
        >>> outcome.architecture["kernel"]
        '3'
    """

    @abstractmethod
    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search until the budget is exhausted or the searcher is done.

        Args:
            task: only its train and val parts are read.
            space: the architectures that can be built.
            budget: charged with every step, and never exceeded.
            seed: the only source of randomness.
        """

    @property
    def meta_cost(self) -> Cost:
        """Cost that was paid once, before any task: the meta-training that the search starts from."""
        if (start := self._meta_checkpoint()) is None:
            return Cost()
        return start.cost

    @property
    def input_shape(self) -> Shape | None:
        """Shape of the meta-training's inputs; None if the search takes any."""
        if (start := self._meta_checkpoint()) is None:
            return None
        return start.shape

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Preprocessing of the meta-training's inputs; None for images, or if the search takes any."""
        if (start := self._meta_checkpoint()) is None:
            return None
        return start.inputs.preprocessing

    def _meta_checkpoint(self) -> MetaCheckpoint | None:
        """The meta-training that the search starts from, if there is one."""
        return None
