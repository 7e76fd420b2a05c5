"""Successive halving."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lit_metanas.estimators.estimator import Estimator, EstimatorCallable
from lit_metanas.estimators.training import TrainingEstimator
from lit_metanas.records.budget import Budget
from lit_metanas.records.record import Found, Record
from lit_metanas.searchers.halving import Halving
from lit_metanas.searchers.mutation import draw_new
from lit_metanas.searchers.rung import Contender, climb, left
from lit_metanas.spaces.space import SearchSpace


class SuccessiveHalving(Halving):
    """Random architectures, of which each rung of training keeps the best (Jamieson and Talwalkar 2016).

    Differs from the paper in that a rung's part of the budget is given in FLOPs, not in iterations: large and small
    networks get the same.

    Args:
        estimator: makes the estimator of a task.
        candidates: architectures in the first rung.
        eta: each rung keeps this fraction, one in ``eta``, rounded up.
        rungs: share of the budget's FLOPs for each rung; None gives equal shares to as many as are needed to be
            left with one.
        finish: whether the winner is trained on with what is left of the budget.
    """

    def __init__(
        self,
        *,
        estimator: EstimatorCallable = TrainingEstimator,
        candidates: int = 8,
        eta: int = 2,
        rungs: Sequence[float] | None = None,
        finish: bool = False,
    ) -> None:
        if candidates < 1 or eta < 2:
            raise ValueError(f"Halving needs candidates >= 1 and eta >= 2, not {candidates} and {eta}.")
        if rungs is None:
            number, kept = 1, candidates
            while kept > eta:
                number, kept = number + 1, -(-kept // eta)
            rungs = [1 / number] * number
        super().__init__(estimator, rungs, finish)
        self.candidates = candidates
        self.eta = eta

    def run(self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str) -> Found:
        """Halve; see the base class."""
        generator = torch.Generator().manual_seed(seed)
        total = left(budget, "SuccessiveHalving")
        record = Record(problem)
        drawn = draw_new(lambda: space.sample(generator), space, self.candidates, ())
        contenders = [Contender(architecture) for architecture in drawn]
        for share in self.rungs:
            ranked = climb(contenders, estimator=estimator, budget=budget, flops=share * total, record=record)
            if not ranked:
                break
            contenders = ranked[: -(-len(ranked) // self.eta)]
        return self._finished(contenders, estimator=estimator, budget=budget, record=record)
