"""A table as text, for a terminal and in Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from rich.markup import escape
from rich.table import Table

from lit_metanas.io.text import duration, markdown_lines, markdown_text, printable, with_prefix
from lit_metanas.records.statistics import percent
from lit_metanas.report.table import ACCOUNTS, Difference, MethodRow, ProtocolTable


class Column(NamedTuple):
    """A column: its heading, the text of a row's cell, its part of a table that is too wide, and its alignment."""

    heading: str
    text: Callable[[MethodRow], str]
    part: int = 0
    justify: Literal["left", "right"] = "right"


def known(condition: object, text: str) -> str:
    """A text for a cell; a dash where it does not hold."""
    return text if condition else "–"


SEEDS = Column("seeds", lambda row: ", ".join(map(str, row.seed_numbers)), 0, "left")

# All columns; the first one is in each part of a wide table.
COLUMNS = (
    Column("method", lambda row: row.method, -1, "left"),
    Column("{metric} %", lambda row: percent(row.score.mean, row.score.half)),
    Column("over seeds %", lambda row: known(row.seed_numbers[1:], percent(row.seeds.mean, row.seeds.half))),
    Column("difference", lambda row: points(row.difference) if row.difference else "–"),
    Column("search a task", lambda row: _cost(row.search_cost, row.search_seconds, row.account), 1),
    Column("meta-training (once)", lambda row: _cost(row.meta_cost, row.meta_seconds, row.account), 1),
    Column("pays after", lambda row: known(row.meta_cost, tasks(row.pays_after)), 1),
    Column("parameters", lambda row: known(row.parameters, with_prefix(row.parameters)), 2),
    Column("FLOPs", lambda row: known(row.flops, with_prefix(row.flops)), 2),
    Column("batch norm", lambda row: row.batch_norm or "–", 2, "left"),
    SEEDS,
)


def _columns(table: ProtocolTable) -> dict[Column, list[str]]:
    """The columns that are not empty, each with its heading and texts; that of seeds only if rows differ in it."""
    found = {}
    for column in COLUMNS:
        texts = [column.text(row) for row in table.rows]
        if set(texts) != {"–"} and (column is not SEEDS or len(set(texts)) > 1):  # the notes name equal seeds
            found[column] = [column.heading.format(metric=table.metric), *texts]
    return found


# Sources of batch-norm statistics, by the word in the column.
STATISTICS = {
    "running": "of its training",
    "support": "of the task's training examples",
    "transductive": "of the test examples",
}

# The note on costs for each account.
COST_NOTES = {
    "flops": "Costs: training FLOPs (3 × forward multiply-adds × examples) and time.",
    "queries": "Costs: queries, each an architecture whose score was looked up, and time.",
}


def to_rich(table: ProtocolTable, width: int = 200) -> list[Table]:
    """The table for a terminal of ``width`` characters; a narrow one gets it in parts.

    Example:
        >>> protocol, spent = lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support"), lm.Cost()
        >>> row = lm.records.ResultRow(
        ...     "MAML", "letters", "", None, {}, 0, protocol, 0.8, 0, spent, spent, 0, 0, (0.7, 0.9)
        ... )
        >>> [type(table).__name__ for table in lm.report.to_rich(lm.report.tables([row])[0])]
        ['Table']
    """
    columns = _columns(table)
    parts = [columns]
    if 1 + sum(3 + max(map(len, texts)) for texts in columns.values()) > width:
        parts = [{one: texts for one, texts in columns.items() if one.part in (-1, part)} for part in range(3)]
    drawn = [_part(part) for part in parts if len(part) > 1]
    drawn[0].title = _shown(table.title)
    drawn[-1].caption = _shown(notes(table))
    return drawn


def _part(columns: Mapping[Column, Sequence[str]]) -> Table:
    own = Table(title_justify="left", caption_justify="left")
    for column, (heading, *_) in columns.items():
        first = column is COLUMNS[0]
        own.add_column(
            _shown(heading),
            justify=column.justify,
            no_wrap=not first and column is not SEEDS,
            min_width=16 * first,
        )
    for line in list(zip(*columns.values(), strict=True))[1:]:
        own.add_row(*map(_shown, line))
    return own


def _shown(text: str) -> str:
    """A text for a terminal; ``rich`` takes no square brackets in it for markup."""
    return escape(printable(text))


def to_markdown(table: ProtocolTable) -> str:
    """The table as Markdown, with its notes.

    Example:
        >>> protocol, spent = lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support"), lm.Cost()
        >>> row = lm.records.ResultRow(
        ...     "MAML", "letters", "", None, {}, 0, protocol, 0.8, 0, spent, spent, 0, 0, (0.7, 0.9)
        ... )
        >>> lm.report.to_markdown(lm.report.tables([row])[0]).splitlines()[0]
        '### Few-shot episodes: 5-way 1-shot, letters'
    """
    columns = _columns(table)
    ruler = [{"left": "---", "right": "---:"}[column.justify] for column in columns]
    heading, *lines = zip(*columns.values(), strict=True)
    drawn = markdown_lines([heading, ruler, *lines])
    return f"### {markdown_text(table.title)}\n\n{drawn}\n\n{markdown_text(notes(table))}\n"


def notes(table: ProtocolTable) -> str:
    """The meaning of the columns."""
    metric = table.metric.capitalize() if table.metric.islower() else table.metric  # chrF keeps its letters
    first, rows = table.rows[0], table.rows
    noun = "seed" + "s" * (len(first.seed_numbers) > 1)
    stopped = [f"'{row.method}'" for row in rows if row.stopped]
    modes = [mode for mode in dict.fromkeys(row.batch_norm for row in rows) if mode in STATISTICS]
    statistics = ", ".join(f"{STATISTICS[mode]} ({mode})" for mode in modes)
    sentences = (
        (True, f"{metric}: {_score_note(table)}"),
        (
            len({row.seed_numbers for row in rows}) == 1,
            f"All rows: {noun} {', '.join(map(str, first.seed_numbers))}.",
        ),
        (stopped, f"Stopped early, with the best so far: {', '.join(stopped)}."),
        (
            table.reference is not None,
            f"Difference: to '{table.reference}', the mean of paired differences in percentage points with its 95 % "
            "interval (Student's t, over seeds and over what else varies, both added).",
        ),
        (True, COST_NOTES[table.account]),
        (any(row.flops for row in rows), "FLOPs of a network: forward multiply-adds for one input."),
        (
            any(row.meta_cost for row in rows),
            "Meta-training: the whole cost of what a row takes from it, weights and architecture, or its architecture "
            "alone where the network starts from random weights.",
        ),
        (
            table.scratch is not None,
            "Pays after: number of tasks from which meta-training once costs less than searching every task from "
            f"scratch by '{table.scratch}' (counted up to where that is within half a point of its final score).",
        ),
        (modes, f"Batch norm: the network normalises with the statistics {statistics}."),
    )
    return " ".join(sentence for holds, sentence in sentences if holds)


def _score_note(table: ProtocolTable) -> str:
    kind = {"test examples": "Wilson's where it is a share"}.get(table.units, "Student's t")
    text = f"mean over the {table.units}"
    if not all(math.isnan(row.score.half) for row in table.rows):
        text += f" with its 95 % interval ({kind})"
    if any(len(row.seed_numbers) > 1 for row in table.rows):
        text += ". Over seeds: the same mean with its 95 % interval over seeds"
    return f"{text}."


def verdict(tables: Sequence[ProtocolTable], method: str) -> str:
    """The method's score, its difference to the reference and both costs, by the first table that compares the two."""
    for table in tables:
        own = next((row for row in table.rows if row.method == method and row.difference), None)
        other = next((row for row in table.rows if row.method == table.reference), None)
        if own is not None and other is not None and own.difference is not None:
            score = percent(own.score.mean, own.score.half)
            costs = [with_prefix(row.meta_cost + row.search_cost) for row in (own, other)]
            return (
                f"{method}: {score} % ({table.title}), {points(own.difference)} points to {other.method}; "
                f"it cost {costs[0]} of {ACCOUNTS[table.account]} with its search, {other.method} {costs[1]}."
            )
    return ""


def _cost(cost: float, seconds: float, account: str) -> str:
    number, unit = with_prefix(cost), f" {account}"
    if account == "flops":
        unit = "FLOPs" if number[-1].isalpha() else " FLOPs"
    return known(cost or seconds, f"{number}{unit}, {duration(seconds)}")


def points(difference: Difference) -> str:
    """``+1.2 [+0.4, +2.1]``, in percentage points; the bounds are left out if they are unknown."""
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    text = f"{mean:+.1f}"
    if not math.isnan(low):
        text += f" [{low:+.1f}, {high:+.1f}]"
    return text.replace("-", "−")


def tasks(number: float | None) -> str:
    """Tasks until meta-training has paid: ``never``, ``12``, or a dash if it is unknown."""
    match number:
        case None:
            return "–"
        case math.inf:
            return "never"
    return with_prefix(number)
