"""A search that gives up an incumbent only for what is better by a margin."""

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
from lit_metanas.training.child import Recipe, chosen_child, fit_child, judge, recipe_cost


class GuardedSearcher(Searcher):
    """Keeps what one searcher finds, unless what another one finds is better on validation examples, by a margin.

    Each finding is trained on the train part by the same recipe, from the weights that its searcher hands over, and
    judged on the val part. Where the challenger's leads there, example by example (``leads``), it is found, else the
    incumbent's, with exactly the outcome of its own searcher. The challenger may spend what the budget leaves after two
    trainings of the incumbent, and is left out where its own training cannot be paid, or where it fails or what is left
    pays for none of its architectures: then what it spent is charged, a warning tells why, and the incumbent's is kept.
    An incumbent may itself be a guarded one, where several are to be compared.

    The outcome's record tells of the comparison alone. What both searchers tried before is charged, but not listed, for
    its scores may be of other trainings, or of a supernet. What both knew before it is in the outcome's ``meta_cost``,
    whichever is found, unless the challenger found nothing. Where nothing was compared, for the budget does not even
    pay for the incumbent's training, the record is that of the incumbent's searcher.

    Args:
        incumbent: finds what is kept, such as ``MetaSearchedArchitecture``.
        challenger: finds what it is compared with.
        recipe: how each finding is trained for the comparison; give that of the final training.
        margin: standard errors by which the challenger must lead.

    Raises:
        ValueError: the margin is negative.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space, recipe = lm.LayeredSpace(widths=(4,), shared=True), lm.Recipe(epochs=1)
        >>> fixed, drawn = lm.FixedArchitecture({"kernel": "3"}), lm.RandomArchitecture()
        >>> searcher = lm.GuardedSearcher(fixed, drawn, recipe=recipe)
        >>> result = lm.search(task, space, method=searcher, recipe=recipe)
        >>> result.architecture["kernel"]  # four validation examples show no lead
        '3'
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
        """Of the meta-trainings of both; what they share is counted twice."""
        return self.incumbent.meta_cost + self.challenger.meta_cost

    @property
    def input_shape(self) -> Shape | None:
        """Of the meta-training's inputs: of the incumbent's, if it has any, else of the challenger's."""
        own = self.incumbent.input_shape
        return self.challenger.input_shape if own is None else own

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Of the meta-training's inputs: of the incumbent's, if it has any, else of the challenger's."""
        own = self.incumbent.preprocessing
        return self.challenger.preprocessing if own is None else own

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search by both, and compare.

        Raises:
            ValueError: the task has no validation part, or one of them refuses it.
            TooSmallBudgetError: the budget pays for no architecture of the incumbent's searcher.
            FailedWorkError: the incumbent's searcher failed.
            ArithmeticError: the incumbent's training ended in weights that are not finite.
        """
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
        # What either knew before has decided which of them is found.
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
        """What the challenger finds, if it can search on what the budget leaves after a training of the given price."""
        left = Budget(
            queries=None if budget.queries is None else budget.queries - budget.spent.queries - price.queries,
            flops=None if budget.flops is None else budget.flops - budget.spent.flops - price.flops,
        )
        if not left.affords(Cost()) or left.used_up:
            return None
        found = None
        try:
            found = self.challenger.search(task, space, left, seed)
        except (TooSmallBudgetError, Exhausted, FailedWorkError, ArithmeticError) as error:
            told = f"GuardedSearcher keeps its incumbent on task '{task.id}', for the challenger found nothing: {error}"
            warnings.warn(told, stacklevel=3)
        budget.charge(left.spent)
        return found

    def _price(self, task: Task, space: SearchSpace, found: SearchOutcome) -> Cost:
        """Of training a finding."""
        recipe = self.recipe.replace(found.recipe)
        return replace(recipe_cost(space, found.architecture, task, task.train, recipe), queries=1)

    def _validate(
        self, task: Task, space: SearchSpace, found: SearchOutcome, budget: Budget, seed: int, record: SearchRecord
    ) -> Tensor:
        """Train a finding, and judge it on the val part: see ``example_values``."""
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
    """Each example's part in a metric, whose mean is the metric: shape ``(n,)``, float64.

    Of a ratio of sums it is the linearised one (Cochran 1977, 6.3); of an accuracy 1 where an example is told rightly,
    else 0.
    """
    right, whole = judged.right.double(), judged.whole.double()
    value = right.sum() / whole.sum()
    return value + (right - value * whole) / whole.mean()
