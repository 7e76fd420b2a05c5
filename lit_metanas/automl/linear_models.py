"""Linear models of plain features, one of which ``auto`` takes where no network is better."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import ceil
from time import perf_counter

from lit_metanas.automl.data_kinds import DataKind
from lit_metanas.automl.output_folder import OutputFolder, kept_in
from lit_metanas.automl.time_plan import EPOCHS_OF_A_TRIAL, rounded
from lit_metanas.automl.views import RecipeChanges, View, ViewEstimator, Views
from lit_metanas.estimators.estimator import FAILURES
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import PREPROCESSING
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import Recipe, images_an_epoch

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

CHECK_SHARES = (0.5, 0.8)
"""Of what is left, to train a network for longer than a linear model was better than; then of the rest, where that is
not enough."""


@dataclass(frozen=True)
class LinearModel:
    """A linear model that was compared.

    Attributes:
        view: the data that it was trained on.
        architecture: which features it is linear in.
        features: these in words.
        recipe: how it was trained.
        value: its validation score.
    """

    view: View
    architecture: Architecture
    features: str
    recipe: Recipe
    value: float


class LinearModels:
    """Linear models of plain features, of which the best is found by the validation part.

    How many are compared depends on FLOPs alone, not on a clock, so that the same FLOPs repeat it.

    Args:
        views: the data, and the space of linear models.
        kind: of the examples; it tells which features are of which preprocessing.
        seed: of their trainings.
        folder: keeps these; None keeps nothing.

    Attributes:
        spent: what was spent so far, with the seconds of kept trainings.
        scored: those that were trained so far.
    """

    def __init__(self, views: Views, kind: DataKind, seed: int, folder: OutputFolder | None) -> None:
        self.views = views
        self.kind = kind
        self.spent = Cost()
        self.scored: list[LinearModel] = []
        examples, batch = len(views.usual.task.train), Recipe().batch_size
        epochs = max(1, min(EPOCHS_OF_A_TRIAL, MOST_SEEN // examples), round(LINEAR_STEPS / ceil(examples / batch)))
        self.recipe = Recipe(
            epochs=epochs,
            batch_size=max(batch, ceil(epochs * examples / MOST_LINEAR_STEPS)),
            learning_rate=kind.linear_rate,
            inherit=False,
        )
        self._estimator = kept_in(folder, ViewEstimator(views, seed, self.recipe))

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
        for one in self._within[:number]:
            self._score(*one, LINEAR_DECAYS[0])
        further = max(0, number - len(self._within))
        for decay in LINEAR_DECAYS[1 : 1 + further] if self.scored else ():
            best = max(self.scored, key=lambda one: one.value)
            self._score(best.architecture, self.views.named(best.view), decay)
        return max(self.scored, key=lambda one: one.value, default=None)

    @cached_property
    def _within(self) -> Sequence[tuple[Architecture, RecipeChanges]]:
        """Those within the limits, each with the preprocessing that its features are of.

        Where features have one of their own, all others are left out: what a few examples choose is chance.
        """
        usual, own = self.views.named(self.views.usual), self.kind.linear_views
        found: dict[bool, list[tuple[Architecture, RecipeChanges]]] = {True: [], False: []}
        for one in self.views.space.architectures():
            label = own.get(one["detail"])
            recipe = {PREPROCESSING: label} if label in self.views.labels else usual
            if self._estimator.refusal(one, recipe) is None:
                found[recipe is not usual].append((one, recipe))
        return found[True] or found[False]

    def _needed(self, beside: float) -> Sequence[float]:
        """How many FLOPs all trainings after the search need for one linear model, for two, and so on."""
        if not self._within:
            return ()
        steps = self.recipe.epochs * ceil(len(self.views.usual.task.train) / self.recipe.batch_size)
        flops, timed = [], []
        for one, recipe in self._within:
            estimator = self._estimator.with_recipe(recipe)
            flops.append(float(estimator.cost(one, 1.0).flops))
            timed.append(flops[-1] + FLOPS_OF_A_PARAMETER * steps * estimator.measures["parameters"](one))
        # Any of them may be the one whose weight decays are compared, and that is trained on all but the test part.
        further = len(LINEAR_DECAYS) - 1
        sums = (accumulate([*one, *[max(one)] * further]) for one in (timed, flops))
        most = accumulate([*flops, *[0.0] * further], max)
        # Rounded up, so that rounded FLOPs are enough.
        return [
            rounded(max(by_time / LINEAR_SHARE, (own + self._longer * last + beside) * (1 + 1e-9)))
            for by_time, own, last in zip(*sums, most, strict=True)
        ]

    @property
    def _longer(self) -> float:
        """How many times as many examples the last training has as those that are compared."""
        task, batch = self.views.usual.task, self.recipe.batch_size
        learned, chosen = len(task.train), 0 if task.val is None else len(task.val)
        return images_an_epoch(learned + chosen, batch) / images_an_epoch(learned, batch)

    def _score(self, architecture: Architecture, recipe: RecipeChanges, decay: float) -> None:
        """Train one on the train part; where that fails there is none."""
        estimator = self._estimator.with_recipe({**recipe, "weight_decay": decay})
        begin, cost = perf_counter(), estimator.cost(architecture, 1.0)
        with suppress(*FAILURES):
            score = estimator(architecture, fidelity=1.0)
            trained, features = replace(self.recipe, weight_decay=decay), self.kind.features[architecture["detail"]]
            self.scored.append(LinearModel(self.views.of(recipe), architecture, features, trained, score.value))
            cost = score.cost
        self.spent += replace(cost, seconds=cost.seconds + perf_counter() - begin)
