"""The deterministic account of a search, and how it ends: spent, or failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lit_metanas.io.text import duration, number_of

TRAINING_PASSES = 3
"""A pass with its gradient costs about three forward passes."""

WATTS_A_CORE = 12.0
"""What a busy core takes of a processor that is not known, in Green Algorithms (Lannelongue et al. 2021, Advanced
Science): https://doi.org/10.1002/advs.202100707. Memory, cooling and the rest of the machine come on top."""


class Exhausted(Exception):  # noqa: N818 (the end of a search, not a fault)
    """The next charge does not fit into the budget.

    Example:
        >>> import lit_metanas as lm
        >>> budget = lm.Budget(queries=1)
        >>> budget.charge(lm.Cost(queries=1))
        >>> try:
        ...     budget.charge(lm.Cost(queries=1))
        ... except lm.Exhausted:
        ...     print("the search is over")
        the search is over
    """


class TooSmallBudgetError(ValueError):
    """A budget pays for no architecture; the message is one sentence for the user."""


class FailedWorkError(RuntimeError):
    """The work failed, though nothing that was given is known to be wrong; the message is one sentence for the user."""


@dataclass(frozen=True)
class Cost:
    """What was spent.

    Attributes:
        queries: architectures evaluated (a known one again costs nothing).
        steps: optimizer steps.
        images: training images seen, with repetition.
        flops: training cost: 3 x forward multiply-adds x images.
        seconds: wall time; reported, never used to stop or to compare.

    Example:
        >>> import lit_metanas as lm
        >>> lm.Cost(queries=1, flops=300) + lm.Cost(queries=2)
        Cost(queries=3, steps=0, images=0, flops=300, seconds=0.0)
    """

    queries: int = 0
    steps: int = 0
    images: int = 0
    flops: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            *(mine + theirs for mine, theirs in zip(asdict(self).values(), asdict(other).values(), strict=True))
        )

    def counted_in(self, account: str) -> float:
        """What of it an account counts, such as ``flops``."""
        return float(getattr(self, account))


def describe_energy(seconds: float, threads: int) -> str:
    """An estimate of the energy that so many busy threads took, in plain words, with what it rests on.

    Args:
        seconds: wall time.
        threads: of torch, each on a core of a processor.

    Example:
        >>> describe_energy(600, 2)
        'about 4 Wh (an estimate: 10.0 min x 2 threads x 12 W a core; memory and cooling not counted)'
    """
    hours = seconds * threads / 3600
    found = WATTS_A_CORE * hours
    number, unit = (found / 1000, "kWh") if found >= 1000 else (found, "Wh")
    told = f"about {number:.0f}" if number >= 99.5 else f"about {number:.2g}" if number >= 0.001 else "below 0.001"
    basis = f"{duration(seconds)} x {number_of(threads, 'thread')} x {WATTS_A_CORE:g} W a core"
    return f"{told} {unit} (an estimate: {basis}; memory and cooling not counted)"


class Budget:
    """A limit and what was spent of it; a limit of None is none.

    Args:
        queries: most architectures to evaluate.
        flops: most training cost, 3 x forward multiply-adds x images.

    Example:
        >>> import lit_metanas as lm
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

    @property
    def used_up(self) -> bool:
        """Whether nothing is left."""
        spent = self.spent
        return (self.queries is not None and spent.queries >= self.queries) or (
            self.flops is not None and spent.flops >= self.flops
        )

    def charge(self, cost: Cost) -> None:
        """Add ``cost`` to what was spent.

        Raises:
            Exhausted: it does not fit; nothing is charged then.
        """
        if not self.affords(cost):
            raise Exhausted(f"The search budget is spent: queries {self.queries}, FLOPs {self.flops}.")
        self.spent = self.spent + cost
