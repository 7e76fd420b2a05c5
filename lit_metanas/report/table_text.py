"""A table as text: for a terminal and in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from rich.markup import escape
from rich.table import Table

from lit_metanas.io.text import duration, markdown_lines, markdown_text, printable, shorten, with_prefix
from lit_metanas.records.statistics import percent
from lit_metanas.report.paired_statistics import Difference
from lit_metanas.report.table import ACCURACY, MethodRow, ProtocolTable

COLUMNS = (
    "method",
    "{metric} %",
    "over seeds %",
    "difference",
    "search a task",
    "meta-training (once)",
    "pays after",
    "parameters",
    "FLOPs",
    "batch norm",
    "seeds",
)
"""Headings of the cells that ``cells`` makes; the second one after the table's metric."""


def cells(row: MethodRow) -> list[str]:
    """The row's texts in the order of ``COLUMNS``."""
    return [
        row.method,
        percent(row.score.mean, row.score.half),
        percent(row.seeds.mean, row.seeds.half) if len(row.seed_numbers) > 1 else "–",
        points(row.difference) if row.difference else "–",
        _cost_text(row.search_cost, row.search_seconds, row.account),
        _cost_text(row.meta_cost, row.meta_seconds, row.account),
        tasks(row.pays_after) if row.meta_cost else "–",
        with_prefix(row.parameters) if row.parameters else "–",
        with_prefix(row.flops) if row.flops else "–",
        row.batch_norm or "–",
        ", ".join(map(str, row.seed_numbers)),
    ]


def headings(table: ProtocolTable) -> list[str]:
    """The headings of a table's columns."""
    return [heading.format(metric=table.metric) for heading in COLUMNS]


TEXTS = (0, 9, 10)
"""Columns that are set flush left."""

SEEDS_COLUMN = 10
"""The column of the seeds."""

STATISTICS = {
    "running": "of its training",
    "support": "of the task's training examples",
    "transductive": "of the test examples",
}
"""Where batch-norm statistics come from, by the word in the column."""

MOST_CLASSES = 30
"""Classes that are shown, the weakest ones."""

PARTS = ((0, 1, 2, 3, 10), (0, 4, 5, 6), (0, 7, 8, 9))
"""Columns that stand together where the whole table is too wide: scores, costs, network."""


def to_rich(table: ProtocolTable, width: int = 200) -> list[Table]:
    """The table for a terminal of ``width`` characters: in ``PARTS`` where it is narrow.

    Example:
        >>> import lit_metanas as lm
        >>> protocol = lm.Protocol("episodes", way=5, shot=1, batch_norm="support")
        >>> known = {"task_id": "letters", "protocol": protocol, "space": "", "architecture": None, "recipe": {}}
        >>> known |= {"ci95": 0.01, "cost": lm.Cost(), "meta_cost": lm.Cost(), "parameters": 1000, "flops": 2000}
        >>> accuracies = {"ours": 0.9, "random": 0.8}
        >>> rows = [lm.ResultRow(method=name, seed=0, value=value, **known) for name, value in accuracies.items()]
        >>> [type(table).__name__ for table in lm.to_rich(lm.tables(rows)[0])]
        ['Table']
    """
    lines = [headings(table), *(cells(row) for row in table.rows)]
    kept = _used_columns(lines)
    needed = 1 + sum(3 + max(len(line[column]) for line in lines) for column in kept)
    parts = [kept]
    if needed > width:
        cut = [[column for column in part if column in kept] for part in PARTS]
        parts = [part for part in cut if len(part) > 1]
    drawn = []
    for part in parts:
        title = _shown(table.title) if part is parts[0] else None
        own = Table(title=title, title_justify="left", caption_justify="left")
        for column in part:
            justify: Literal["left", "right"] = "left" if column in TEXTS else "right"
            own.add_column(
                _shown(lines[0][column]), justify=justify, no_wrap=0 < column < 10, min_width=0 if column else 16
            )
        for line in lines[1:]:
            own.add_row(*(_shown(line[column]) for column in part))
        drawn.append(own)
    drawn[-1].caption = _shown(notes(table))
    if table.class_values:
        own = Table(title="Accuracy by class, %", title_justify="left")
        for place, heading in enumerate(_class_heading(table)):
            own.add_column(_shown(heading), justify="right" if place else "left")
        for line in _class_lines(table):
            own.add_row(*map(_shown, line))
        drawn.append(own)
    return drawn


def _shown(text: str) -> str:
    """A text for a terminal, whose square brackets are no markup of ``rich``."""
    return escape(printable(text))


def _used_columns(lines: Sequence[Sequence[str]]) -> list[int]:
    """Columns in which any row has something; the seeds only where rows differ in them, else the notes say them."""
    used = [column for column in range(len(COLUMNS)) if any(line[column] != "–" for line in lines[1:])]
    return [column for column in used if column != SEEDS_COLUMN or len({line[column] for line in lines[1:]}) > 1]


def _class_heading(table: ProtocolTable) -> list[str]:
    return ["class", *(row.method for row in table.rows)]


def _class_lines(table: ProtocolTable) -> list[list[str]]:
    """A line for each class, the weakest first, with the accuracy of each method."""
    ordered = sorted(table.class_values.items(), key=lambda item: fmean(item[1].values()))
    methods = [row.method for row in table.rows]
    return [
        [shorten(name, 40), *(f"{100 * own[method]:.1f}" if method in own else "–" for method in methods)]
        for name, own in ordered[:MOST_CLASSES]
    ]


def to_markdown(table: ProtocolTable) -> str:
    """The table as Markdown, with its notes.

    Example:
        >>> import lit_metanas as lm
        >>> protocol = lm.Protocol("episodes", way=5, shot=1, batch_norm="support")
        >>> known = {"task_id": "letters", "protocol": protocol, "space": "", "architecture": None, "recipe": {}}
        >>> known |= {"ci95": 0.01, "cost": lm.Cost(), "meta_cost": lm.Cost(), "parameters": 1000, "flops": 2000}
        >>> accuracies = {"ours": 0.9, "random": 0.8}
        >>> rows = [lm.ResultRow(method=name, seed=0, value=value, **known) for name, value in accuracies.items()]
        >>> lm.to_markdown(lm.tables(rows)[0]).splitlines()[0]
        '### Few-shot episodes: 5-way 1-shot, letters'
    """
    rows = [headings(table), *(cells(row) for row in table.rows)]
    kept = _used_columns(rows)
    ruler = ["---" if column in TEXTS else "---:" for column in kept]
    lines = [[row[column] for column in kept] for row in rows]
    title, told = markdown_text(table.title), markdown_text(notes(table))
    text = f"### {title}\n\n{markdown_lines([lines[0], ruler, *lines[1:]])}\n\n{told}\n"
    if table.class_values:
        ruler = ["---", *("---:" for _ in table.rows)]
        text += f"\nAccuracy by class, %:\n\n{markdown_lines([_class_heading(table), ruler, *_class_lines(table)])}\n"
    return text


def notes(table: ProtocolTable) -> str:
    """What the columns mean."""
    several = any(len(row.seed_numbers) > 1 for row in table.rows)
    metric = table.metric.capitalize() if table.metric.islower() else table.metric  # chrF is called so
    text = f"{metric}: mean over {table.units}{' and seeds' if several else ''} with its 95 % interval (Student's t"
    text += f" over {table.units})." if several else ")."
    if several:
        text += " Over seeds: the same mean with its 95 % interval over seeds."
    if table.units == "seeds":
        text = f"{metric}: mean over seeds. Over seeds: the same mean with its 95 % interval (Student's t)."
    if table.units == "test examples":
        share = table.metric == ACCURACY
        what = "share of the test examples that are classified correctly" if share else "over the test examples"
        interval = ", and the reach of its 95 % interval (Wilson)" if share else ", with its 95 % interval"
        text = f"{metric}: {what}{'' if all(math.isnan(row.score.half) for row in table.rows) else interval}."
    if len(seeds := {row.seed_numbers for row in table.rows}) == 1:
        (numbers,) = seeds
        text += f" All rows: {'seeds' if len(numbers) > 1 else 'seed'} {', '.join(map(str, numbers))}."
    if stopped := [f"'{row.method}'" for row in table.rows if row.stopped]:
        text += f" Stopped early, with the best so far: {', '.join(stopped)}."
    if table.reference is not None:
        text += (
            f" Difference: to '{table.reference}', the mean of paired differences in percentage points with its 95 % "
            "interval (Student's t, over seeds and over what else varies, both added)."
        )
    text += (
        " Costs: training FLOPs (3 × forward multiply-adds × examples) and time."
        if table.account == "flops"
        else " Costs: queries, each an architecture whose score was looked up, and time."
    )
    if any(row.flops for row in table.rows):
        text += " FLOPs of a network: forward multiply-adds for one input."
    if any(row.meta_cost for row in table.rows):
        text += (
            " Meta-training: the whole cost of what a row takes from it, weights and architecture, or its architecture "
            "alone where the network starts from random weights."
        )
    if table.scratch is not None:
        text += (
            " Pays after: number of tasks from which meta-training once costs less than searching every task from "
            f"scratch by '{table.scratch}' (counted up to where that is within half a point of its final score)."
        )
    if modes := [mode for mode in dict.fromkeys(row.batch_norm for row in table.rows) if mode in STATISTICS]:
        text += f" Batch norm: the network normalises with the statistics {_listed(modes)}."
    return text


def verdict(tables: Sequence[ProtocolTable], method: str) -> str:
    """What a method reached, won or lost against the reference, and cost, by the first table that compares the two.

    Empty where none does.
    """
    for table in tables:
        own = next((row for row in table.rows if row.method == method and row.difference), None)
        other = next((row for row in table.rows if row.method == table.reference), None)
        if own is not None and other is not None and own.difference is not None:
            score = percent(own.score.mean, own.score.half)
            costs = [with_prefix(row.meta_cost + row.search_cost) for row in (own, other)]
            account = "training FLOPs" if table.account == "flops" else table.account
            return (
                f"{method}: {score} % ({table.title}), {points(own.difference)} points to {other.method}; "
                f"it cost {costs[0]} of {account} with its search, {other.method} {costs[1]}."
            )
    return ""


def _listed(modes: Sequence[str]) -> str:
    return ", ".join(f"{STATISTICS[mode]} ({mode})" for mode in modes)


def _cost_text(cost: float, seconds: float, account: str) -> str:
    if not cost and not seconds:
        return "–"
    unit = account if account != "flops" else "FLOPs"
    number = with_prefix(cost)
    return f"{number}{'' if account == 'flops' and number[-1].isalpha() else ' '}{unit}, {duration(seconds)}"


def points(difference: Difference) -> str:
    """``+1.2 [+0.4, +2.1]``, in percentage points; without the bounds where there are none."""
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    bounds = "" if math.isnan(low) else f" [{low:+.1f}, {high:+.1f}]"
    return f"{mean:+.1f}{bounds}".replace("-", "−")


def tasks(number: float | None) -> str:
    """Number of tasks until meta-training has paid: ``never``, ``at once``, ``12``, or a dash if it has no answer."""
    if number is None:
        return "–"
    if number == 0:
        return "at once"
    return "never" if math.isinf(number) else with_prefix(number)
