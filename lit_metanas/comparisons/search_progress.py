"""Progress of the search of one task: a line on a terminal, or lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lit_metanas.io.text import duration, number_of, printable
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.tasks.task import Task

LEAST_BETWEEN_LINES, MOST_BETWEEN_LINES = 2.0, 30.0
"""Seconds between two lines of a log; each further tenth of the budget gets one."""

SEARCHING, TESTING = "searching", "testing"
"""The part of a search in which the budget is spent, and the beginning of the last part's name."""


class ToldBudget(Budget):
    """A budget that reports its progress; ``after`` are FLOPs that are spent after the search."""

    def __init__(
        self, task: Task, searcher: Searcher, *, queries: int | None, flops: float | None, after: float = 0.0
    ) -> None:
        super().__init__(queries=queries, flops=flops)
        self.logs, self.part = False, ""
        self.changed: Callable[[], None] = lambda: None  # is called after each charge
        self.after, self._trained = after, 0.0
        self._searched = flops  # what the search spends: at most, and then in fact
        self._title = f"search of '{printable(task.id, 40)}' by {type(searcher).__name__}"
        self._begin = self._printed = perf_counter()
        self._reached = 0.0  # the highest share of FLOPs so far: it does not fall where more are left than was expected
        self._tenth, self._line = 0, ""

    def charge(self, cost: Cost) -> None:
        """Charge a cost, and print a line when it is due."""
        super().charge(cost)
        self._report_tenths()

    def follow(self, flops: float) -> None:
        """Set the FLOPs that the training after the search may spend, once they are known."""
        self.after, self._searched = flops, self.spent.flops

    def trained(self, flops: float) -> None:
        """Count FLOPs that were spent after the search, and print a line when it is due."""
        self._trained += flops
        self._report_tenths()

    def _report_tenths(self) -> None:
        self.changed()
        waited, tenth = perf_counter() - self._printed, int(10 * self.share)
        if waited >= MOST_BETWEEN_LINES or (waited >= LEAST_BETWEEN_LINES and tenth > self._tenth):
            self._tenth = tenth
            self._print()

    def begin(self, part: str) -> None:
        """Set the name of the next part; a log gets it in a line unless the search is fast."""
        self.part = part
        if perf_counter() - self._begin >= LEAST_BETWEEN_LINES:
            self._print()

    def describe(self) -> str:
        """The amount that is spent, in words; empty once nothing more is spent."""
        if self.part != SEARCHING and (self.after <= 0 or self.part.startswith(TESTING)):
            return ""
        parts = []
        if self.flops:
            parts.append(f"{self._flops_share():.0%} of the budget")
        if self.spent.queries:
            parts.append(f"{number_of(self.spent.queries, 'architecture')} tried")
        return ", ".join(parts)

    @property
    def share(self) -> float:
        """The share of the budget that is spent, at most 1; 0 without a limit."""
        share = 0.0
        if self.flops:
            share = self._flops_share()
        if self.queries:
            share = max(share, min(1.0, self.spent.queries / self.queries))
        return share

    def _flops_share(self) -> float:
        assert self._searched is not None
        share = (self.spent.flops + self._trained) / (self._searched + self.after)
        self._reached = max(self._reached, min(1.0, share))
        return self._reached

    def _print(self) -> None:
        self._printed = perf_counter()
        parts = (self.part, self.describe(), duration(self._printed - self._begin))
        line = f"{self._title}: {', '.join(part for part in parts if part)}"
        if self.logs and line != self._line:
            print(line, file=sys.stderr, flush=True)
            self._line = line


@contextmanager
def show_progress(budget: ToldBudget, wanted: bool) -> Iterator[Callable[[str], None]]:
    """Show a line on a terminal, or print lines to a log; yields the function that names the current part."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        budget.logs = wanted
        yield budget.begin
        return
    line = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), TimeRemainingColumn(), console=console,
        transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=4, disable=not wanted,
    )  # fmt: skip
    with line:
        shown = line.add_task("", total=1.0)

        def show() -> None:
            spent = ", ".join(filter(None, (budget.part, budget.describe())))
            line.update(shown, description=spent, completed=budget.share)

        def begin(name: str) -> None:
            budget.begin(name)
            show()

        budget.changed = show
        yield begin
