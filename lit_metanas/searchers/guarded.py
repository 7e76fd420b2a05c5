"""A search that gives up an incumbent only for what is better by a margin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from lit_metanas.estimators.training_estimator import check_finite, validation_part
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import SearchOutcome, SearchRecord, Trial
from lit_metanas.records.statistics import leads
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.inputs import Preprocessing, Shape
from lit_metanas.tasks.objective import Judged
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Recipe, chosen_child, fit_child, images_an_epoch, judge, training_cost


class GuardedSearcher(Searcher):
    """Keeps what one searcher finds, unless what another one finds is better on validation examples, by a margin.

    Each finding is trained on the train part by the same recipe, from the weights that its searcher hands over, and
    judged on the val part. Of the challengers that lead the incumbent there, example by example (``leads``), the one of
    the best score is found, else the incumbent, with exactly the outcome of its own searcher. A challenger is left out
    where the budget does not pay for its training as well; for that, as much is kept back as the incumbent's cost.

    Args:
        incumbent: finds what is kept, such as ``MetaSearchedArchitecture``.
        challengers: find what it is compared with, by name; they search one after the other.
        recipe: how each finding is trained for the comparison; give that of the final training.
        margin: standard errors by which a challenger must lead; the more challengers there are, the larger the margin
            becomes (Bonferroni), so that the incumbent is given up by chance as seldom as for a single one.

    Raises:
        ValueError: there are no challengers, or the margin is negative.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space, recipe = lm.LayeredSpace(widths=(4,), shared=True), lm.Recipe(epochs=1)
        >>> incumbent, drawn = lm.FixedArchitecture({"kernel": "3"}), lm.RandomArchitecture()
        >>> searcher = lm.GuardedSearcher(incumbent, {"random": drawn}, recipe=recipe)
        >>> result = lm.search(task, space, method=searcher, recipe=recipe)
        >>> result.architecture["kernel"]  # four validation examples show no lead
        '3'
    """

    def __init__(
        self,
        incumbent: Searcher,
        challengers: Mapping[str, Searcher],
        *,
        recipe: Recipe | None = None,
        margin: float = 2.0,
    ) -> None:
        if not challengers or not margin >= 0:
            raise ValueError(
                f"GuardedSearcher: {len(challengers)} challengers and a margin of {margin}; give at least one searcher "
                "to compare with, and 0 or more standard errors."
            )
        self.incumbent = incumbent
        self.challengers = dict(challengers)
        self.recipe = recipe or Recipe()
        self.margin = margin

    @property
    def _all(self) -> tuple[Searcher, ...]:
        return (self.incumbent, *self.challengers.values())

    @property
    def meta_cost(self) -> Cost:
        """Of the meta-trainings of all searchers; what two of them share is counted for each."""
        return sum((searcher.meta_cost for searcher in self._all), Cost())

    @property
    def input_shape(self) -> Shape | None:
        """Of the meta-training's inputs: that of the first searcher which has one."""
        return next((shape for each in self._all if (shape := each.input_shape) is not None), None)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Of the meta-training's inputs: that of the first searcher which has one."""
        return next((made for each in self._all if (made := each.preprocessing) is not None), None)

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search by each, and compare.

        Raises:
            ValueError: the task has no validation part, or a searcher refuses it.
            ArithmeticError: the incumbent's training ended in weights that are not finite.
        """
        validation_part(task)
        record, challengers = SearchRecord(task.id), list(self.challengers.values())
        chosen = self.incumbent.search(task, space, budget, seed)
        price = self._price(task, space, chosen)
        if not budget.affords(price):
            return replace(chosen, untried=chosen.untried + len(challengers))
        kept = self._validate(task, space, chosen, budget, seed, record)
        best, untried = float(kept.mean()), 0
        for searcher in challengers:
            found = self._challenge(searcher, task, space, budget, seed, price)
            if found is None or not budget.affords(self._price(task, space, found)):
                untried += 1
                continue
            try:
                values = self._validate(task, space, found, budget, seed, record)
            except ArithmeticError as error:
                record.trials.append(Trial(found.architecture, math.nan, budget.spent, failure=str(error)))
                continue
            if values.mean() > best and leads(values - kept, self.margin, among=len(challengers)):
                chosen, best = found, float(values.mean())
        return replace(chosen, record=record, untried=untried)

    def _challenge(
        self, searcher: Searcher, task: Task, space: SearchSpace, budget: Budget, seed: int, price: Cost
    ) -> SearchOutcome | None:
        """What a challenger finds, where the budget pays for more than a training."""
        left = Budget(
            queries=None if budget.queries is None else budget.queries - budget.spent.queries - price.queries,
            flops=None if budget.flops is None else budget.flops - budget.spent.flops - price.flops,
        )
        if not left.affords(Cost()) or left.used_up:
            return None
        found = searcher.search(task, space, left, seed)
        budget.charge(left.spent)
        return found

    def _price(self, task: Task, space: SearchSpace, found: SearchOutcome) -> Cost:
        """Of training a finding."""
        recipe = self.recipe.replace(found.recipe)
        images = images_an_epoch(len(task.train), recipe.batch_size) * recipe.epochs
        cost = training_cost(space, found.architecture, task.shape, task.way, images=images)
        return replace(cost, queries=1)

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
