"""How far a search of one task is: a line on a terminal, or lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from lit_metanas.io.text import duration, number_of, printable, rough
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.tasks.task import Task

LEAST_BETWEEN_LINES, MOST_BETWEEN_LINES = 2.0, 30.0
"""Seconds between two lines of a log, of which each further tenth of the budget is worth one."""

LEAST_SHARE, LEAST_ELAPSED = 0.1, 3.0
"""The share of the budget, and the seconds, after the first training, from which on the time left is told. The first
one is slower than all others, as it warms up."""

SEARCHING, TESTING = "searching", "testing"
"""The part of a search in which the budget is spent, and how the name of the last part begins."""


class ToldBudget(Budget):
    """A budget that can tell a log how much of it is spent.

    Args:
        task: what is searched for.
        searcher: who spends it.
        queries: most architectures to evaluate.
        flops: most training cost.
        beside: FLOPs that are spent after the search, of which the log is told, too, as far as they can be expected.
    """

    def __init__(
        self, task: Task, searcher: Searcher, *, queries: int | None, flops: float | None, beside: float = 0.0
    ) -> None:
        super().__init__(queries=queries, flops=flops)
        self.logs, self.part = False, ""
        self.beside, self._trained = beside, 0.0
        self._searched = flops  # what the search spends: at most, and then in fact
        self._title = f"search of '{printable(task.id, 40)}' by {type(searcher).__name__}"
        self._begin = self._told = self._charged = perf_counter()
        self._before = 0.0
        self._reached = 0.0  # the highest share of FLOPs so far: it does not fall where more are left than was expected
        self._first: tuple[float, float] | None = None  # share and seconds once something was trained
        self._tenth, self._line = 0, ""

    def charge(self, cost: Cost) -> None:
        """Charge, and print a line where it is time to."""
        super().charge(cost)
        self._tell_tenths(cost.seconds)

    def follow(self, flops: float) -> None:
        """Take what the training after the search may spend, once that is known."""
        self.beside, self._searched = flops, self.spent.flops

    def trained(self, flops: float, seconds: float = 0.0) -> None:
        """Count what was spent after the search, and print a line where it is time to."""
        self._trained += flops
        self._tell_tenths(seconds)

    def _tell_tenths(self, seconds: float) -> None:
        now = perf_counter()
        self._before += max(0.0, seconds - (now - self._charged))  # of a training that was kept by an earlier call
        self._charged = now
        share = self._share()
        self._first = self._first or (share, self._elapsed)
        waited, tenth = now - self._told, int(10 * share)
        if waited >= MOST_BETWEEN_LINES or (waited >= LEAST_BETWEEN_LINES and tenth > self._tenth):
            self._tenth = tenth
            self._print()

    def begin(self, part: str) -> None:
        """Name what begins; a log is told of it unless all goes fast."""
        self.part = part
        if perf_counter() - self._begin >= LEAST_BETWEEN_LINES:
            self._print()

    def describe(self) -> str:
        """How much is spent; empty once nothing more is."""
        if not self._spends:
            return ""
        parts = [f"{self._flops_share():.0%} of the budget"] if self.flops else []
        if self.spent.queries:
            parts.append(f"{number_of(self.spent.queries, 'architecture')} tried")
        return ", ".join(parts)

    def describe_left(self) -> str:
        """About how long it still takes, at the speed since the first training; empty before this is known, and later.

        Where no FLOPs are known that follow the search, it is the time left of the search.
        """
        if not self._spends or self._first is None:
            return ""
        share = self._share()
        spent, seconds = share - self._first[0], self._elapsed - self._first[1]
        if spent < LEAST_SHARE or seconds < LEAST_ELAPSED:
            return ""
        left = seconds * (1 - share) / spent - (perf_counter() - self._charged)
        return f"about {rough(left)} left{'' if self.beside else ' of the search'}" if left > 0 else ""

    @property
    def _spends(self) -> bool:
        """Whether the budget is still being spent."""
        return self.part == SEARCHING or (self.beside > 0 and not self.part.startswith(TESTING))

    @property
    def _elapsed(self) -> float:
        """Seconds up to the last training, those of an earlier call included."""
        return self._charged - self._begin + self._before

    def _share(self) -> float:
        """The share of the budget that is spent, at most 1; 0 where there is no limit."""
        shares = [self._flops_share()] if self.flops else []
        shares += [min(1.0, self.spent.queries / self.queries)] if self.queries else []
        return max(shares, default=0.0)

    def _flops_share(self) -> float:
        assert self._searched is not None
        share = (self.spent.flops + self._trained) / (self._searched + self.beside)
        self._reached = max(self._reached, min(1.0, share))
        return self._reached

    def _print(self) -> None:
        self._told = perf_counter()
        parts = (self.part, self.describe(), duration(self._told - self._begin), self.describe_left())
        line = f"{self._title}: {', '.join(part for part in parts if part)}"
        if self.logs and line != self._line:
            print(line, file=sys.stderr, flush=True)
            self._line = line


class _Told(ProgressColumn):
    """What a budget tells of itself."""

    def __init__(self, told: Callable[[], str]) -> None:
        super().__init__()
        self.told = told

    def render(self, task: object) -> Text:
        return Text(self.told(), no_wrap=True)


@contextmanager
def show_progress(budget: ToldBudget, wanted: bool) -> Iterator[Callable[[str], None]]:
    """A line on a terminal while a search runs, or lines in a log; what is given says which part of it does."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        budget.logs = wanted
        yield budget.begin
        return
    line = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), _Told(budget.describe), TimeElapsedColumn(),
        _Told(budget.describe_left), console=console, transient=True, redirect_stdout=False, redirect_stderr=False,
        refresh_per_second=4, disable=not wanted,
    )  # fmt: skip
    with line:
        part = line.add_task("", total=None)

        def show(name: str) -> None:
            budget.begin(name)
            line.update(part, description=name)

        yield show
