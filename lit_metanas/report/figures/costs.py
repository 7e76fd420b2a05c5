"""Scores against search cost: whole searches and anytime curves, a panel for each protocol, and a search in rounds."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, INK, label
from lit_metanas.comparisons.result_fields import ResultFields
from lit_metanas.io.text import first_few, number_of, shorten, with_prefix
from lit_metanas.objectives.metric_table import ACCURACY
from lit_metanas.records.record import Trial, grouped
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import bounds
from lit_metanas.report.figures.panel import (
    MOST_METHODS,
    MOST_PANELS,
    draw_panels,
    frame,
    legend,
    log_axis,
    name_label,
    stacked,
)
from lit_metanas.report.table import ACCOUNTS, ProtocolTable, by_protocol, mean_curve, methods_of, saturation, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Points of an anytime curve: the cost so far, and the best score so far.
Curve = list[tuple[float, float]]

# Shapes that distinguish methods without colour.
MARKERS = "oDs^vX<>"


# Networks in the legend.
MOST_LISTED = 16

# The part of the axis that the text of a tick needs.
TICK_WIDTH = 0.12

HOW = (
    "Each point is the validation score of a network after a training. All networks of a round are trained for equally "
    "long. The better ones go on, and changes of the best come in, which begin with what it has learned. A cross marks "
    "where a network was dropped, the ring the chosen one. The legend says how the others differ from it."
)


def draw_costs(tables: Sequence[ProtocolTable]) -> Figure | None:
    """Draw every method's accuracy over the cost of one search; None if no protocol has two methods."""
    tables = [replace(table, rows=table.rows[:MOST_METHODS]) for table in tables[:MOST_PANELS] if len(table.rows) > 1]
    methods = list(dict.fromkeys(row.method for table in tables for row in table.rows))
    return draw_panels([partial(_cost_panel, table=table, methods=methods) for table in tables])


def _cost_panel(axes: Axes, table: ProtocolTable, methods: Sequence[str]) -> None:
    """The costs of one protocol: thin bars are intervals over episodes or tasks, thick ones over seeds."""
    searched = [row.search_cost for row in table.rows if row.search_cost > 0]
    low, high = min(searched, default=1.0), max(searched, default=10.0)
    # Points of equal cost are one step apart. Methods that search nothing are in a grey field on the left.
    resting = len(table.rows) - len(searched)
    step = max(high / low, 10.0) ** 0.045
    start = low / step ** (resting + 2)
    places = side_by_side([row.search_cost or start for row in table.rows], step)
    for row, place in zip(table.rows, places, strict=True):
        number, name = methods.index(row.method), row.method
        if sum(other.method == name for other in table.rows) > 1:
            name += f" ({row.batch_norm})"
        colour = COLOURS[number % len(COLOURS)]
        for half, thickness, alpha in ((row.score.half, 1.0, 1.0), (row.seeds.half, 3.0, 0.45)):
            if not math.isnan(half):
                line = [100 * end for end in bounds(row.score.mean, half)]
                axes.plot([place] * 2, line, color=colour, linewidth=thickness, alpha=alpha, solid_capstyle="butt")
        axes.plot([place], [100 * row.score.mean], MARKERS[number % len(MARKERS)], color=colour, markersize=7,
                  markeredgecolor="white", markeredgewidth=0.8, zorder=3,
                  label=name_label(name))  # fmt: skip
    note = f"line: 95 % interval over {table.units}"
    if table.units != "seeds" and any(not math.isnan(row.seeds.half) for row in table.rows):
        note = f"lines: 95 % intervals, thin over {table.units}, thick over seeds"
    frame(axes, table.title, f"{ACCOUNTS[table.account]} to search one task", f"{label(table.metric)}, %", note)
    axes.set_xlim(start / step, max(high, *places) * step)
    log_axis(axes)
    if resting:
        # The field of the methods that search nothing, whose places are no costs.
        end = low / step**1.5
        axes.set_xticks([tick for tick in axes.get_xticks() if tick > end])
        axes.axvspan(axes.get_xlim()[0], end, color="#F1F1F1", linewidth=0, zorder=0)
        axes.annotate("no search", (start, 0), (0, -6), xycoords=axes.get_xaxis_transform(), fontsize=8, color=INK,
                      textcoords="offset points", ha="center", va="top")  # fmt: skip
    if not searched:
        axes.set_xticks([])
    legend(axes)


def side_by_side(wanted: Sequence[float], step: float) -> list[float]:
    """Move points right until neighbours are at least a factor ``step`` apart, in the order given among equals."""
    placed, last = list(wanted), 0.0
    for index in sorted(range(len(wanted)), key=wanted.__getitem__):
        placed[index] = last = max(wanted[index], last * step)
    return placed


def draw_curves(results: Sequence[ResultRow]) -> Figure | None:
    """Draw the best score so far over the cost, averaged over tasks and seeds; None without curves."""
    methods = methods_of(results)[:MOST_METHODS]
    panels = []
    for own in by_protocol(results)[:MOST_PANELS]:
        means = {m: mean_curve(_whole_curve(result) for result in own if result.method == m) for m in methods}
        curves = {m: [(cost, value) for cost, value in mean if cost > 0] for m, mean in means.items()}
        metric = own[0].metric
        if sum(map(len, curves.values())) > 1:  # a single point has no panel
            title = title_of(own) + f", {metric}" * (metric != ACCURACY)
            panels.append(partial(_curve_panel, title=title, account=own[0].protocol.account, curves=curves))
    return draw_panels(panels)


def _whole_curve(result: ResultRow) -> Sequence[tuple[float, float]]:
    """The anytime curve, extended to the whole cost of the search."""
    spent = result.cost.counted_in(result.protocol.account)
    if not result.curve or spent <= (last := max(result.curve))[0]:
        return result.curve
    return (*result.curve, (spent, last[1]))


def _curve_panel(axes: Axes, title: str, account: str, curves: Mapping[str, Curve]) -> None:
    """The anytime curves of one protocol; a ring marks the lowest cost within half a point of the end."""
    for number, (method, curve) in enumerate(curves.items()):
        if not curve:
            continue
        colour, ring = COLOURS[number % len(COLOURS)], saturation(curve) or 0.0
        axes.step(*_percent(curve), where="post", color=colour, linewidth=1.6,
                  label=name_label(f"{method} (ring at {with_prefix(ring)})"))  # fmt: skip
        axes.plot(*_percent([point for point in curve if point[0] == ring]), "o", color=colour, markersize=7,
                  markerfacecolor="white", markeredgewidth=1.6)  # fmt: skip
    frame(axes, title, f"{ACCOUNTS[account]} spent on searching one task", "best validation score so far, %",
          "ring: within half a point of the end")  # fmt: skip
    log_axis(axes)
    legend(axes)


def _percent(curve: Curve) -> tuple[list[float], list[float]]:
    return [cost for cost, _ in curve], [100 * value for _, value in curve]


def draw_rounds(result: ResultFields) -> Figure | None:
    """Draw the validation scores of each network over the trainings of the search, in their order.

    None with fewer than two networks, and for a front, which is not judged by scores alone.
    """
    trials = result.record.trials
    networks = _networks(trials)
    curves = {
        key: points
        for key, places in networks.items()
        if (points := [(place, 100 * trials[place].value) for place in places if trials[place].scored])
    }
    if len(curves) < 2 or len(result.record.objectives) > 1:
        return None
    taken = _chosen(result)
    itself = "chosen" if taken else "best"
    first = taken or max(curves, key=lambda key: (len(curves[key]), curves[key][-1][1]))
    numbers = {key: number for number, key in enumerate(networks, start=1)}
    drawn, (axes,) = stacked(1)
    # The legend has the chosen network first, or the best one, and then those that were kept longest.
    for place, key in enumerate(sorted(curves, key=lambda key: (key != first, -len(curves[key])))):
        points, colour, name = curves[key], FAINT, "_"
        if key == first or len(points) > 1:
            colour = COLOURS[place % len(COLOURS)]
        if place < MOST_LISTED:
            difference = _difference(trials[networks[key][0]], trials[networks[first][0]]) or itself
            name = name_label(f"{numbers[key]}: {difference}")
        axes.plot(*zip(*points, strict=True), ".-", color=colour, linewidth=1.3, label=name)
        _end(axes, points[-1], str(numbers[key]), colour, ringed=key == taken)
    title = f"What the search tried for '{shorten(result.task_id, 30)}'"
    frame(axes, title, "training FLOPs after each round", f"validation {label(result.metric)}, %")
    _mark_rounds(axes, rounds_of(trials))
    legend(axes)
    return drawn


def describe_rounds(result: ResultFields) -> str:
    """What was tried and chosen, and why the search ended."""
    trials = result.record.trials
    rounds, networks, chosen = rounds_of(trials), list(_networks(trials)), _chosen(result)
    failed = len({_network(trial) for trial in trials if trial.failure})
    best = max((trial for trial in rounds[-1] if trial.scored), key=lambda trial: trial.value, default=trials[-1])
    places = {network: place for place, network in enumerate(networks, start=1)}
    more = f"Network {places[_network(best)]} scored more, but by chance or by more epochs, or it is beyond a limit."
    spent = f"{with_prefix(float(trials[-1].cost.flops))}FLOPs"
    sentences = (
        (True, f"The search tried {number_of(len(networks), 'network')} in {number_of(len(rounds), 'round')}."),
        (failed, f"The training of {number_of(failed, 'network')} failed."),
        (chosen is not None, f"Network {places.get(chosen)} was chosen."),
        (chosen not in (None, _network(best)), more),
        (result.linear_model, f"Linear model: {result.linear_model}."),
        (result.stopped, f"It was interrupted, after {spent}."),
        (not result.stopped, f"The search ended when its part of the budget was spent, after {spent}."),
        (result.untried, f"The budget did not pay for {number_of(result.untried, 'further network')}."),
    )
    return " ".join(sentence for holds, sentence in sentences if holds)


def rounds_of(trials: Sequence[Trial]) -> list[list[Trial]]:
    """The rounds of a search by halving: each begins with networks of earlier ones, and new ones follow."""
    rounds, known, own = list[list[Trial]](), set[Hashable](), set[Hashable]()
    for trial in trials:
        key = _network(trial)
        if not rounds or key in own or (key in known and own - known):
            rounds.append([])
            known |= own
            own = set()
        rounds[-1].append(trial)
        own.add(key)
    return rounds


def _networks(trials: Sequence[Trial]) -> dict[Hashable, list[int]]:
    """The places of the trials of each network, in the order in which they came in."""
    return grouped((_network(trial), place) for place, trial in enumerate(trials))


def _network(trial: Trial) -> Hashable:
    """An architecture and how it is trained."""
    return trial.architecture, frozenset(trial.recipe.items())


def _chosen(result: ResultFields) -> Hashable | None:
    """The network of the search that was chosen; None if another model was."""
    own = result.whole_recipe.items()
    trials = (trial for trial in reversed(result.record.trials) if trial.architecture == result.architecture)
    return next((_network(trial) for trial in trials if trial.recipe.items() <= own), None)


def _difference(one: Trial, chosen: Trial) -> str:
    """The labels and fields of a recipe by which a network differs from the chosen one; empty for itself."""
    mine, other = {**one.architecture, **one.recipe}, {**chosen.architecture, **chosen.recipe}
    return first_few([f"{name.replace('_', ' ')} {mine[name]}" for name in mine if other.get(name) != mine[name]])


def _end(axes: Axes, place: tuple[float, float], number: str, colour: str, *, ringed: bool) -> None:
    """The number of a network at its last point, with a ring or a cross."""
    if ringed:
        axes.plot(*place, "o", color=colour, markersize=11, markerfacecolor="none", markeredgewidth=1.6)
    else:
        axes.plot(*place, "x", color=colour, markersize=6, markeredgewidth=1.4)
    axes.annotate(number, place, (0, 6), textcoords="offset points", fontsize=7.5, color=colour, ha="center")


def _mark_rounds(axes: Axes, rounds: Sequence[Sequence[Trial]]) -> None:
    """A grey field for every other round, with its number above, and what was spent so far below."""
    ends = [number - 0.5 for number in accumulate(len(trials) for trials in rounds)]
    ticks: list[tuple[float, str]] = []
    for number, (begin, end) in enumerate(pairwise([-0.5, *ends]), start=1):
        if number % 2 == 0:
            axes.axvspan(begin, end, color="#F1F1F1", linewidth=0, zorder=0)
        text = {1: "round 1"}.get(number, str(number))
        axes.annotate(text, ((begin + end) / 2, 1), (0, 3), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", fontsize=7.5, color=FAINT, ha="center")  # fmt: skip
        if ends[-1] - end > TICK_WIDTH * ends[-1] or number == len(rounds):  # otherwise it would lie on the last one
            ticks.append((end, with_prefix(float(rounds[number - 1][-1].cost.flops), exact=True)))
    axes.set_xlim(-0.5, ends[-1] + 0.5)
    axes.set_xticks(*zip(*ticks, strict=True))
