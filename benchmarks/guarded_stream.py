"""The portfolio of a mixed stream with a guard: one network for all, left only for what is better by a margin.

No training is done: all is computed from the pool that ``mixed_stream.py`` has trained and from the orders in which its
portfolio tried members (``results/mixed_stream/pool.jsonl`` and ``replays.json``). The incumbent is tried first: the
network that is best on the other data sets. Then the portfolio's members follow, and each that is better on the new
task's validation examples than the incumbent by so many standard errors may take its place; the best of them does. The
pool kept the accuracies, not the examples that were told rightly, so the standard error is that of two independent
shares, which is too large where two networks are right on the same examples: the guard errs on the side of staying.

Run: ``python benchmarks/guarded_stream.py``
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mixed_pool import RESULTS, PairPool
from mixed_stream import MAIN, SHOWN, Sources, Stream, difference, stream_of

from lit_metanas.io.files import write_whole

MARGINS = (0.0, 1.0, 2.0)
"""Standard errors by which a member must be ahead of the incumbent."""
ROUNDED = 5.1e-5
"""How far a kept accuracy, of four digits, may be from the share that it was."""


@dataclass(frozen=True)
class Row:
    """The guarded portfolio after so many trained children.

    Attributes:
        margin: standard errors.
        children: how many were trained, the incumbent among them.
        accuracy: of the network in use on test data, mean over tasks and seeds, %.
        ahead: of one network for all, in points, and the ends of the 95 % interval.
        switched: share of the searches that have left it.
        worse: share of the searches in which the network in use is worse on test data than the one for all.
    """

    margin: float
    children: int
    accuracy: float
    ahead: tuple[float, float, float]
    switched: float
    worse: float


def examples_of(accuracies: Sequence[float]) -> int:
    """How many examples accuracies of four digits are shares of: the least number that suits all.

    Raises:
        ValueError: none up to 1,000 does.
    """
    values = np.asarray(accuracies)
    for number in range(1, 1001):
        if bool((np.abs(np.round(values * number) / number - values) < ROUNDED).all()):
            return number
    raise ValueError("The accuracies are no shares of 1,000 examples or fewer: they are not of one validation part.")


def error_of(mine: float, theirs: float, examples: int) -> float:
    """Standard error of the difference of two independent shares."""
    return math.sqrt((mine * (1 - mine) + theirs * (1 - theirs)) / examples)


def guarded(val: np.ndarray, order: Sequence[int], incumbent: int, margin: float, examples: int) -> list[int]:
    """The member in use after each child; the first is the incumbent.

    Args:
        val: validation accuracies of all members, shape ``(members,)``.
        order: in which the portfolio tried them.
        incumbent: tried before them.
        margin: standard errors by which a member must be ahead of it.
        examples: how many it was validated on.
    """
    tried, used = [incumbent, *(member for member in order if member != incumbent)], []
    for member in tried[: len(order)]:
        lead = val[member] - val[incumbent]
        ahead = lead > 0 and lead > margin * error_of(val[member], val[incumbent], examples)
        best = used[-1] if used else incumbent
        used.append(member if ahead and val[member] > val[best] else best)
    return used


def rows_of(stream: Stream, orders: Sequence[Sequence[Sequence[int]]], margins: Sequence[float] = MARGINS) -> list[Row]:
    """The table.

    Args:
        stream: the pool.
        orders: of the portfolio, by task and seed.
        margins: standard errors.
    """
    one, used = [], {margin: [] for margin in margins}  # type: tuple[list[int], dict[float, list[list[list[int]]]]]
    for place, problem in enumerate(stream.problems):
        others = tuple(p for p, other in enumerate(stream.problems) if other.dataset != problem.dataset)
        one.append(Sources(stream, others, stream.val[list(others)]).best())
        val, examples = stream.val[place], examples_of(stream.val[place])
        for margin, found in used.items():
            found.append([guarded(val, order, one[-1], margin, examples) for order in orders[place]])
    rows, tasks = [], np.arange(len(stream.problems))
    all_one = 100 * stream.test[tasks, one]
    for margin, found in used.items():
        members = np.array(found)  # (tasks, seeds, children)
        accuracy = 100 * stream.test[tasks[:, None, None], members]
        for count in SHOWN:
            own, base = accuracy[..., count - 1], all_one[:, None]
            left = members[..., count - 1] != np.array(one)[:, None]
            rows.append(
                Row(
                    margin,
                    count,
                    round(float(own.mean()), 2),
                    difference(stream, own - base),
                    round(float(left.mean()), 3),
                    round(float((own < base).mean()), 3),
                )
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pool and of the searches")
    options = parser.parse_args(arguments)
    embeddings = json.loads((options.results / "embeddings.json").read_text(encoding="utf-8"))
    stream = stream_of(PairPool(options.results / "pool.jsonl"), {n: tuple(v) for n, v in embeddings.items()})
    orders = json.loads((options.results / "replays.json").read_text(encoding="utf-8"))["orders"][MAIN]
    rows = rows_of(stream, orders)
    examples = {p.id: examples_of(val) for p, val in zip(stream.problems, stream.val, strict=True)}
    print(f"{'margin':>8}{'children':>10}{'accuracy':>10}{'ahead of one for all':>24}{'switched':>10}{'worse':>8}")
    for row in rows:
        mean, low, high = row.ahead
        told = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
        shares = f"{row.switched:>10.0%}{row.worse:>8.0%}"
        print(f"{row.margin:>8g}{row.children:>10}{row.accuracy:>10.1f}{told:>24}{shares}")
    document = {"benchmark": "guarded stream", "examples": examples, "rows": [asdict(row) for row in rows]}
    write_whole(options.results / "guarded.json", json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
