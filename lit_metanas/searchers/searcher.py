"""How one task is searched under a budget."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lit_metanas.episodes.task import Task
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import Found
from lit_metanas.spaces.space import SearchSpace


class Searcher(ABC):
    """Searches the architecture for one task."""

    @abstractmethod
    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        """Search until the budget is exhausted or the searcher is done.

        Args:
            task: only its train and val parts are read.
            space: what can be built.
            budget: charged with every step; never overdrawn.
            seed: the only source of randomness.
        """

    @property
    def meta_cost(self) -> Cost:
        """What was paid once, before any task: the meta-training that the search starts from."""
        return Cost()
