"""Rungs of halving searches: many architectures are trained a little, and the best of them longer."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from math import inf, isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_metanas.estimators.estimator import FAILURES, Estimator, EstimatorCallable, Query, Score, reason_of
from lit_metanas.io.settings import keeps_arguments, settings_of
from lit_metanas.io.text import number_of
from lit_metanas.records.record import (
    Budget,
    Cost,
    FailedWorkError,
    RecipeValue,
    SearchOutcome,
    SearchRecord,
    TooSmallBudgetError,
    Trial,
    cost_of,
)
from lit_metanas.records.record_lines import read_record_lines, record_file
from lit_metanas.searchers.halving.proposals import fitting
from lit_metanas.searchers.mutation import below, draw_new, mutate
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.workers import Submitted

WHOLE_GROUPS = 0.5  # probability that a changed label changes the choices of its kind in all layers


@dataclass(frozen=True)
class Contender:
    """A query in the search, with its last score and its weights."""

    query: Query
    value: float = -inf
    weights: dict[str, Tensor] | None = None
    trained: float = 0.0  # training FLOPs behind the weights
    epochs: float = 0.0  # behind the weights; of an estimator without a recipe, in full trainings

    def changed(self, query: Query, estimator: Estimator) -> Contender:
        """A contender for another query, with the weights of this one if the estimator allows that."""
        if estimator.inherits(dict(query.recipe), dict(self.query.recipe)):
            return replace(self, query=query)
        return Contender(query)


@dataclass
class Race:
    """A search in rungs under way: what it trains with, what it has spent, and what it has tried."""

    estimator: Estimator
    space: SearchSpace
    budget: Budget
    record: SearchRecord
    generator: torch.Generator  # of all draws
    known: Sequence[SearchRecord] = ()  # of other problems
    total: float = 0.0  # FLOPs that are divided among the rungs
    entered: set[Query] = field(default_factory=set)  # all queries that should be trained

    @property
    def tried(self) -> set[Query]:
        """The queries whose training was paid for or failed."""
        return {Query.of(trial.architecture, trial.recipe) for trial in self.record.trials}

    def refusal(self, query: Query) -> str | None:
        """Why the space cannot build a query's architecture or the estimator cannot score it; None if they can."""
        one = query.architecture
        return self.space.violation(one) or self.estimator.refusal(one, dict(query.recipe))

    def train(self, contenders: Sequence[Contender], flops: float, power: float = 0.0) -> list[Contender]:
        """Train each contender for a part of ``flops``, in proportion to its full cost to a power; best score first."""
        # At power 0 all get the same FLOPs, or the same time if the estimator knows their pace; at 1 those of one pace
        # get the same number of epochs, as far as it can divide a training, so that a small part can be exceeded.
        # Contenders that the budget cannot pay for, or whose training fails, are left out. One that was scored before
        # costs no query. What the budget pays for is decided before any training, so that it does not depend on the
        # number of workers.
        seen = self.tried
        self.entered |= {contender.query for contender in contenders}
        parts: list[tuple[Contender, Estimator, int, float]] = []
        for contender in contenders:
            try:
                estimator, architecture = contender.query.under(self.estimator), contender.query.architecture
                full = estimator.cost(architecture, 1.0).flops
                parts.append((contender, estimator, full, estimator.table_pace(architecture) * full**power))
            except FAILURES as error:  # such as a recipe with too many classes
                self._note(Contender(contender.query), failure=reason_of(error))
        if any(full == 0 for _, _, full, _ in parts):
            raise ValueError(
                f"{type(self.estimator).__name__} costs no training FLOPs, by which halving divides its budget: take "
                "an estimator that trains, such as TrainingEstimator."
            )
        if flops <= 0:
            return []
        planned, total = Cost(), sum(part for *_, part in parts)
        begun: list[tuple[Contender, Submitted[Score], Cost, float, bool]] = []
        for contender, estimator, full, part in parts:
            fidelity, architecture = min(1.0, flops * part / total / full), contender.query.architecture
            repeated = contender.query in seen
            price = _once(estimator.cost(architecture, fidelity), repeated)
            if self.budget.affords(planned + price):
                planned += price
                started = estimator.submit(architecture, fidelity=fidelity, start=contender.weights)
                epoch = full / float(estimator.settings.get("epochs", 1))
                begun.append((contender, started, price, epoch, repeated))
        done = [self._end(*training) for training in begun]
        return sorted(filter(None, done), key=lambda contender: -contender.value)

    def _end(
        self, contender: Contender, started: Submitted[Score], price: Cost, epoch: float, repeated: bool
    ) -> Contender | None:
        try:
            score = started.result()
            if isnan(score.value):
                raise ArithmeticError("its score is not a number")
        except FAILURES as error:
            self.budget.charge(replace(price, seconds=started.seconds))  # in full: how far it came is unknown
            self._note(Contender(contender.query), failure=reason_of(error))
            return None
        cost = _once(score.cost, repeated)
        # A score that was kept in a file has seconds of its own.
        self.budget.charge(replace(cost, seconds=cost.seconds + started.seconds))
        trained, epochs = contender.trained + score.cost.flops, contender.epochs + score.cost.flops / epoch
        done = Contender(contender.query, score.value, score.weights, trained, epochs)
        self._note(done)
        return done

    def _note(self, contender: Contender, *, failure: str = "") -> None:
        self.record.trials.append(
            Trial(
                contender.query.architecture,
                contender.value,
                self.budget.spent,
                failure=failure,
                recipe=dict(contender.query.recipe),
                trained=contender.trained,
            )
        )

    def finish(self, contenders: Sequence[Contender], *, further: bool) -> SearchOutcome:
        """The first contender, trained ``further`` with the rest of the budget or as it is."""
        budget, trials = self.budget, self.record.trials
        if not trials:
            queries = "any number of queries"
            if budget.queries is not None:
                queries = number_of(budget.queries, "query")
            raise TooSmallBudgetError(
                f"The budget of {budget.flops:g} FLOPs and {queries} is too small to train any architecture on "
                f"'{self.record.task_id}': raise it, or lower the number of candidates."
            )
        if not any(trial.scored for trial in trials):
            raise FailedWorkError(
                f"All of {number_of(len(trials), 'training')} on '{self.record.task_id}' failed, the last one "
                f"because of {trials[-1].failure.rstrip('.')}."
            )
        winner = contenders[0]
        if further:
            assert budget.flops is not None
            # If this training fails, or nothing is left for it, the winner stays as it is.
            winner, *_ = [*self.train([winner], budget.flops - budget.spent.flops), winner]
        return SearchOutcome(
            winner.query.architecture,
            winner.weights,
            self.record,
            recipe=dict(winner.query.recipe),
            untried=len(self.entered - self.tried),
            meta_cost=cost_of(self.known),
        )


def _once(cost: Cost, repeated: bool) -> Cost:
    """A cost without its query, if the same query was paid for before."""
    return replace(cost, queries=0) if repeated else cost


def _package_records(made: Halving) -> dict[str, Any]:
    """The package's own files of records, by name, because its next version may have other files."""
    own = [file for path in made.records if (file := record_file(path)) != Path(path)]
    return {"records": settings_of(own)} if own else {}


@keeps_arguments(_package_records)
class Halving(Searcher):
    """Searches in rungs of training, each with a share of the budget; only the best of a rung go on to the next.

    Attributes:
        estimator: makes the estimator of a task.
        rungs: share of the budget's FLOPs for each rung.
        finish: whether the winner is trained further with the rest of the budget.
        train: further searched fields of the estimator's recipe, each with the values to choose from.
        records: files of searches of other problems, from which the first candidates are taken.
        later: fields of the recipe that are searched after the first rung; see ``EvolvingHalving``.

    Example:
        >>> method: lm.searchers.Halving = lm.searchers.SuccessiveHalving(candidates=4)
        >>> method.rungs
        (0.5, 0.5)
    """

    recipe_mutations = 0.5
    """Probability that a mutation changes the recipe, if ``train`` has any field, and not the architecture."""

    def __init__(
        self,
        estimator: EstimatorCallable,
        rungs: Sequence[float],
        finish: bool,
        train: Mapping[str, Sequence[RecipeValue]] | None = None,
        records: Sequence[str] = (),
        later: Mapping[str, Sequence[RecipeValue]] | None = None,
    ) -> None:
        self.estimator = estimator
        self.rungs = tuple(rungs)
        if not rungs or min(rungs) <= 0 or sum(rungs) > 1 + 1e-9:
            raise ValueError(
                f"{type(self).__name__}: the rungs {list(rungs)} are not positive shares of a budget that sum to at "
                "most 1."
            )
        self.finish = finish
        self.train = {name: tuple(values) for name, values in (train or {}).items()}
        self.later = {name: tuple(values) for name, values in (later or {}).items()}
        for of, fields in (("train", self.train), ("later", self.later)):
            if empty := [name for name, values in fields.items() if not values]:
                raise ValueError(
                    f"{type(self).__name__}: {of} has no value for '{empty[0]}': list some to choose from."
                )
        self.records = tuple(records)

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search on one task."""
        estimator = self.estimator(task, space, seed)
        found = self.run(estimator, space, budget, seed, problem=task.id)
        return replace(found, meta_cost=found.meta_cost + estimator.meta_cost)

    @abstractmethod
    def run(
        self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str
    ) -> SearchOutcome:
        """Search with an estimator, whatever its problem.

        Args:
            estimator: scores architectures on the problem.
            space: the architectures that can be built.
            budget: in FLOPs; never exceeded.
            seed: of all draws.
            problem: the problem's name in the record.

        Raises:
            ValueError: the budget has no limit on FLOPs, or the space cannot build the first architecture.
            TooSmallBudgetError: the budget pays for no architecture.
            FailedWorkError: everything that was tried failed.
        """

    def _begin(
        self,
        estimator: Estimator,
        space: SearchSpace,
        budget: Budget,
        seed: int,
        problem: str,
        objectives: tuple[str, ...] = ("accuracy",),
    ) -> Race:
        """The search before its first rung; ValueError if its budget or a value to choose from cannot be used."""
        if budget.flops is None:
            raise ValueError(f"{type(self).__name__} divides a budget of training FLOPs: give the search one.")
        for name, values in {**self.train, **self.later}.items():
            for value in values:
                estimator.with_recipe({name: value})
        return Race(
            estimator,
            space,
            budget,
            SearchRecord(problem, objectives=objectives),
            torch.Generator().manual_seed(seed),
            self.known_records(problem, space),
            budget.flops - budget.spent.flops,
        )

    def known_records(self, problem: str, space: SearchSpace) -> list[SearchRecord]:
        """The records of other problems in a space; warns if the files have none of this space."""
        read = [record for path in self.records for record in read_record_lines(path)]
        known = fitting(read, space)
        if read and not known:
            warnings.warn(
                f"The records in {', '.join(self.records)} have no trial in {space.name}: give records of searches in "
                "it.",
                stacklevel=2,
            )
        return [record for record in known if record.task_id != problem]

    def _next_rung(self, race: Race, survivors: Sequence[Contender], number: int, best: Contender) -> list[Contender]:
        """Survivors, after the first rung ``best`` with an untried value of a later field, and their new mutants."""
        turns, train = cycle(survivors), self.train
        if self.later and race.entered and number > len(survivors):
            untried = self._untried(best, race)
            survivors = [*survivors, *untried]
            if not untried:
                train = {**self.train, **self.later}
        origins: dict[Query, Contender] = {}

        def mutant() -> Query:
            parent = next(turns)
            query = self._mutant(race, parent, train)
            origins.setdefault(query, parent)
            return query

        known = race.tried | {contender.query for contender in survivors}
        mutants = draw_new(mutant, number - len(survivors), refusal=race.refusal, known=known)
        return [*survivors, *(origins[mutant].changed(mutant, race.estimator) for mutant in mutants)]

    def _mutant(self, race: Race, parent: Contender, train: Mapping[str, Sequence[RecipeValue]]) -> Query:
        """Another value of a field in ``train``, with probability ``recipe_mutations``; otherwise another label."""
        generator, (architecture, known) = race.generator, parent.query
        if not train or torch.rand((), generator=generator) >= self.recipe_mutations:
            return Query(mutate(race.space, architecture, generator, whole_groups=WHOLE_GROUPS), known)
        name = list(train)[below(len(train), generator)]
        recipe = dict(known)
        if others := [value for value in train[name] if value != recipe.get(name)]:
            recipe[name] = others[below(len(others), generator)]
        return Query.of(architecture, recipe)

    def _untried(self, best: Contender, race: Race) -> list[Contender]:
        """The best so far with the next value of a later field that no query has had, if there is one."""
        for name, values in self.later.items():
            tried = {dict(query.recipe).get(name) for query in race.entered}
            for value in values:
                query = Query.of(best.query.architecture, {**dict(best.query.recipe), name: value})
                if value not in tried and race.refusal(query) is None:
                    return [best.changed(query, race.estimator)]
        return []
