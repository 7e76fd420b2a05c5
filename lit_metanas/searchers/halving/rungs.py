"""Rungs of halving searches: many architectures trained a little, few of them on."""

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
    """An architecture in the running, with the recipe that it is trained by.

    Attributes:
        architecture: what is trained.
        recipe: the fields of the estimator's recipe that are changed for it.
        value: its last validation score.
        weights: what to go on from, or None for a fresh start.
        trained: training FLOPs behind the weights.
    """

    architecture: Architecture
    recipe: RecipeFields = field(default_factory=dict)
    value: float = float("-inf")
    weights: dict[str, Tensor] | None = None
    trained: float = 0.0

    @property
    def query(self) -> Query:
        """What is asked of an estimator."""
        return Query.of(self.architecture, self.recipe)

    @staticmethod
    def of(query: Query) -> Contender:
        """A new one."""
        return Contender(query.architecture, dict(query.recipe))

    def changed(self, query: Query, estimator: Estimator) -> Contender:
        """Another one, which begins with the weights of this one where the estimator lets it."""
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
    """Train each contender on for a part of ``flops``, an equal one by default, and order them by score, best first.

    The fidelity follows from the known cost of a full training, so every contender gets the same FLOPs whatever its
    size, as nearly as the estimator can divide its training: ``TrainingEstimator`` trains whole epochs, rounded down
    but at least one, so that a small part can be exceeded. One that the budget can no longer pay for is left out, and
    so is one whose training fails, which is charged in full. A contender that was scored before costs no query.

    Args:
        contenders: what is trained.
        estimator: scores architectures.
        budget: of the search.
        flops: of all these trainings.
        record: gets a trial for each.
        power: a contender's part is in proportion to the cost of its full training to this power: at 1 all get the
            same number of epochs.

    Raises:
        ValueError: the estimator trains nothing that could be divided.
    """
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
        price = _once(under.cost(architecture, fidelity), seen) if fidelity > 0 else None
        if price is None or not budget.affords(price):
            continue
        begin = perf_counter()
        try:
            score = under(architecture, fidelity=fidelity, start=contender.weights)
            if isnan(score.value):
                raise ArithmeticError("its score is not a number")
        except FAILURES as error:
            budget.charge(replace(price, seconds=perf_counter() - begin))
            record.trials.append(Trial(architecture, -inf, budget.spent, failure=reason_of(error), recipe=recipe))
            continue
        cost = _once(score.cost, seen)
        budget.charge(replace(cost, seconds=cost.seconds + perf_counter() - begin))  # those of a kept score, too
        trained = contender.trained + score.cost.flops
        record.trials.append(Trial(architecture, score.value, budget.spent, recipe=recipe, trained=trained))
        done.append(replace(contender, value=score.value, weights=score.weights, trained=trained))
    return sorted(done, key=lambda contender: -contender.value)


def _full_cost(contender: Contender, estimator: Estimator) -> int | str:
    """Training FLOPs at fidelity 1; or why there is none, such as too few classes for the episodes of a recipe."""
    try:
        return contender.query.under(estimator).cost(contender.architecture, 1.0).flops
    except FAILURES as error:
        return reason_of(error)


def refusal_by(space: SearchSpace, estimator: Estimator) -> Callable[[Query], str | None]:
    """Why a space cannot build the architecture of a query, or an estimator does not score it; None where both do."""

    def refusal(query: Query) -> str | None:
        reason = space.violation(query.architecture)
        return estimator.refusal(query.architecture, dict(query.recipe)) if reason is None else reason

    return refusal


def remaining_flops(budget: Budget, who: str) -> float:
    """FLOPs that a budget still holds.

    Raises:
        ValueError: the budget has no limit on FLOPs.
    """
    if budget.flops is None:
        raise ValueError(f"{who} divides a budget of training FLOPs: give the search one.")
    return budget.flops - budget.spent.flops


def check_rungs(rungs: Sequence[float], who: str) -> tuple[float, ...]:
    """The shares of the budget, checked.

    Raises:
        ValueError: there are none, or they are not positive, or they sum to more than one.
    """
    if not rungs or min(rungs) <= 0 or sum(rungs) > 1 + 1e-9:
        raise ValueError(f"{who}: the rungs {list(rungs)} are not positive shares of a budget that sum to at most 1.")
    return tuple(rungs)


def _once(cost: Cost, known: bool) -> Cost:
    return replace(cost, queries=0) if known else cost


@dataclass(frozen=True)
class Mutation:
    """Another value of one field of a recipe, or another label of an architecture.

    Attributes:
        train: the fields that may change, with the values to choose from.
        recipe_mutations: probability that the recipe changes, not the architecture, where there is any field.
        whole_groups: probability that a changed label changes all layers' choices of its kind.
    """

    train: Mapping[str, Sequence[RecipeValue]]
    recipe_mutations: float
    whole_groups: float

    def __call__(self, parent: Contender, space: SearchSpace, generator: torch.Generator) -> Query:
        """Change a contender."""
        if self.train and bool(torch.rand((), generator=generator) < self.recipe_mutations):
            name = list(self.train)[below(len(self.train), generator)]
            others = [value for value in self.train[name] if value != parent.recipe.get(name)]
            changed = {name: others[below(len(others), generator)]} if others else {}
            return Query.of(parent.architecture, {**parent.recipe, **changed})
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
    """The contenders and new mutants of them in turn, which begin with their weights where they may, ``number`` in all.

    Args:
        contenders: what the next rung begins with.
        number: of the next rung.
        space: what can be built.
        estimator: tells what it does not score.
        record: tells what is not new.
        mutation: changes a parent.
        generator: of what is drawn.
        parents: how many of the contenders have mutants, the first ones; None is all.
    """
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
    """The files of records that are named as the package's, which its next version may have others of."""
    own = [file for path in made.records if (file := record_file(path)) != Path(path)]
    return {"records": settings_of(own)} if own else {}


@keeps_arguments(_package_records)
class Halving(Searcher):
    """Climbs rungs of training, each for a share of the budget; only the best of a rung go on into the next.

    Attributes:
        estimator: makes the estimator of a task.
        rungs: share of the budget's FLOPs for each rung.
        finish: whether the winner is trained on with what is left of the budget.
        train: fields of the estimator's recipe that are searched, too, each with the values to choose from.
        records: files of searches of other problems, from which the first candidates are taken.
        later: fields of the recipe that come in behind the first rung; see ``EvolvingHalving``.

    Example:
        >>> import lit_metanas as lm
        >>> isinstance(lm.SuccessiveHalving(candidates=4), lm.Halving)
        True
        >>> lm.SuccessiveHalving(candidates=4).rungs
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
        """Search on whatever problem the estimator holds.

        Args:
            estimator: scores architectures on the problem.
            space: what can be built.
            budget: in FLOPs; never overdrawn.
            seed: of what is drawn.
            problem: the problem's name in the record.

        Raises:
            ValueError: the budget has no limit on FLOPs, or the space cannot build what the search starts from.
            TooSmallBudgetError: the budget pays for no architecture.
            FailedWorkError: all that was tried failed.
        """

    def _known(self, problem: str, space: SearchSpace) -> list[SearchRecord]:
        """What the files of records tell of other problems in a space; a warning where that is nothing.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file has no usable record.
        """
        read = [record for path in self.records for record in read_record_lines(path)]
        known = fitting(read, space)
        if read and not known:
            told = f"The records in {', '.join(self.records)} tell nothing of {space.name}"
            warnings.warn(f"{told}: take those of searches in it.", stacklevel=2)
        return [record for record in known if record.task_id != problem]

    def _check_recipes(self, estimator: Estimator) -> None:
        """Refuse values that no recipe can have, before anything is paid for.

        Raises:
            ValueError: the estimator has no such recipe.
        """
        for name, values in {**self.train, **self.later}.items():
            for value in values:
                estimator.with_recipe({name: value})

    def _untried(
        self, best: Contender, entered: Collection[Query], space: SearchSpace, estimator: Estimator
    ) -> list[Contender]:
        """The best so far with the next value of a later field that nothing has had; none where there is no such.

        Args:
            best: of the last rung.
            entered: what was to be trained in any rung.
            space: what can be built.
            estimator: tells what it does not score.
        """
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
        """The first contender, trained on with what is left of the budget if wished.

        Args:
            contenders: those left of the last rung, best first.
            entered: the architectures that were to be trained in any rung, with their recipes.
            estimator: scores architectures.
            budget: of the search.
            record: what was tried.
            known: the searches that were learned from.

        Raises:
            TooSmallBudgetError: nothing could be tried.
            FailedWorkError: everything that was tried failed.
        """
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
