"""Halving for a whole front: networks that trade their score against a measure such as the number of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf, log

import torch

from lit_metanas.estimators.estimator import FAILURES, Estimator, EstimatorCallable, Measure, inputs_timed
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.records.budget import Budget
from lit_metanas.records.record import RecipeValue, SearchOutcome, SearchRecord, Trial
from lit_metanas.records.statistics import non_dominated, widest
from lit_metanas.searchers.halving.proposals import expected_heights
from lit_metanas.searchers.halving.rungs import (
    Contender,
    Halving,
    Mutation,
    fill_up,
    remaining_flops,
    train_rung,
)
from lit_metanas.searchers.mutation import draw_new
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.searchers.query.objectives import SCORE, Objectives
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace

LOOKED_AT = 150
"""Architectures that are drawn to find those to begin with; nothing is trained for it."""

GUESSING_GAP = 3.0
"""How far guessing is below the worst network with its best recipe, in times of what lies between worst and best."""

POWER = 0.5
"""Of the cost of a training, to which what a network gets is in proportion: between equal FLOPs (0) and epochs (1)."""


Size = Callable[[Contender | Trial], float]
"""What is to be small."""


class FrontHalving(Halving):
    """Looks for a front: for each size the most accurate network, in rungs of training.

    The first rung is the front that records of other tasks let expect (``expected_heights``), among their networks and
    others of all sizes. After each rung the networks are sorted by non-domination, then by their distance from each
    other (Deb et al. 2002); the first ones are trained on, beside mutants of those on the front, which inherit weights.
    Without records the first rung is drawn at random, and spread evenly over the sizes.

    Args:
        estimator: makes the estimator of a task.
        measure: what is to be small: ``parameters``, ``flops``, ``latency``, or with an estimator that has it a latency
            of several inputs at once, such as ``latency_32``.
        candidates: architectures in each rung.
        rungs: share of the budget's FLOPs for each rung.
        survivors: the part of a rung that goes on into the next.
        points: most networks of the front that is found.
        allowance: by how much the largest network may score worse than the smallest and still be on the front, others
            by less, in proportion to the logarithm of their sizes: about the error of a score, since large networks
            gain most from the trainings that are still to come.
        train: fields of the estimator's recipe that mutate, too, and the values to choose from.
        later: further such fields, of which the measure may depend; see ``EvolvingHalving``.
        recipe_mutations: probability that a mutation changes the recipe, not the architecture, where ``train`` has any
            field.
        records: files of searches of other tasks; ``shipped`` is the package's.
        first: architectures with recipes that the first rung has at least.

    Raises:
        ValueError: a number is out of its range, or the measure is unknown.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space, recipe = lm.LayeredSpace(widths=(4, 8), shared=True), lm.Recipe(epochs=1)
        >>> method = lm.FrontHalving(measure="parameters", candidates=(4, 2), rungs=(0.6, 0.4))
        >>> result = lm.search(task, space, method=method, flops=3e8, recipe=recipe)
        >>> len(result.record.trade_offs) > 0
        True
    """

    def __init__(
        self,
        *,
        estimator: EstimatorCallable = TrainingEstimator,
        measure: str = "parameters",
        candidates: Sequence[int] = (12, 6, 6),
        rungs: Sequence[float] = (0.5, 0.25, 0.25),
        survivors: float = 0.5,
        points: int = 8,
        allowance: float = 0.0,
        train: Mapping[str, Sequence[RecipeValue]] | None = None,
        later: Mapping[str, Sequence[RecipeValue]] | None = None,
        recipe_mutations: float = 0.2,
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
        if not 0 < survivors < 1 or not 0 <= recipe_mutations <= 1:
            raise ValueError(
                f"FrontHalving: survivors is {survivors} and recipe_mutations {recipe_mutations}; give a part between "
                "0 and 1, and a probability."
            )
        self.measure = measure
        self.candidates = tuple(candidates)
        self.survivors = survivors
        self.points = points
        self.allowance = allowance
        self.mutation = Mutation(self.train, recipe_mutations, whole_groups=0.5)
        self.first = tuple(first)
        self._goal = Objectives((SCORE, measure), {})

    def run(
        self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str
    ) -> SearchOutcome:
        """Look for a front; see the base class."""
        self._goal.check(estimator)
        self._check_recipes(estimator)
        generator = torch.Generator().manual_seed(seed)
        total = remaining_flops(budget, "FrontHalving")
        record = SearchRecord(problem, objectives=self._goal.objectives)
        known = self._known(problem, space)
        size = self._sizes(estimator)
        first = self.first_rung(known, space, estimator.measures, self.candidates[0], generator)
        own = {name: estimator.settings[name] for name in self.later if name in estimator.settings}
        first = [Query.of(query.architecture, {**own, **dict(query.recipe)}) for query in first]
        rung = [Contender.of(query) for query in first if estimator.refusal(*_parts(query)) is None]
        scored: dict[Query, Contender] = {}
        entered: set[Query] = set()
        for number, share in zip(self.candidates, self.rungs, strict=True):
            if scored:
                survivors = self.ordered([*scored.values()], size)[: max(1, int(self.survivors * number))]
                mutation, parents = self.mutation, len(survivors)
                if self.later and number > parents:
                    top = max(scored.values(), key=lambda contender: contender.value)
                    untried = self._untried(top, entered, space, estimator)
                    mutation = mutation if untried else replace(mutation, train={**self.train, **self.later})
                    survivors += untried
                rung = fill_up(
                    survivors,
                    number,
                    space=space,
                    estimator=estimator,
                    record=record,
                    mutation=mutation,
                    generator=generator,
                    parents=parents,
                )
            entered |= {contender.query for contender in rung}
            ranked = train_rung(
                rung, estimator=estimator, budget=budget, flops=share * total, record=record, power=POWER
            )
            scored |= {contender.query: contender for contender in ranked}
            record.trials[:] = [
                replace(trial, measures={self.measure: size(trial)}) if trial.scored else trial
                for trial in record.trials
            ]
            if not ranked:
                break
        best = sorted(scored.values(), key=lambda contender: -contender.value)
        found = self._finish(best, entered=entered, estimator=estimator, budget=budget, record=record, known=known)
        return replace(found, front=self._front(best, size, found))

    def first_rung(
        self,
        known: Sequence[SearchRecord],
        space: SearchSpace,
        measures: Mapping[str, Measure],
        number: int,
        generator: torch.Generator,
    ) -> list[Query]:
        """What enters the first rung: the front that the records let expect, or networks of all sizes.

        Args:
            known: searches of other tasks.
            space: what can be built.
            measures: by their names.
            number: how many are wanted; fewer are the first ones of more.
            generator: of what is drawn.
        """
        # To time all that are looked at would take long.
        of = "flops" if inputs_timed(self.measure) and "flops" in measures else self.measure
        looked_at = [*dict.fromkeys(trial.architecture for record in known for trial in record.trials)]
        looked_at += draw_new(
            lambda: space.sample(generator), LOOKED_AT, refusal=lambda _: None, known=dict.fromkeys(looked_at)
        )
        if len(self.first) >= number:
            return [*self.first]
        logs = {each: value for each in looked_at if (value := _log_size(measures[of], each)) is not None}
        looked_at = [*logs]
        expected = expected_heights(known, space, looked_at)
        fields = {name: set(values) for name, values in self.train.items()}
        queries = [Query.of(each, {}) for each in looked_at]
        if expected:
            recipes = [{n: v for n, v in query.recipe if v in fields.get(n, ())} for query, _ in expected]
            queries = [Query.of(each, recipe) for each, recipe in zip(looked_at, recipes, strict=True)]
        sizes = [*logs.values()]
        heights = [height for _, height in expected]
        left, found = [*range(len(queries))], [*self.first]
        while left and len(found) < number:
            own = [sizes[place] for place in left]
            more = number - len(found)
            chosen = _fronts(own, [heights[place] for place in left], more) if heights else _even(own, more)
            taken = {left[place] for place in chosen}
            # What a space refuses may have to be built and timed, and so only what is chosen is asked for.
            new = [queries[left[place]] for place in chosen]
            new = [query for query in new if space.violation(query.architecture) is None]
            found = list(dict.fromkeys([*found, *new]))
            left = [place for place in left if place not in taken]
        return found[:number]

    def _sizes(self, estimator: Estimator) -> Size:
        """The measure of what is trained under its recipe, each taken once."""
        measures: dict[tuple[Architecture, tuple[RecipeValue | None, ...]], float] = {}

        def size(one: Contender | Trial) -> float:
            key = one.architecture, tuple(one.recipe.get(name) for name in self.later)
            if key not in measures:
                under = Query.of(one.architecture, one.recipe).under(estimator)
                measures[key] = under.measures[self.measure](one.architecture)
            return measures[key]

        return size

    def ordered(self, contenders: Sequence[Contender], size: Size) -> list[Contender]:
        """Sorted by non-domination; those of one front by the gap around them on a logarithmic axis, widest first."""
        left, found = list(contenders), list[Contender]()
        points = dict(zip((contender.query for contender in left), self._points(left, size), strict=True))
        while left:
            front = [left[place] for place in non_dominated([points[contender.query] for contender in left])]
            front.sort(key=size)
            logs = [-points[contender.query][0] for contender in front]
            gaps = [
                inf if place in (0, len(front) - 1) else logs[place + 1] - logs[place - 1]
                for place in range(len(front))
            ]
            order = sorted(range(len(front)), key=lambda place: -gaps[place])
            found += [front[place] for place in order]
            taken = {contender.query for contender in front}
            left = [contender for contender in left if contender.query not in taken]
        return found

    def _points(self, contenders: Sequence[Contender], size: Size) -> list[tuple[float, float]]:
        """Minus the logarithm of the size, and the score with what is allowed to large networks."""
        logs = [log(max(size(contender), 1e-9)) for contender in contenders]
        low, high = min(logs, default=0.0), max(logs, default=0.0)
        shares = [(value - low) / (high - low) if high > low else 0.0 for value in logs]
        found = zip(contenders, logs, shares, strict=True)
        return [(-value, contender.value + self.allowance * share) for contender, value, share in found]

    def _front(self, contenders: Sequence[Contender], size: Size, found: SearchOutcome) -> tuple[SearchOutcome, ...]:
        """The most accurate network, then the others of the front that add most to its hyper-volume.

        Args:
            contenders: that were scored, best first.
            size: of each.
            found: what the search returns without a front.
        """
        every = self._points(contenders, size)
        places = list(dict.fromkeys([0, *non_dominated(every)]))  # the most accurate one is in any case
        front, points = [contenders[place] for place in places], [every[place] for place in places]
        order = list(dict.fromkeys([0, *widest(points, self.points, _below(points))]))[: self.points]
        return tuple(
            replace(found, architecture=one.architecture, weights=one.weights, recipe=dict(one.recipe))
            for one in (front[place] for place in order)
        )


def _parts(query: Query) -> tuple[Architecture, dict[str, RecipeValue]]:
    return query.architecture, dict(query.recipe)


def _log_size(measure: Measure, architecture: Architecture) -> float | None:
    """The logarithm of a measure; None of what cannot be built."""
    try:
        return log(max(measure(architecture), 1))
    except FAILURES:
        return None


def _fronts(logs: Sequence[float], heights: Sequence[float], number: int) -> list[int]:
    """Places of the front of heights against sizes, then of those behind it, until there are enough.

    Args:
        logs: logarithms of the sizes.
        heights: the higher the better.
        number: how many are wanted.
    """
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
    """Places that are spread evenly over the sizes."""
    left, chosen = list(range(len(logs))), list[int]()
    low, high = min(logs, default=0.0), max(logs, default=0.0)
    for turn in range(min(number, len(logs))):
        target = low + (high - low) * turn / max(number - 1, 1)
        chosen.append(min(left, key=lambda place: abs(logs[place] - target)))
        left.remove(chosen[-1])
    return chosen


def _below(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """A reference that all points are above."""
    return min(x for x, _ in points) - 0.1, min(y for _, y in points) - 0.1
