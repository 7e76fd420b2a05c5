"""How far a search of one task is: a line on a terminal, or lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from lit_metanas.io.text import duration, number_of, printable
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.tasks.task import Task

LEAST_BETWEEN_LINES, MOST_BETWEEN_LINES = 2.0, 30.0
"""Seconds between two lines of a log, of which each further tenth of the budget is worth one."""

SEARCHING = "searching"
"""The part of a search in which the budget is spent."""


class ToldBudget(Budget):
    """A budget that can tell a log how much of it is spent.

    Args:
        task: what is searched for.
        searcher: who spends it.
        queries: most architectures to evaluate.
        flops: most training cost.
        beside: FLOPs that are spent after the search, of which the log is told, too.
    """

    def __init__(
        self, task: Task, searcher: Searcher, *, queries: int | None, flops: float | None, beside: float = 0.0
    ) -> None:
        super().__init__(queries=queries, flops=flops)
        self.logs, self.part = False, ""
        self.beside, self._trained = beside, 0.0
        self._title = f"search of '{printable(task.id, 40)}' by {type(searcher).__name__}"
        self._begin = self._told = perf_counter()
        self._tenth = 0

    def charge(self, cost: Cost) -> None:
        """Charge, and print a line where it is time to."""
        super().charge(cost)
        self._tell_tenths()

    def trained(self, flops: float) -> None:
        """Count what was spent after the search, and print a line where it is time to."""
        self._trained += flops
        self._tell_tenths()

    def _tell_tenths(self) -> None:
        waited = perf_counter() - self._told
        shares = [self._flops_share()] if self.flops else []
        shares += [self.spent.queries / self.queries] if self.queries else []
        tenth = int(10 * max(shares, default=0))
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
        if self.part != SEARCHING and not self.beside:
            return ""
        parts = [f"{self._flops_share():.0%} of the budget"] if self.flops else []
        if self.spent.queries:
            parts.append(f"{number_of(self.spent.queries, 'architecture')} tried")
        return ", ".join(parts)

    def _flops_share(self) -> float:
        assert self.flops
        most = self.flops if self.part == SEARCHING else self.spent.flops
        return (self.spent.flops + self._trained) / (most + self.beside)

    def _print(self) -> None:
        self._told = perf_counter()
        if self.logs:
            parts = (self.part, self.describe(), duration(self._told - self._begin))
            print(f"{self._title}: {', '.join(part for part in parts if part)}", file=sys.stderr, flush=True)


class _Spent(ProgressColumn):
    """What a search has spent."""

    def __init__(self, budget: ToldBudget) -> None:
        super().__init__()
        self.budget = budget

    def render(self, task: object) -> Text:
        return Text(self.budget.describe(), no_wrap=True)


@contextmanager
def show_progress(budget: ToldBudget, wanted: bool) -> Iterator[Callable[[str], None]]:
    """A line on a terminal while a search runs, or lines in a log; what is given says which part of it does."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        budget.logs = wanted
        yield budget.begin
        return
    line = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), _Spent(budget), TimeElapsedColumn(), console=console,
        transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=4, disable=not wanted,
    )  # fmt: skip
    with line:
        part = line.add_task("", total=None)

        def show(name: str) -> None:
            budget.begin(name)
            line.update(part, description=name)

        yield show
