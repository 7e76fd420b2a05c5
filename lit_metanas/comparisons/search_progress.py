"""Progress of the search of one task: a line on a terminal, or lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lit_metanas.io.text import duration, number_of, printable
from lit_metanas.records.record import Budget, Cost
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.tasks.task import Task

LEAST_BETWEEN_LINES, MOST_BETWEEN_LINES = 2.0, 30.0
"""Seconds between two lines of a log; each further tenth of the budget gets one."""

SEARCHING, TESTING = "searching", "testing"
"""The part of a search in which the budget is spent, and the beginning of the last part's name."""


class ReportedBudget(Budget):
    """A budget that reports its progress; ``after`` are FLOPs that are spent after the search."""

    def __init__(
        self, task: Task, searcher: Searcher, *, queries: int | None, flops: float | None, after: float = 0.0
    ) -> None:
        super().__init__(queries=queries, flops=flops)
        self.title = f"search of '{printable(task.id, 40)}' by {type(searcher).__name__}"
        self.part, self.after = "", after
        self.changed: Callable[[], None] = lambda: None  # is called after each charge, and where a part begins
        self._searched, self._trained = flops, 0.0  # what the search spends, at most and then in fact; what follows it
        self._reached = 0.0  # the highest share so far: it does not fall where more are left than was expected

    def charge(self, cost: Cost) -> None:
        """Charge a cost of the search."""
        super().charge(cost)
        self.changed()

    def follow(self, flops: float) -> None:
        """Set the FLOPs that the training after the search may spend, once they are known."""
        self.after, self._searched = flops, self.spent.flops

    def count_trained(self, flops: float) -> None:
        """Count FLOPs that were spent after the search."""
        self._trained += flops
        self.changed()

    def start_part(self, part: str) -> None:
        """Set the name of the next part."""
        self.part = part
        self.changed()

    def describe(self) -> str:
        """The amount that is spent, in words; empty once nothing more is spent."""
        if self.part != SEARCHING and (self.after <= 0 or self.part.startswith(TESTING)):
            return ""
        parts = []
        if self.flops or self.queries:
            parts.append(f"{self.share:.0%} of the budget")
        if self.spent.queries:
            parts.append(f"{number_of(self.spent.queries, 'architecture')} tried")
        return ", ".join(parts)

    @property
    def share(self) -> float:
        """The share of the budget that is spent, at most 1; 0 without a limit."""
        if self.flops:
            assert self._searched is not None
            spent = (self.spent.flops + self._trained) / (self._searched + self.after)
            self._reached = max(self._reached, min(1.0, spent))
        if self.queries:
            self._reached = max(self._reached, min(1.0, self.spent.queries / self.queries))
        return self._reached


class _Log:
    """Prints a line where a part begins and at each tenth of the budget, and none of a fast search."""

    def __init__(self, budget: ReportedBudget) -> None:
        self._budget = budget
        self._begin = self._printed = perf_counter()
        self._part, self._tenth = "", 0

    def __call__(self) -> None:
        budget, now, tenth = self._budget, perf_counter(), int(10 * self._budget.share)
        waited, begins = now - self._printed, budget.part != self._part
        self._part = budget.part
        if begins:
            is_due = now - self._begin >= LEAST_BETWEEN_LINES
        else:
            is_due = waited >= MOST_BETWEEN_LINES or (waited >= LEAST_BETWEEN_LINES and tenth > self._tenth)
        if is_due:
            self._printed, self._tenth = now, tenth
            parts = filter(None, (budget.part, budget.describe(), duration(now - self._begin)))
            print(f"{budget.title}: {', '.join(parts)}", file=sys.stderr, flush=True)


@contextmanager
def show_progress(budget: ReportedBudget, wanted: bool) -> Iterator[Callable[[str], None]]:
    """Show a line on a terminal, or print lines to a log; yields the function that names the current part."""
    console = Console(stderr=True)
    if not wanted or not (console.is_terminal or console.is_jupyter):
        if wanted:
            budget.changed = _Log(budget)
        yield budget.start_part
        return
    line = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), TimeRemainingColumn(), console=console,
        transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=4,
    )  # fmt: skip
    with line:
        shown = line.add_task("", total=1.0)

        def show() -> None:
            spent = ", ".join(filter(None, (budget.part, budget.describe())))
            line.update(shown, description=spent, completed=budget.share)

        budget.changed = show
        yield budget.start_part
