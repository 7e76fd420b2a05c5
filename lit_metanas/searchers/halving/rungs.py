"""Rungs of halving searches: many architectures are trained a little, and the best of them longer."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from math import inf, isnan
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from lit_metanas.estimators.estimator import FAILURES, Estimator, EstimatorCallable, reason_of
from lit_metanas.io.settings import keeps_arguments, settings_of
from lit_metanas.io.text import number_of
from lit_metanas.records.budget import Budget, Cost, FailedWorkError, TooSmallBudgetError
from lit_metanas.records.record import RecipeFields, RecipeValue, SearchOutcome, SearchRecord, Trial, cost_of
from lit_metanas.records.record_lines import read_record_lines, record_file
from lit_metanas.searchers.halving.proposals import fitting
from lit_metanas.searchers.mutation import below, draw_new, mutate
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task


@dataclass(frozen=True)
class Contender:
    """An architecture in the search, with the changed fields of its recipe, its last score and its weights."""

    architecture: Architecture
    recipe: RecipeFields = field(default_factory=dict)
    value: float = float("-inf")
    weights: dict[str, Tensor] | None = None
    trained: float = 0.0  # training FLOPs behind the weights

    @property
    def query(self) -> Query:
        """The query that an estimator gets."""
        return Query.of(self.architecture, self.recipe)

    @staticmethod
    def of(query: Query) -> Contender:
        """A new contender."""
        return Contender(query.architecture, dict(query.recipe))

    def changed(self, query: Query, estimator: Estimator) -> Contender:
        """A contender for another query, with the weights of this one if the estimator allows that."""
        other = Contender.of(query)
        if not estimator.inherits(other.recipe, self.recipe):
            return other
        return replace(self, architecture=other.architecture, recipe=other.recipe)


def train_rung(
    contenders: Sequence[Contender],
    *,
    estimator: Estimator,
    budget: Budget,
    flops: float,
    record: SearchRecord,
    power: float = 0.0,
) -> list[Contender]:
    """Train each contender for a part of ``flops``, in proportion to its full cost to a power; best score first."""
    # At power 0 all get the same FLOPs, at 1 the same number of epochs, as far as the estimator can divide a training.
    # TrainingEstimator trains at least one epoch, so that a small part can be exceeded. Contenders that the budget
    # cannot pay for, or whose training fails, are left out. One that was scored before costs no query.
    known = {Query.of(trial.architecture, trial.recipe) for trial in record.trials}
    done: list[Contender] = []
    costs = [_full_cost(contender, estimator) for contender in contenders]
    parts = [1.0 if isinstance(cost, str) else cost**power for cost in costs]
    for contender, full, part in zip(contenders, costs, parts, strict=True):
        architecture, recipe = contender.architecture, dict(contender.recipe)
        under = contender.query.under(estimator)
        if isinstance(full, str):
            record.trials.append(Trial(architecture, -inf, budget.spent, failure=full, recipe=recipe))
            continue
        if full == 0:
            raise ValueError(
                f"{type(estimator).__name__} costs no training FLOPs, by which halving divides its budget: take an "
                "estimator that trains, such as TrainingEstimator."
            )
        fidelity = min(1.0, flops * part / sum(parts) / full)
        seen = contender.query in known
        if fidelity <= 0:
            continue
        price = _once(under.cost(architecture, fidelity), seen)
        if not budget.affords(price):
            continue
        begin = perf_counter()
        try:
            score = under(architecture, fidelity=fidelity, start=contender.weights)
            if isnan(score.value):
                raise ArithmeticError("its score is not a number")
        except FAILURES as error:
            budget.charge(replace(price, seconds=perf_counter() - begin))  # in full: how far it came is unknown
            record.trials.append(Trial(architecture, -inf, budget.spent, failure=reason_of(error), recipe=recipe))
            continue
        cost = _once(score.cost, seen)
        budget.charge(replace(cost, seconds=cost.seconds + perf_counter() - begin))  # a kept score has seconds, too
        trained = contender.trained + score.cost.flops
        record.trials.append(Trial(architecture, score.value, budget.spent, recipe=recipe, trained=trained))
        done.append(replace(contender, value=score.value, weights=score.weights, trained=trained))
    return sorted(done, key=lambda contender: -contender.value)


def _full_cost(contender: Contender, estimator: Estimator) -> int | str:
    """Training FLOPs at fidelity 1; or the reason why there are none, such as a recipe with too many classes."""
    try:
        return contender.query.under(estimator).cost(contender.architecture, 1.0).flops
    except FAILURES as error:
        return reason_of(error)


def refusal_by(space: SearchSpace, estimator: Estimator) -> Callable[[Query], str | None]:
    """Gives the reason why a space cannot build a query's architecture or an estimator cannot score it, or None."""

    def refusal(query: Query) -> str | None:
        if (reason := space.violation(query.architecture)) is not None:
            return reason
        return estimator.refusal(query.architecture, dict(query.recipe))

    return refusal


def remaining_flops(budget: Budget, who: str) -> float:
    """FLOPs that a budget still holds; ValueError if it has no limit on FLOPs."""
    if budget.flops is None:
        raise ValueError(f"{who} divides a budget of training FLOPs: give the search one.")
    return budget.flops - budget.spent.flops


def check_rungs(rungs: Sequence[float], who: str) -> tuple[float, ...]:
    """The shares of the budget; ValueError unless they are positive and sum to at most 1."""
    if not rungs or min(rungs) <= 0 or sum(rungs) > 1 + 1e-9:
        raise ValueError(f"{who}: the rungs {list(rungs)} are not positive shares of a budget that sum to at most 1.")
    return tuple(rungs)


def _once(cost: Cost, known: bool) -> Cost:
    if known:
        return replace(cost, queries=0)
    return cost


@dataclass(frozen=True)
class Mutation:
    """Another value of one field of a recipe (``train``), or another label of an architecture."""

    train: Mapping[str, Sequence[RecipeValue]]
    recipe_mutations: float  # probability that the recipe changes, if it has any field, and not the architecture
    whole_groups: float  # probability that a changed label changes the choices of its kind in all layers

    def __call__(self, parent: Contender, space: SearchSpace, generator: torch.Generator) -> Query:
        """Change a contender."""
        if self.train and bool(torch.rand((), generator=generator) < self.recipe_mutations):
            name = list(self.train)[below(len(self.train), generator)]
            others = [value for value in self.train[name] if value != parent.recipe.get(name)]
            recipe = {**parent.recipe}
            if others:
                recipe[name] = others[below(len(others), generator)]
            return Query.of(parent.architecture, recipe)
        return Query.of(mutate(space, parent.architecture, generator, whole_groups=self.whole_groups), parent.recipe)


def fill_up(
    contenders: Sequence[Contender],
    number: int,
    *,
    space: SearchSpace,
    estimator: Estimator,
    record: SearchRecord,
    mutation: Mutation,
    generator: torch.Generator,
    parents: int | None = None,
) -> list[Contender]:
    """Fill a rung up to ``number`` contenders with new mutants of the first ``parents`` (None is all) in turn."""
    turns = cycle(contenders[:parents])
    origins: dict[Query, Contender] = {}

    def mutant() -> Query:
        parent = next(turns)
        query = mutation(parent, space, generator)
        origins.setdefault(query, parent)
        return query

    known = {Query.of(trial.architecture, trial.recipe) for trial in record.trials}
    known |= {contender.query for contender in contenders}
    mutants = draw_new(mutant, number - len(contenders), refusal=refusal_by(space, estimator), known=known)
    return [*contenders, *(origins[mutant].changed(mutant, estimator) for mutant in mutants)]


def _package_records(made: Halving) -> dict[str, Any]:
    """The package's own files of records, by name, because its next version may have other files."""
    own = [file for path in made.records if (file := record_file(path)) != Path(path)]
    if not own:
        return {}
    return {"records": settings_of(own)}


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
        >>> import lit_metanas as lm
        >>> isinstance(lm.searchers.SuccessiveHalving(candidates=4), lm.searchers.Halving)
        True
        >>> lm.searchers.SuccessiveHalving(candidates=4).rungs
        (0.5, 0.5)
    """

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
        self.rungs = check_rungs(rungs, type(self).__name__)
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

    def _known(self, problem: str, space: SearchSpace) -> list[SearchRecord]:
        """The records of other problems in a space; warns if the files have none of this space."""
        read = [record for path in self.records for record in read_record_lines(path)]
        known = fitting(read, space)
        if read and not known:
            files = ", ".join(self.records)
            warnings.warn(
                f"The records in {files} have no trial in {space.name}: give records of searches in it.", stacklevel=2
            )
        return [record for record in known if record.task_id != problem]

    def _check_recipes(self, estimator: Estimator) -> None:
        """Refuse values that no recipe can have, before anything is paid for."""
        for name, values in {**self.train, **self.later}.items():
            for value in values:
                estimator.with_recipe({name: value})

    def _untried(
        self, best: Contender, entered: Collection[Query], space: SearchSpace, estimator: Estimator
    ) -> list[Contender]:
        """The best so far with the next value of a later field that no query in ``entered`` has, if there is one."""
        refusal = refusal_by(space, estimator)
        for name, values in self.later.items():
            tried = {dict(query.recipe).get(name) for query in entered}
            for value in values:
                query = Query.of(best.architecture, {**best.recipe, name: value})
                if value not in tried and refusal(query) is None:
                    return [best.changed(query, estimator)]
        return []

    def _finish(
        self,
        contenders: Sequence[Contender],
        *,
        entered: Collection[Query],
        estimator: Estimator,
        budget: Budget,
        record: SearchRecord,
        known: Sequence[SearchRecord] = (),
    ) -> SearchOutcome:
        """The first contender, trained further if ``finish`` is set; ``entered`` is all that should be trained."""
        if not record.trials:
            queries = "any number of queries" if budget.queries is None else number_of(budget.queries, "query")
            raise TooSmallBudgetError(
                f"The budget of {budget.flops:g} FLOPs and {queries} is too small to train any architecture on "
                f"'{record.task_id}': raise it, or lower the number of candidates."
            )
        if not any(trial.scored for trial in record.trials):
            raise FailedWorkError(
                f"All of {number_of(len(record.trials), 'training')} on '{record.task_id}' failed, the last one "
                f"because of {record.trials[-1].failure.rstrip('.')}."
            )
        winner = contenders[0]
        if self.finish:
            rest = remaining_flops(budget, type(self).__name__)
            winner = next(
                iter(train_rung([winner], estimator=estimator, budget=budget, flops=rest, record=record)),
                winner,
            )
        untried = set(entered) - {Query.of(trial.architecture, trial.recipe) for trial in record.trials}
        return SearchOutcome(
            winner.architecture,
            winner.weights,
            record,
            recipe=dict(winner.recipe),
            untried=len(untried),
            meta_cost=cost_of(known),
        )
