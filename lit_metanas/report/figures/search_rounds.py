"""A search in rounds: the scores of all that was tried, round by round, and in words how it ended."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from lit_metanas.callbacks.figures import COLOURS, FAINT, label
from lit_metanas.comparisons.result_fields import ResultFields
from lit_metanas.io.text import first_few, number_of, shorten, with_prefix
from lit_metanas.records.record import Trial
from lit_metanas.report.figures.panel import frame, legend, name_label, stacked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_LISTED = 16
"""Networks in the legend."""

TICK_WIDTH = 0.12
"""The part of the axis that the text of a tick needs."""

HOW = (
    "Each point is the validation score of a network after a training. All networks of a round are trained for equally "
    "long. The better ones go on, and changes of the best come in, which begin with what it has learned. A cross marks "
    "where a network was dropped, the ring the chosen one. The legend says how the others differ from it."
)


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
    first = taken or max(curves, key=lambda key: (len(curves[key]), curves[key][-1][1]))
    numbers = {key: number for number, key in enumerate(networks, start=1)}
    drawn, (axes,) = stacked(1)
    # The legend has the chosen network first, or the best one, and then those that were kept longest.
    for place, key in enumerate(sorted(curves, key=lambda key: (key != first, -len(curves[key])))):
        points, colour, name = curves[key], FAINT, "_"
        if key == first or len(points) > 1:
            colour = COLOURS[place % len(COLOURS)]
        if place < MOST_LISTED:
            difference = _difference(trials[networks[key][0]], trials[networks[first][0]])
            name = name_label(f"{numbers[key]}: {difference or ('chosen' if taken else 'best')}")
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
    parts = [f"The search tried {number_of(len(networks), 'network')} in {number_of(len(rounds), 'round')}."]
    if failed := len({_network(trial) for trial in trials if trial.failure}):
        parts.append(f"The training of {number_of(failed, 'network')} failed.")
    if chosen is not None:
        best = max((trial for trial in rounds[-1] if trial.scored), key=lambda trial: trial.value, default=trials[-1])
        why = "the best of the last round"
        if _network(best) != chosen:
            why = f"since network {networks.index(_network(best)) + 1} leads it by no more than chance"
        parts.append(f"Network {networks.index(chosen) + 1} was chosen, {why}.")
    if result.linear_model:
        parts.append(f"Linear model: {result.linear_model}.")
    ended = "It was interrupted" if result.stopped else "The search ended when its part of the budget was spent"
    parts.append(f"{ended}, after {with_prefix(float(trials[-1].cost.flops))}FLOPs.")
    if result.untried:
        parts.append(f"The budget did not pay for {number_of(result.untried, 'further network')}.")
    return " ".join(parts)


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
    found: dict[Hashable, list[int]] = {}
    for place, trial in enumerate(trials):
        found.setdefault(_network(trial), []).append(place)
    return found


def _network(trial: Trial) -> Hashable:
    """An architecture and how it is trained."""
    return trial.architecture, frozenset(trial.recipe.items())


def _chosen(result: ResultFields) -> Hashable | None:
    """The network of the search that was chosen; None if another model was."""
    own = result.whole_recipe
    for trial in reversed(result.record.trials):
        if trial.architecture == result.architecture and trial.recipe.items() <= own.items():
            return _network(trial)
    return None


def _difference(one: Trial, chosen: Trial) -> str:
    """The labels and fields of a recipe by which a network differs from the chosen one; empty for itself."""
    other = {**chosen.architecture, **chosen.recipe}
    labels = {name: label for name, label in {**one.architecture, **one.recipe}.items() if other.get(name) != label}
    return first_few([f"{name.replace('_', ' ')} {label}" for name, label in labels.items()])


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
        text = "round 1" if number == 1 else str(number)
        axes.annotate(text, ((begin + end) / 2, 1), (0, 3), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", fontsize=7.5, color=FAINT, ha="center")  # fmt: skip
        if ends[-1] - end > TICK_WIDTH * ends[-1] or number == len(rounds):  # otherwise it would lie on the last one
            ticks.append((end, with_prefix(float(rounds[number - 1][-1].cost.flops), exact=True)))
    axes.set_xlim(-0.5, ends[-1] + 0.5)
    axes.set_xticks(*zip(*ticks, strict=True))
