"""One rung of a halving search: contenders that are trained on for equal parts of a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from time import perf_counter

from torch import Tensor

from lit_metanas.estimators.estimator import Estimator
from lit_metanas.estimators.failure import FAILURES, reason_of
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import Record, Trial
from lit_metanas.spaces.architecture import Architecture


@dataclass(frozen=True)
class Contender:
    """An architecture in the running.

    Attributes:
        architecture: what is trained.
        value: its last validation score.
        weights: what to go on from, or None for a fresh start.
    """

    architecture: Architecture
    value: float = float("-inf")
    weights: dict[str, Tensor] | None = None


def climb(
    contenders: Sequence[Contender], *, estimator: Estimator, budget: Budget, flops: float, record: Record
) -> list[Contender]:
    """Train each contender on for an equal part of ``flops``, and order them by the score, best first.

    The fidelity follows from the known cost of a full training, so every contender gets the same FLOPs whatever its
    size, as nearly as the estimator can divide its training: ``TrainingEstimator`` trains whole epochs, rounded down
    but at least one, so that a small part can be exceeded. One that the budget can no longer pay for is left out, and
    so is one whose training fails, which is charged in full. A contender that was scored before costs no query.

    Raises:
        ValueError: the estimator trains nothing that could be divided.
    """
    known = {trial.architecture for trial in record.trials}
    done: list[Contender] = []
    for contender in contenders:
        architecture = contender.architecture
        full = estimator.cost(architecture, 1.0).flops
        if full == 0:
            raise ValueError(
                f"{type(estimator).__name__} costs no training FLOPs, which halving shares out: take an estimator that "
                "trains, such as TrainingEstimator."
            )
        fidelity = min(1.0, flops / len(contenders) / full)
        price = _once(estimator.cost(architecture, fidelity), architecture in known) if fidelity > 0 else None
        if price is None or not budget.affords(price):
            continue
        begin = perf_counter()
        try:
            score = estimator(architecture, fidelity=fidelity, start=contender.weights)
        except FAILURES as error:
            budget.charge(replace(price, seconds=perf_counter() - begin))
            record.trials.append(Trial(architecture, -inf, budget.spent, failure=reason_of(error)))
            continue
        cost = _once(score.cost, architecture in known)
        budget.charge(replace(cost, seconds=cost.seconds + perf_counter() - begin))  # those of a kept score, too
        record.trials.append(Trial(architecture, score.value, budget.spent))
        done.append(Contender(architecture, score.value, score.weights))
    return sorted(done, key=lambda contender: -contender.value)


def left(budget: Budget, who: str) -> float:
    """FLOPs that a budget still holds.

    Raises:
        ValueError: the budget has no limit on FLOPs.
    """
    if budget.flops is None:
        raise ValueError(f"{who} shares out training FLOPs: give the search a budget in FLOPs.")
    return budget.flops - budget.spent.flops


def check_rungs(rungs: Sequence[float], who: str) -> tuple[float, ...]:
    """The shares of the budget, checked.

    Raises:
        ValueError: there are none, or they are not positive, or they sum to more than one.
    """
    if not rungs or min(rungs) <= 0 or sum(rungs) > 1 + 1e-9:
        raise ValueError(f"{who}: the rungs {list(rungs)} are not positive shares of a budget that sum to at most 1.")
    return tuple(rungs)


def _once(cost: Cost, known: bool) -> Cost:
    return replace(cost, queries=0) if known else cost
