"""What trains the candidates of a call of ``auto``, each under a preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict

from torch import Tensor

from lit_metanas.automl.reading.input_variants import InputVariant, InputVariants, without_preprocessing
from lit_metanas.estimators.estimator import Estimator, Measure, Score
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.inputs.shapes import TokenShape
from lit_metanas.records.budget import TRAINING_PASSES, Cost
from lit_metanas.records.record import PREPROCESSING, RecipeFields, RecipeValue
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.precision import FLOAT32
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.step_time import step_seconds


class VariantEstimator(Estimator):
    """Validation score of a child network that is trained under the preprocessing which a recipe names."""

    def __init__(self, variants: InputVariants, seed: int, recipe: Recipe, *, precision: str = FLOAT32) -> None:
        self.variants = variants
        self.seed = seed
        self.recipe = recipe
        self.precision = precision
        self.label = variants.usual.label

    @property
    def settings(self) -> RecipeFields:
        """The recipe, with the preprocessing if there is a choice, and the precision if it is not float32."""
        settings: dict[str, RecipeValue] = asdict(self.recipe)
        if self.precision != FLOAT32:
            settings["precision"] = self.precision
        if self.variants.labels:
            settings[PREPROCESSING] = self.label
        return settings

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Those of networks for inputs of this preprocessing."""
        return self._variant.limited.measures

    def refusal(self, architecture: Architecture, recipe: RecipeFields) -> str | None:
        """Why a network is above a limit under a preprocessing, or that cannot be applied; otherwise None."""
        return self.variants.refusal(architecture, recipe)

    def inherits(self, recipe: RecipeFields, parent: RecipeFields) -> bool:
        """Not from a network that reads other tokens or features: its weights are worth no more than new ones."""
        labels = {self.variants.label_of(recipe), self.variants.label_of(parent)}
        other = isinstance(self.variants.usual.task.shape, TokenShape) or not labels.isdisjoint(self.variants.encoded)
        return len(labels) == 1 or not other

    def with_recipe(self, changes: RecipeFields) -> VariantEstimator:
        """The same under a changed recipe, or another preprocessing."""
        other = copy(self)
        other.label = str(changes.get(PREPROCESSING, self.label))
        if other.label not in (self.variants.usual.label, *self.variants.labels):
            raise ValueError(
                f"There is no preprocessing '{other.label}': take one of {', '.join(self.variants.labels)}."
            )
        other.recipe = self.recipe.replace(without_preprocessing(changes))
        return other

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """The cost of a training on inputs of this preprocessing."""
        return self._estimator.cost(architecture, fidelity)

    def table_pace(self, architecture: Architecture) -> float:
        """Training FLOPs a second of a certain machine, so that decisions are the same on each."""
        task, space, batch = self._variant.task, self._variant.limited.space, self.recipe.batch_size
        child = architecture, task.shape, task.way
        seconds = step_seconds(space, *child, batch_size=batch, precision=self.precision)
        return max(TRAINING_PASSES * batch * space.cost(*child).flops, 1) / max(seconds, 1e-9)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Train and validate, by default from the weights that there are for the network, if any."""
        if start is None:
            start = self.variants.weights_of(architecture)
        return self._estimator(architecture, fidelity=fidelity, start=start)

    @property
    def _variant(self) -> InputVariant:
        return self.variants.labelled(self.label)

    @property
    def _estimator(self) -> TrainingEstimator:
        variant = self._variant
        return TrainingEstimator(variant.task, variant.limited.space, self.seed, self.recipe, precision=self.precision)
