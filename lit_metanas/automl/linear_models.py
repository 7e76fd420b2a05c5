"""Linear models of plain features, one of which ``auto`` takes where no network is better."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import ceil

from lit_metanas.automl.data_kinds import DATA_KINDS
from lit_metanas.automl.output_folder import OutputFolder, kept_in
from lit_metanas.automl.time_plan import EPOCHS_OF_A_TRIAL
from lit_metanas.automl.views import View
from lit_metanas.estimators.estimator import FAILURES
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.records.budget import Cost
from lit_metanas.searchers.query.ledger import Value
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import Recipe

LINEAR_SHARE, LINEAR_STEPS, LINEAR_DECAYS = 0.1, 300, (0.3, 0.01, 3.0)
"""Of linear models: the most that they may take of what the search has left, how many steps each is trained for, about,
and the weight decays to choose from."""

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
    """Linear models of plain features, of which the best is found by the validation part within a second or so.

    Args:
        view: the data, and the space of linear models within the limits.
        kind: of the examples.
        seed: of their trainings.
        folder: keeps these; None keeps nothing.

    Attributes:
        spent: what was spent so far.
        features: what they are linear in, in words.
    """

    def __init__(self, view: View, kind: str, seed: int, folder: OutputFolder | None) -> None:
        self.view = view
        self.spent = Cost()
        self.features = DATA_KINDS[kind].features
        steps = ceil(len(view.task.train) / Recipe().batch_size)
        epochs = max(EPOCHS_OF_A_TRIAL, round(LINEAR_STEPS / steps))
        self.recipe = Recipe(epochs=epochs, learning_rate=DATA_KINDS[kind].linear_rate, inherit=False)
        self._estimator = kept_in(folder, TrainingEstimator(view.task, view.limited.within, seed, self.recipe))

    def best(self, flops: float) -> LinearModel | None:
        """The best by the validation part: first of all features, then of all weight decays; None where there is none.

        Args:
            flops: what their trainings may cost.
        """
        limited = self.view.limited
        within = [one for one in limited.space.architectures() if limited.within.violation(one) is None]
        scored: list[LinearModel] = []
        for one in within:
            scored += self._scored(one, LINEAR_DECAYS[0], flops)
        for decay in LINEAR_DECAYS[1:] if scored else ():
            scored += self._scored(max(scored, key=lambda one: one.value).architecture, decay, flops)
        return max(scored, key=lambda one: one.value, default=None)

    def _scored(self, architecture: Architecture, decay: float, flops: float) -> list[LinearModel]:
        """One, trained on the train part; none where that cannot be paid for, or fails."""
        cost = self._estimator.cost(architecture, 1.0)
        if self.spent.flops + cost.flops > flops:
            return []
        self.spent += cost
        changes: dict[str, Value] = {"weight_decay": decay}
        with suppress(*FAILURES):
            score = self._estimator.with_recipe(changes)(architecture, fidelity=1.0)
            return [LinearModel(architecture, self.recipe.replace(changes), score.value)]
        return []
