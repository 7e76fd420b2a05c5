"""Searches that train many architectures a little and few of them on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from lit_metanas.episodes.task import Task
from lit_metanas.estimators.estimator import Estimator, EstimatorCallable
from lit_metanas.plural import number_of
from lit_metanas.records.budget import Budget
from lit_metanas.records.record import Found, Record
from lit_metanas.searchers.rung import Contender, check_rungs, climb, left
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace


class Halving(Searcher):
    """Climbs rungs of training, each for a share of the budget; only the best of a rung go on into the next.

    Attributes:
        estimator: makes the estimator of a task.
        rungs: share of the budget's FLOPs for each rung.
        finish: whether the winner is trained on with what is left of the budget.
    """

    def __init__(self, estimator: EstimatorCallable, rungs: Sequence[float], finish: bool) -> None:
        self.estimator = estimator
        self.rungs = check_rungs(rungs, type(self).__name__)
        self.finish = finish

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        """Search on one task."""
        return self.run(self.estimator(task, space, seed), space, budget, seed, problem=task.id)

    @abstractmethod
    def run(self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str) -> Found:
        """Search on whatever problem the estimator holds.

        Args:
            estimator: scores architectures on the problem.
            space: what can be built.
            budget: in FLOPs; never overdrawn.
            seed: of what is drawn.
            problem: the problem's name in the record.

        Raises:
            ValueError: the budget has no limit on FLOPs, or pays for no architecture; or the space cannot build what
                the search starts from.
        """

    def _finished(
        self, contenders: Sequence[Contender], *, estimator: Estimator, budget: Budget, record: Record
    ) -> Found:
        """The first contender, trained on with what is left of the budget if wished.

        Raises:
            ValueError: nothing could be tried, or everything failed.
        """
        if not record.trials:
            queries = "any number of queries" if budget.queries is None else number_of(budget.queries, "query")
            raise ValueError(
                f"The budget of {budget.flops:g} FLOPs and {queries} pays for no architecture on "
                f"'{record.task_id}': raise it, or lower the number of candidates."
            )
        if not any(trial.scored for trial in record.trials):
            raise ValueError(
                f"{number_of(len(record.trials), 'training')} on '{record.task_id}', and none succeeded, the last "
                f"because of {record.trials[-1].failure}."
            )
        winner = contenders[0]
        if self.finish:
            rest = left(budget, type(self).__name__)
            winner = next(
                iter(climb([winner], estimator=estimator, budget=budget, flops=rest, record=record)),
                winner,
            )
        return Found(winner.architecture, winner.weights, record)
