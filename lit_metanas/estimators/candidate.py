"""Candidates that may be chosen: networks, linear models, and means of both."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lit_metanas.estimators.folds import weights_of_fold
from lit_metanas.estimators.input_variants import InputVariant
from lit_metanas.records.record import Cost, SearchOutcome
from lit_metanas.training.child import recipe_cost
from lit_metanas.training.recipes import Recipe


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that may be chosen: a network, a linear model, or the mean of a network's and a linear model's scores."""

    found: SearchOutcome  # its architecture and weights; of a mean the network's
    variant: InputVariant  # its data; of a mean those of both
    value: float  # validation score
    recipe: Recipe
    features: str = ""  # what a linear model is linear in
    network: Candidate | None = None  # the network of a mean, alone
    linear: Candidate | None = None  # the linear model of a mean

    def of_fold(self, number: int) -> Candidate:
        """The candidate with the weights that it has in a fold."""
        weights = self.found.weights and weights_of_fold(number, self.found.weights)
        own = replace(self, found=replace(self.found, weights=weights))
        if self.network is None or self.linear is None:
            return own
        return replace(own, network=self.network.of_fold(number), linear=self.linear.of_fold(number))

    def describe(self) -> str:
        """A linear model's features and score."""
        label = f" ({self.variant.label})" * bool(self.variant.label)
        return f"of {self.features}{label}, has validation {self.variant.task.goal.metric} {100 * self.value:.1f} %"

    @property
    def too_slow(self) -> str | None:
        """Why it exceeds a limit when it is timed again; None if it does not."""
        return self.variant.limited.check(self.found.architecture)

    @property
    def measured(self) -> dict[str, float]:
        """Its value of each limited measure."""
        limited = self.variant.limited
        return {name: limited.measures[name](self.found.architecture) for name in limited.limits.given}

    @property
    def last_cost(self) -> Cost:
        """The cost of a linear model's training on all but the test part."""
        variant = self.variant
        return recipe_cost(variant.limited.space, self.found.architecture, variant.task, variant.learned, self.recipe)
