"""A search that keeps an incumbent unless another architecture is better by a margin."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

from torch import Tensor

from lit_metanas.estimators.training_estimator import check_finite, validation_part
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape
from lit_metanas.objectives.objective import Judged
from lit_metanas.records.budget import Budget, Cost, Exhausted, FailedWorkError, TooSmallBudgetError
from lit_metanas.records.record import SearchOutcome, SearchRecord, Trial
from lit_metanas.records.statistics import leads
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import chosen_child, fit_child, judge, recipe_cost
from lit_metanas.training.recipes import Recipe


class GuardedSearcher(Searcher):
    """Keeps the incumbent's architecture unless the challenger's is better on validation examples, by a margin.

    Each architecture is trained on the train part by the same recipe, from the weights of its searcher, and scored on
    the val part. If the challenger leads there, example by example (``leads``), its outcome is returned, otherwise the
    incumbent's. The challenger may spend what the budget leaves after two trainings of the incumbent. If it fails, or
    the rest pays for none of its architectures, a warning gives the reason, its cost is charged, and the incumbent is
    kept. The same holds if its own training cannot be paid.

    The outcome's record lists only the comparison. Earlier trials of both searchers are charged but not listed. The
    outcome's ``meta_cost`` is that of both searchers, unless the challenger found nothing. If the budget does not even
    pay for the incumbent's training, nothing is compared, and the record is that of the incumbent's searcher.

    Args:
        incumbent: finds the architecture to keep, such as ``MetaSearchedArchitecture``; it may itself be guarded.
        challenger: finds the architecture to compare with it.
        recipe: trains both for the comparison; give that of the final training.
        margin: number of standard errors by which the challenger must lead.

    Raises:
        ValueError: the margin is negative.

    Example:
        >>> import lit_metanas as lm
        >>> fixed, drawn = lm.searchers.FixedArchitecture({"kernel": "3"}), lm.RandomArchitecture()
        >>> lm.searchers.GuardedSearcher(fixed, drawn, recipe=lm.Recipe(epochs=1)).margin
        2.0
    """

    def __init__(
        self, incumbent: Searcher, challenger: Searcher, *, recipe: Recipe | None = None, margin: float = 2.0
    ) -> None:
        if not margin >= 0:
            raise ValueError(f"GuardedSearcher: margin is {margin}; give 0 or more standard errors.")
        self.incumbent = incumbent
        self.challenger = challenger
        self.recipe = recipe or Recipe()
        self.margin = margin

    @property
    def meta_cost(self) -> Cost:
        """Cost of the meta-trainings of both; a shared one counts twice."""
        return self.incumbent.meta_cost + self.challenger.meta_cost

    @property
    def input_shape(self) -> Shape | None:
        """The incumbent's, or else the challenger's."""
        if (shape := self.incumbent.input_shape) is not None:
            return shape
        return self.challenger.input_shape

    @property
    def preprocessing(self) -> Preprocessing | None:
        """The incumbent's, or else the challenger's."""
        if (preprocessing := self.incumbent.preprocessing) is not None:
            return preprocessing
        return self.challenger.preprocessing

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search by both, and compare; errors of the incumbent's searcher are passed on."""
        validation_part(task)
        record, chosen = SearchRecord(task.id), self.incumbent.search(task, space, budget, seed)
        price = self._price(task, space, chosen)
        if not budget.affords(price):
            return replace(chosen, untried=chosen.untried + 1)
        kept = self._validate(task, space, chosen, budget, seed, record)
        chosen = replace(chosen, record=record, ordinal=False)
        found = self._challenge(task, space, budget, seed, price)
        if found is None:
            return replace(chosen, untried=chosen.untried + 1)
        # The meta-training of either has decided which of them is returned.
        known = chosen.meta_cost + found.meta_cost
        chosen = replace(chosen, meta_cost=known)
        if not budget.affords(self._price(task, space, found)):
            return replace(chosen, untried=chosen.untried + 1)
        try:
            values = self._validate(task, space, found, budget, seed, record)
        except ArithmeticError as error:
            record.trials.append(Trial(found.architecture, math.nan, budget.spent, failure=str(error)))
            return chosen
        if not leads(values - kept, self.margin):
            return chosen
        return replace(found, record=record, ordinal=False, meta_cost=known)

    def _challenge(
        self, task: Task, space: SearchSpace, budget: Budget, seed: int, price: Cost
    ) -> SearchOutcome | None:
        """The challenger's outcome with the rest of the budget after one training; None if it finds nothing."""
        queries, flops = budget.queries, budget.flops
        if queries is not None:
            queries = queries - budget.spent.queries - price.queries
        if flops is not None:
            flops = flops - budget.spent.flops - price.flops
        left = Budget(queries=queries, flops=flops)
        if not left.affords(Cost()) or left.used_up:
            return None
        found = None
        try:
            found = self.challenger.search(task, space, left, seed)
        except (TooSmallBudgetError, Exhausted, FailedWorkError, ArithmeticError) as error:
            warnings.warn(
                f"GuardedSearcher keeps its incumbent on task '{task.id}', as the challenger found nothing: {error}",
                stacklevel=3,
            )
        budget.charge(left.spent)
        return found

    def _price(self, task: Task, space: SearchSpace, found: SearchOutcome) -> Cost:
        """Cost of training an architecture."""
        recipe = self.recipe.replace(found.recipe)
        return replace(recipe_cost(space, found.architecture, task, task.train, recipe), queries=1)

    def _validate(
        self, task: Task, space: SearchSpace, found: SearchOutcome, budget: Budget, seed: int, record: SearchRecord
    ) -> Tensor:
        """Train an architecture, and give its ``example_values`` on the val part."""
        budget.charge(self._price(task, space, found))
        child = chosen_child(task, space, found, self.recipe.replace(found.recipe), seed)
        spent = fit_child(child, task.train, seed=seed)
        check_finite(child.network)
        budget.charge(Cost(steps=spent.steps))
        val = validation_part(task)
        judged = judge(child.to(val.inputs.device).eval(), val, task.goal)[1]
        record.trials.append(Trial(found.architecture, judged.value, budget.spent, recipe=found.recipe))
        return example_values(judged)


def example_values(judged: Judged) -> Tensor:
    """Each example's part in a metric, whose mean is the metric: shape ``(n,)``, float64."""
    # The linearised ratio of sums (Cochran 1977, 6.3); for an accuracy 1 for a right prediction and 0 for another.
    right, whole = judged.right.double(), judged.whole.double()
    value = right.sum() / whole.sum()
    return value + (right - value * whole) / whole.mean()
