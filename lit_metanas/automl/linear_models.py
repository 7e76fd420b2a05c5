"""Linear models of plain features, one of which ``auto`` takes where no network is better."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil
from time import perf_counter

from lit_metanas.automl.data_kinds import DATA_KINDS
from lit_metanas.automl.output_folder import OutputFolder, kept_in
from lit_metanas.automl.time_plan import EPOCHS_OF_A_TRIAL, rounded
from lit_metanas.automl.views import View
from lit_metanas.estimators.estimator import FAILURES
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.records.budget import Cost
from lit_metanas.searchers.query.ledger import Value
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import Recipe

LINEAR_DECAYS = (0.3, 0.01, 3.0)
"""The weight decays of linear models to choose from."""

LINEAR_STEPS, MOST_LINEAR_STEPS, MOST_SEEN = 300, 1000, 50_000
"""How many steps each is trained for where examples are few; the most steps; and how many examples are seen, at most,
by more than one pass over the data."""

LINEAR_SHARE = 0.2
"""Of what the search has left: the most that linear models may take."""

FLOPS_OF_A_PARAMETER = 50
"""What a step of AdamW counts for a parameter of a linear model, by its time: the vectors of a large vocabulary take
most of it, and counted FLOPs leave them out."""

CHECK_SHARE = 0.5
"""Of what the search has left, to train a network for longer than a linear model was better than."""


@dataclass(frozen=True)
class LinearModel:
    """A linear model that was compared.

    Attributes:
        architecture: which features it is linear in.
        recipe: how it was trained.
        value: its validation score.
    """

    architecture: Architecture
    recipe: Recipe
    value: float


class LinearModels:
    """Linear models of plain features, of which the best is found by the validation part.

    How many are compared depends on FLOPs alone, not on a clock, so that the same FLOPs repeat it.

    Args:
        view: the data, and the space of linear models within the limits.
        kind: of the examples.
        seed: of their trainings.
        folder: keeps these; None keeps nothing.

    Attributes:
        spent: what was spent so far, with the seconds of kept trainings.
        features: what they are linear in, in words.
    """

    def __init__(self, view: View, kind: str, seed: int, folder: OutputFolder | None) -> None:
        self.view = view
        self.spent = Cost()
        self.features = DATA_KINDS[kind].features
        examples, batch = len(view.task.train), Recipe().batch_size
        epochs = max(1, min(EPOCHS_OF_A_TRIAL, MOST_SEEN // examples), round(LINEAR_STEPS / ceil(examples / batch)))
        self.recipe = Recipe(
            epochs=epochs,
            batch_size=max(batch, ceil(epochs * examples / MOST_LINEAR_STEPS)),
            learning_rate=DATA_KINDS[kind].linear_rate,
            inherit=False,
        )
        self._estimator = kept_in(folder, TrainingEstimator(view.task, view.limited.within, seed, self.recipe))
        space = view.limited.space
        self._within = [one for one in space.architectures() if view.limited.within.violation(one) is None]

    def affordable(self, flops: float, *, beside: float) -> int:
        """How many can be trained.

        Args:
            flops: of all trainings after the search.
            beside: of these, what must be left.
        """
        return bisect_right(self._needed(beside), flops)

    def nearest(self, flops: float, *, beside: float, number: int) -> float:
        """The FLOPs of all trainings after the search that pay for just so many, nearest to others.

        Args:
            flops: the others.
            beside: of all, what must be left.
            number: of linear models.
        """
        needed = self._needed(beside)
        if number < len(needed):
            flops = min(flops, needed[number] * (1 - 1e-9))
        if number:
            flops = max(flops, needed[number - 1])
        return rounded(flops)

    def best(self, number: int) -> LinearModel | None:
        """The best by the validation part: first of all features, then of all weight decays; None where there is none.

        Args:
            number: most trainings.
        """
        scored: list[LinearModel] = []
        for one in self._within[:number]:
            scored += self._scored(one, LINEAR_DECAYS[0])
        further = max(0, number - len(self._within))
        for decay in LINEAR_DECAYS[1 : 1 + further] if scored else ():
            scored += self._scored(max(scored, key=lambda one: one.value).architecture, decay)
        return max(scored, key=lambda one: one.value, default=None)

    def _needed(self, beside: float) -> Sequence[float]:
        """How many FLOPs all trainings after the search need for one linear model, for two, and so on."""
        if not self._within:
            return ()
        flops = [self._estimator.cost(one, 1.0).flops for one in self._within]
        view, steps = self.view, self.recipe.epochs * ceil(len(self.view.task.train) / self.recipe.batch_size)
        parameters = [view.limited.space.cost(one, view.task.shape, view.task.way).parameters for one in self._within]
        timed = [own + FLOPS_OF_A_PARAMETER * steps * number for own, number in zip(flops, parameters, strict=True)]
        # Any of them may be the one whose weight decays are compared.
        further = len(LINEAR_DECAYS) - 1
        sums = (accumulate([*one, *[max(one)] * further]) for one in (timed, flops))
        # Rounded up, so that rounded FLOPs are enough.
        return [
            rounded(max(by_time / LINEAR_SHARE, (own + beside) * (1 + 1e-9)))
            for by_time, own in zip(*sums, strict=True)
        ]

    def _scored(self, architecture: Architecture, decay: float) -> list[LinearModel]:
        """One, trained on the train part; none where that fails."""
        begin, cost = perf_counter(), self._estimator.cost(architecture, 1.0)
        changes: dict[str, Value] = {"weight_decay": decay}
        scored: list[LinearModel] = []
        with suppress(*FAILURES):
            score = self._estimator.with_recipe(changes)(architecture, fidelity=1.0)
            scored.append(LinearModel(architecture, self.recipe.replace(changes), score.value))
            cost = score.cost
        self.spent += replace(cost, seconds=cost.seconds + perf_counter() - begin)
        return scored
