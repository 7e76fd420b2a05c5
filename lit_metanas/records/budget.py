"""Costs of a search, its budget, and the errors that end it."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from operator import add, sub

TRAINING_PASSES = 3
"""A pass with its gradient costs about three forward passes."""


class Exhausted(Exception):  # noqa: N818 (the end of a search, not a fault)
    """The next charge does not fit into the budget.

    Example:
        >>> try:
        ...     lm.Budget(queries=1).charge(lm.Cost(queries=2))
        ... except lm.records.Exhausted:
        ...     print("the search is over")
        the search is over
    """


class TooSmallBudgetError(ValueError):
    """The budget pays for no architecture; the message is one sentence for the user."""


class FailedWorkError(RuntimeError):
    """The work failed, though no input is known to be wrong; the message is one sentence for the user."""


@dataclass(frozen=True)
class Cost:
    """The cost of a search or training.

    Attributes:
        queries: architectures evaluated; a known one costs nothing.
        steps: optimizer steps.
        images: training images seen, with repetition.
        flops: training cost: 3 x forward multiply-adds x images.
        seconds: of all work, so that trainings side by side add up; reported, never used to stop or to compare.

    Example:
        >>> lm.Cost(queries=1, flops=300) + lm.Cost(queries=2)
        Cost(queries=3, steps=0, images=0, flops=300, seconds=0.0)
    """

    queries: int = 0
    steps: int = 0
    images: int = 0
    flops: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*map(sub, astuple(self), astuple(other)))

    def counted_in(self, account: str) -> float:
        """The amount in one account, such as ``flops``."""
        return float(getattr(self, account))


class Budget:
    """A limit, and the cost so far; a limit of None is no limit.

    Args:
        queries: most architectures to evaluate.
        flops: most training cost, 3 x forward multiply-adds x images.

    Example:
        >>> budget = lm.Budget(queries=10, flops=1e9)
        >>> budget.charge(lm.Cost(queries=1, flops=400_000_000))
        >>> budget.affords(lm.Cost(flops=700_000_000))
        False
    """

    def __init__(self, *, queries: int | None = None, flops: float | None = None) -> None:
        self.queries = queries
        self.flops = flops
        self.spent = Cost()

    def affords(self, cost: Cost) -> bool:
        """Whether ``cost`` still fits."""
        total = self.spent + cost
        return (self.queries is None or total.queries <= self.queries) and (
            self.flops is None or total.flops <= self.flops
        )

    def charge(self, cost: Cost) -> None:
        """Add a cost to the amount spent; Exhausted, and nothing is charged, if it does not fit."""
        if not self.affords(cost):
            raise Exhausted(f"The search budget is spent: queries {self.queries}, FLOPs {self.flops}.")
        self.spent = self.spent + cost
