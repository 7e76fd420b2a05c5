"""What a person wants of a search besides limits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import inf

from lit_metanas.records.record_lines import SHIPPED
from lit_metanas.training.trainers import check_threads

MINUTES = 10.0
"""Where neither these nor FLOPs are given."""


class Wishes:
    """What is wanted of a search besides limits; without minutes and FLOPs it may take ``MINUTES``.

    Args:
        minutes: how long all may take.
        flops: training FLOPs of the search and of the training after it, or of both together.
        seed: of search and training.
        threads: torch's threads.
        progress: whether it is told on stderr what goes on.
        records: files of searches of other tasks.

    Attributes:
        flops: as a tuple of two numbers, of one, or of none.

    Raises:
        ValueError: one is out of its range, or there are both minutes and FLOPs.
    """

    def __init__(
        self,
        minutes: float | None,
        flops: float | tuple[float, float] | None,
        *,
        seed: int,
        threads: int | None,
        progress: bool,
        records: Sequence[str] = (SHIPPED,),
    ) -> None:
        if minutes is not None and flops is not None:
            raise ValueError("auto: give minutes or flops, not both.")
        given = () if flops is None else flops if isinstance(flops, tuple | list) else (flops,)
        self.flops: tuple[float, ...] = tuple(given)
        self.minutes = MINUTES if minutes is None and flops is None else minutes
        for name, numbers in (("minutes", [self.minutes]), ("flops", [*self.flops])):
            if not all(number is None or 0 < number < inf for number in numbers) or len(numbers) > 2:
                raise ValueError(f"auto: {name} = {', '.join(map(str, numbers))} must be above 0.")
        if seed < 0:
            raise ValueError(f"auto: seed = {seed} must be at least 0.")
        check_threads("auto", threads)
        self.seed = seed
        self.threads = threads
        self.progress = progress
        self.records = tuple(records)

    def say(self, text: str) -> None:
        """Tell what goes on."""
        if self.progress:
            print(f"auto: {text}", file=sys.stderr, flush=True)
