"""Linear models of plain features: ``auto`` takes one where no network is better, or averages it with networks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import ceil
from time import perf_counter

from torch import Tensor

from lit_metanas.automl.steps.output_folder import OutputFolder, kept_in
from lit_metanas.automl.steps.time_plan import EPOCHS_OF_A_TRIAL, rounded
from lit_metanas.automl.steps.views import View, ViewEstimator, Views
from lit_metanas.estimators.estimator import FAILURES
from lit_metanas.kinds.kind import Kind
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import PREPROCESSING, RecipeFields
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import Recipe, images_an_epoch

LINEAR_DECAYS = (0.3, 0.01, 3.0)
"""The weight decays of linear models to choose from."""

LINEAR_STEPS, MOST_LINEAR_STEPS, MOST_SEEN = 300, 1000, 50_000
"""How many steps each is trained for where examples are few; the most steps; and how many examples are seen, at most,
by more than one pass over the data."""

LINEAR_SHARE = 0.2
"""Of what the search has left: the most that linear models may take."""

MANY_CHOOSE = 1000
"""Where so many examples choose, all features are compared."""

FLOPS_OF_A_PARAMETER = 50
"""What a step of AdamW counts for a parameter of a linear model, by its time: the vectors of a large vocabulary take
most of it, and counted FLOPs leave them out."""


@dataclass(frozen=True)
class LinearModel:
    """A linear model that was compared.

    Attributes:
        view: the data that it was trained on.
        architecture: which features it is linear in.
        features: these in words.
        recipe: how it was trained.
        value: its validation score.
        weights: that it had then; None where they are not known.
    """

    view: View
    architecture: Architecture
    features: str
    recipe: Recipe
    value: float
    weights: dict[str, Tensor] | None = None


@dataclass(frozen=True)
class _Step:
    """Some trainings of linear models, to be paid for as a whole.

    Attributes:
        models: the architectures, each with the preprocessing that its features are of.
        trainings: how many there are: more than models are of the best one, by other weight decays.
        time: what they take, in FLOPs.
        flops: what they count, the last training of the best one included.
    """

    models: Sequence[tuple[Architecture, RecipeFields]]
    trainings: int
    time: float
    flops: float


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

    def __init__(self, views: Views, kind: Kind, seed: int, folder: OutputFolder | None) -> None:
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
        """Which step the FLOPs pay for: 0 for no training, and then a number for each one more.

        Features of a preprocessing of their own come after others that cost less, and replace them.

        Args:
            flops: of all trainings after the search.
            beside: of these, what must be left.
        """
        return bisect_right(self._needed(beside), flops)

    def nearest(self, flops: float, *, beside: float, number: int) -> float:
        """The FLOPs of all trainings after the search that pay for just a step, nearest to others.

        Args:
            flops: the others.
            beside: of all, what must be left.
            number: of the step.
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
            number: of the step; those beyond the last one are as that one.
        """
        if not number or not self._steps:
            return None
        step = self._steps[:number][-1]
        for model in step.models[: step.trainings]:
            self._score(*model, LINEAR_DECAYS[0])
        further = max(0, step.trainings - len(step.models))
        for decay in LINEAR_DECAYS[1 : 1 + further] if self.scored else ():
            best = max(self.scored, key=lambda one: one.value)
            self._score(best.architecture, self.views.changes(best.view), decay)
        return max(self.scored, key=lambda one: one.value, default=None)

    def last_time(self, model: LinearModel) -> float:
        """What the last training of a model takes, in FLOPs."""
        return self._longer * self._time(model.architecture, self.views.changes(model.view))

    @cached_property
    def _steps(self) -> Sequence[_Step]:
        """What can be trained within the limits, from what costs least on.

        Features that have a preprocessing of their own are compared alone where few examples choose, which is chance.
        Others are taken where these cannot be paid for.
        """
        usual, own = self.views.changes(self.views.usual), self.kind.linear_views
        prepared: list[tuple[Architecture, RecipeFields]] = []
        others: list[tuple[Architecture, RecipeFields]] = []
        for one in self.views.space.architectures():
            label = own.get(one["detail"], "")
            apart = label in self.views.labels
            recipe = {PREPROCESSING: label} if apart else usual
            if self._estimator.refusal(one, recipe) is None:
                (prepared if apart else others).append((one, recipe))
        task = self.views.usual.task
        if task.val is not None and len(task.val) >= MANY_CHOOSE:
            return self._steps_of([*others, *prepared])
        cheap, steps = self._steps_of(others), self._steps_of(prepared)
        cheap = [one for one in cheap if not steps or one.time < steps[0].time]
        least = max((one.flops for one in cheap), default=0.0)  # so that no step needs less than one before
        return [*cheap, *(replace(one, flops=max(one.flops, least)) for one in steps)]

    def _steps_of(self, models: Sequence[tuple[Architecture, RecipeFields]]) -> Sequence[_Step]:
        """One more training after another: of each of the models, then by each further weight decay."""
        flops = [float(self._estimator.with_recipe(recipe).cost(one, 1.0).flops) for one, recipe in models]
        times = [self._time(*each) for each in models]
        # Any of them may be the one whose weight decays are compared, and that is trained on all but the test part.
        further = len(LINEAR_DECAYS) - 1 if models else 0
        sums = (accumulate([*one, *[max(one, default=0.0)] * further]) for one in (times, flops))
        most = accumulate([*flops, *[0.0] * further], max)
        return [
            _Step(models, number, time, own + self._longer * last)
            for number, (time, own, last) in enumerate(zip(*sums, most, strict=True), start=1)
        ]

    def _time(self, architecture: Architecture, recipe: RecipeFields) -> float:
        """What a training on the train part takes, in FLOPs: those that are counted, and those of the optimiser."""
        estimator = self._estimator.with_recipe(recipe)
        steps = self.recipe.epochs * ceil(len(self.views.usual.task.train) / self.recipe.batch_size)
        updated = steps * estimator.measures["parameters"](architecture)
        return estimator.cost(architecture, 1.0).flops + FLOPS_OF_A_PARAMETER * updated

    def _needed(self, beside: float) -> Sequence[float]:
        """How many FLOPs all trainings after the search need for each step."""
        # Rounded up, so that rounded FLOPs are enough.
        return [rounded(max(one.time / LINEAR_SHARE, (one.flops + beside) * (1 + 1e-9))) for one in self._steps]

    @property
    def _longer(self) -> float:
        """How many times as many examples the last training has as those that are compared."""
        usual, batch = self.views.usual, self.recipe.batch_size
        return images_an_epoch(len(usual.learned), batch) / images_an_epoch(len(usual.task.train), batch)

    def _score(self, architecture: Architecture, recipe: RecipeFields, decay: float) -> None:
        """Train one on the train part; where that fails there is none."""
        estimator = self._estimator.with_recipe({**recipe, "weight_decay": decay})
        begin, cost = perf_counter(), estimator.cost(architecture, 1.0)
        with suppress(*FAILURES):
            score = estimator(architecture, fidelity=1.0)
            trained, features = replace(self.recipe, weight_decay=decay), self.kind.features[architecture["detail"]]
            self.scored.append(
                LinearModel(self.views.of(recipe), architecture, features, trained, score.value, score.weights)
            )
            cost = score.cost
        self.spent += replace(cost, seconds=cost.seconds + perf_counter() - begin)
