"""Halving for a front: networks that trade their score against a measure such as the number of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import inf, log

import torch

from lit_metanas.estimators.estimator import FAILURES, Estimator, EstimatorCallable, Measure, Query
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.records.record import Budget, RecipeValue, SearchOutcome, SearchRecord
from lit_metanas.records.statistics import non_dominated, widest
from lit_metanas.searchers.halving.proposals import expected_heights
from lit_metanas.searchers.halving.rungs import Contender, Halving
from lit_metanas.searchers.mutation import draw_new
from lit_metanas.searchers.query.ledger import SCORE, Objectives
from lit_metanas.spaces import Architecture, SearchSpace

LOOKED_AT = 150  # number of architectures that are drawn to choose the first rung; none of them is trained for that

GUESSING_GAP = 3.0  # distance of a random guess below the worst network, relative to the range of scores

POWER = 0.5  # a network's FLOPs grow with this power of the cost of its training: 0 is equal FLOPs, 1 equal epochs


Size = Callable[[Query], float]  # the measure that should be small


class FrontHalving(Halving):
    """Searches a front, the most accurate network of each size, in rungs of training.

    The first rung is the front that records of other tasks predict (``expected_heights``). Without records it is drawn
    at random and spread evenly over the sizes. After each rung the networks are sorted by non-domination, then by their
    distance from each other (Deb et al. 2002). The first ones fill half of the next rung, together with their mutants,
    which inherit weights.

    Args:
        estimator: makes the estimator of a task.
        measure: the measure that should be small: ``parameters``, ``flops``, ``latency``, or the latency of a batch,
            such as ``latency_32``, if the estimator has it.
        candidates: architectures in each rung.
        rungs: share of the budget's FLOPs for each rung.
        points: most networks of the front.
        allowance: by how much the largest network may score below the smallest and still be on the front; others by
            less, in proportion to the logarithm of their sizes. About the error of a score is right, because large
            networks gain most from further training.
        train: fields of the estimator's recipe that also mutate, and the values to choose from.
        later: further such fields; the measure may depend on them. See ``EvolvingHalving``.
        records: files of searches of other tasks; ``shipped`` is the package's.
        first: architectures with recipes that the first rung always has.

    Raises:
        ValueError: a number is out of its range, or the measure is unknown.

    Example:
        >>> method = lm.searchers.FrontHalving(measure="flops", candidates=(4, 2), rungs=(0.6, 0.4))
        >>> method.points
        8
    """

    recipe_mutations = 0.2

    def __init__(
        self,
        *,
        estimator: EstimatorCallable = TrainingEstimator,
        measure: str = "parameters",
        candidates: Sequence[int] = (12, 6, 6),
        rungs: Sequence[float] = (0.5, 0.25, 0.25),
        points: int = 8,
        allowance: float = 0.0,
        train: Mapping[str, Sequence[RecipeValue]] | None = None,
        later: Mapping[str, Sequence[RecipeValue]] | None = None,
        records: Sequence[str] = (),
        first: Sequence[Query] = (),
    ) -> None:
        super().__init__(estimator, rungs, False, train, records, later)
        if len(candidates) != len(rungs) or min(candidates) < 1 or points < 1:
            raise ValueError(
                f"FrontHalving needs one number of candidates a rung, each and the points at least 1: got "
                f"{list(candidates)} for the rungs {list(rungs)}, and {points} points."
            )
        if allowance < 0:
            raise ValueError(f"FrontHalving: allowance is {allowance}; give 0 or more.")
        self.measure = measure
        self.candidates = tuple(candidates)
        self.points = points
        self.allowance = allowance
        self.first = tuple(first)
        self._goal = Objectives((SCORE, measure), {})

    def run(
        self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str
    ) -> SearchOutcome:
        """Search a front; see the base class."""
        self._goal.check(estimator)
        race = self._begin(estimator, space, budget, seed, problem, self._goal.objectives)
        size = self._sizes(estimator)
        first = self.first_rung(race.known, space, estimator.measures, self.candidates[0], race.generator)
        own = {name: estimator.settings[name] for name in self.later if name in estimator.settings}
        begun = [Query.of(query.architecture, {**own, **dict(query.recipe)}) for query in first]
        rung = [Contender(each) for each in begun if estimator.refusal(each.architecture, dict(each.recipe)) is None]
        scored: dict[Query, Contender] = {}
        for number, share in zip(self.candidates, self.rungs, strict=True):
            if scored:
                survivors = self.ordered([*scored.values()], size)[: max(1, number // 2)]
                best = max(scored.values(), key=lambda contender: contender.value)
                rung = self._next_rung(race, survivors, number, best)
            ranked = race.train(rung, share * race.total, POWER)
            scored |= {contender.query: contender for contender in ranked}
            for place, trial in enumerate(race.record.trials):
                if trial.scored:
                    measured = size(Query.of(trial.architecture, trial.recipe))
                    race.record.trials[place] = replace(trial, measures={self.measure: measured})
            if not ranked:
                break
        ordered = sorted(scored.values(), key=lambda contender: -contender.value)
        found = race.finish(ordered, further=self.finish)
        return replace(found, front=self._front(ordered, size, found))

    def first_rung(
        self,
        known: Sequence[SearchRecord],
        space: SearchSpace,
        measures: Mapping[str, Measure],
        number: int,
        generator: torch.Generator,
    ) -> list[Query]:
        """The queries of the first rung: the front that the records predict, or networks of all sizes.

        Args:
            known: searches of other tasks.
            space: the architectures that can be built.
            measures: the estimator's, by name.
            number: of queries; a smaller number gives the first ones of a larger.
            generator: of all draws.
        """
        of = self.measure
        if of == "latency" and "flops" in measures:
            of = "flops"  # to time all drawn architectures would take long
        looked_at = [*dict.fromkeys(trial.architecture for record in known for trial in record.trials)]
        looked_at += draw_new(
            lambda: space.sample(generator), LOOKED_AT, refusal=lambda _: None, known=dict.fromkeys(looked_at)
        )
        if len(self.first) >= number:
            return [*self.first]
        logs = {each: value for each in looked_at if (value := _log_size(measures[of], each)) is not None}
        looked_at = [*logs]
        expected = expected_heights(known, space, looked_at)
        queries = [query.having(lambda name, value: value in self.train.get(name, ())) for query, _ in expected]
        queries = queries or [Query(each) for each in looked_at]
        sizes = [*logs.values()]
        heights = [height for _, height in expected]
        left, found = [*range(len(queries))], [*self.first]
        while left and len(found) < number:
            own = [heights[place] for place in left if heights]
            places = _fronts([sizes[place] for place in left], own, number - len(found))
            chosen = [left[place] for place in places]
            # Only the chosen ones are checked: a space may have to build and time an architecture to refuse it.
            new = [queries[place] for place in chosen if space.violation(queries[place].architecture) is None]
            found = list(dict.fromkeys([*found, *new]))
            left = [place for place in left if place not in chosen]
        return found[:number]

    def _sizes(self, estimator: Estimator) -> Size:
        """The measure of a query, each taken once; of its recipe only the later fields count."""

        @cache
        def measured(query: Query) -> float:
            return query.under(estimator).measures[self.measure](query.architecture)

        return lambda query: measured(query.having(lambda name, value: name in self.later))

    def ordered(self, contenders: Sequence[Contender], size: Size) -> list[Contender]:
        """Sorted by non-domination; within a front by the gap around each on a logarithmic axis, widest first."""
        left, found = list(contenders), list[Contender]()
        points = dict(zip((contender.query for contender in left), self._points(left, size), strict=True))
        while left:
            front = [left[place] for place in non_dominated([points[contender.query] for contender in left])]
            front.sort(key=lambda contender: size(contender.query))
            logs = [-points[contender.query][0] for contender in front]
            inner = (after - before for before, after in zip(logs, logs[2:], strict=False))
            gaps = [inf, *inner, inf][: len(front)]  # the ends have the widest
            order = sorted(range(len(front)), key=lambda place: -gaps[place])
            found += [front[place] for place in order]
            taken = {contender.query for contender in front}
            left = [contender for contender in left if contender.query not in taken]
        return found

    def _points(self, contenders: Sequence[Contender], size: Size) -> list[tuple[float, float]]:
        """Minus the logarithm of the size, and the score with the allowance for large networks."""
        logs = [log(max(size(contender.query), 1e-9)) for contender in contenders]
        low = min(logs, default=0.0)
        span = (max(logs, default=0.0) - low) or 1.0
        pairs = zip(contenders, logs, strict=True)
        return [(-value, contender.value + self.allowance * ((value - low) / span)) for contender, value in pairs]

    def _front(self, contenders: Sequence[Contender], size: Size, found: SearchOutcome) -> tuple[SearchOutcome, ...]:
        """The most accurate network, then the others of the front that add most to its hyper-volume."""
        every = self._points(contenders, size)
        places = list(dict.fromkeys([0, *non_dominated(every)]))  # the most accurate one is in any case
        front, points = [contenders[place] for place in places], [every[place] for place in places]
        order = list(dict.fromkeys([0, *widest(points, self.points, _below(points))]))[: self.points]
        return tuple(
            replace(found, architecture=one.query.architecture, weights=one.weights, recipe=dict(one.query.recipe))
            for one in (front[place] for place in order)
        )


def _log_size(measure: Measure, architecture: Architecture) -> float | None:
    """The logarithm of a measure; None for an architecture that cannot be built."""
    try:
        return log(max(measure(architecture), 1))
    except FAILURES:
        return None


def _fronts(logs: Sequence[float], heights: Sequence[float], number: int) -> list[int]:
    """Places of the front of heights against logarithms of sizes, then of those behind it; without heights evenly."""
    if not heights:
        return _even(logs, number)
    chosen: list[int] = []
    left = list(range(len(logs)))
    chance = min(heights) - GUESSING_GAP * (max(heights) - min(heights)) - 0.1
    while left and len(chosen) < number:
        points = [(-logs[place], heights[place]) for place in left]
        more = [left[place] for place in widest(points, number - len(chosen), (_below(points)[0], chance))]
        chosen += more
        left = [place for place in left if place not in more]
    return chosen


def _even(logs: Sequence[float], number: int) -> list[int]:
    left, chosen = list(range(len(logs))), list[int]()
    low, high = min(logs, default=0.0), max(logs, default=0.0)
    for turn in range(min(number, len(logs))):
        target = low + (high - low) * turn / max(number - 1, 1)
        chosen.append(min(left, key=lambda place: abs(logs[place] - target)))
        left.remove(chosen[-1])
    return chosen


def _below(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(x for x, _ in points) - 0.1, min(y for _, y in points) - 0.1
