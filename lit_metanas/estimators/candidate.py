"""Candidates that may be chosen: networks, linear models and means of both; and short trainings of linear models."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from itertools import accumulate, islice
from time import perf_counter

from lit_metanas.estimators.estimator import FAILURES, Estimator
from lit_metanas.estimators.folds import weights_of_fold
from lit_metanas.estimators.input_variants import InputVariant, InputVariants
from lit_metanas.io.quantities import rounded
from lit_metanas.kinds.kind import Kind
from lit_metanas.records.record import Cost, RecipeValue, SearchOutcome, SearchRecord
from lit_metanas.spaces.any_input import SolvedModels
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.child import recipe_cost
from lit_metanas.training.recipes import Recipe, images_an_epoch


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
    def is_linear(self) -> bool:
        """Whether it is a linear model alone."""
        return bool(self.features)

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


@dataclass(eq=False, repr=False)
class LinearTrainings:
    """The short trainings of linear models, on the same examples as the networks of the search.

    Each step adds one training: first of each model, and then of the best one with each further weight decay. FLOPs
    alone decide how many steps there are, not a clock, so that the same FLOPs repeat them. The models take the
    preprocessing of the network, ``seen``, unless their kind has one for linear models.
    """

    variants: InputVariants
    kind: Kind
    estimator: Callable[[InputVariants, Recipe, int], Estimator]  # makes what trains models in so many folds
    _: KW_ONLY
    share: float  # of the FLOPs of everything after the search, for these trainings at most
    folds: int = 1
    seen: str = ""

    def __post_init__(self) -> None:
        variants, self.examples = self.variants, len(self.variants.usual.task.train)
        assert isinstance(variants.space, SolvedModels)
        self.models: SolvedModels = variants.space
        self.recipe = Recipe(epochs=self.models.passes(self.examples), inherit=False)
        suited = (label for label in (self.kind.linear_view, self.seen) if label in variants.labels)
        self._choice = dict.fromkeys(variants.choice, next(suited, variants.usual.label))
        self._estimator = self.estimator(variants, self.recipe, self.folds).with_recipe(self._choice)

    def affordable(self, flops: float, *, epoch: float) -> int:
        """How many steps the FLOPs of everything after the search pay for, next to an epoch of a network."""
        return bisect_right(self._needed(epoch), flops)

    def nearest(self, flops: float, *, epoch: float, number: int) -> float:
        """``flops``, moved as little as needed to pay for exactly ``number`` steps."""
        needed = self._needed(epoch)
        if number < len(needed):
            flops = min(flops, needed[number] * (1 - 1e-9))
        if number:
            flops = max(flops, needed[number - 1])
        return rounded(flops)

    def train(self, number: int) -> Iterator[tuple[Candidate | None, Cost]]:
        """The trainings of the first steps; a failed one gives None."""
        scored, (first, *further) = list[Candidate](), self.models.decays
        steps: list[tuple[Architecture | None, float]] = [
            *((one, first) for one in self._models),
            *((None, decay) for decay in further),
        ]
        for architecture, decay in steps[:number]:
            if architecture is None and not scored:
                return
            best = architecture or max(scored, key=lambda one: one.value).found.architecture
            model, cost = self._train(best, decay)
            scored += filter(None, [model])
            yield model, cost

    def _train(self, architecture: Architecture, decay: float) -> tuple[Candidate | None, Cost]:
        estimator = self._estimator.with_recipe({"weight_decay": decay})
        begin, cost, model = perf_counter(), estimator.cost(architecture, 1.0), None
        with suppress(*FAILURES):
            score = estimator(architecture, fidelity=1.0)
            variant, cost = self.variants.of(self._choice), score.cost
            fields: dict[str, RecipeValue] = {"weight_decay": decay, **self.variants.changes(variant)}
            found = SearchOutcome(architecture, score.weights, SearchRecord(variant.task.id), recipe=fields)
            (label,) = architecture.values()
            recipe = replace(self.recipe, weight_decay=decay)
            model = Candidate(found, variant, score.value, recipe, self.kind.features[label])
        return model, replace(cost, seconds=cost.seconds + perf_counter() - begin, queries=0)

    @cached_property
    def _models(self) -> Sequence[Architecture]:
        """The models that are within the limits, as many of them as are tried."""
        known, refusal = self.variants.space.architectures(), self.variants.refusal
        return [*islice((one for one in known if refusal(one, self._choice) is None), self.models.tried)]

    def _needed(self, epoch: float) -> Sequence[float]:
        """The FLOPs of everything after the search that each step needs, rounded up, so that rounded ones do."""
        usual, batch = self.variants.usual, self.recipe.batch_size
        flops = [float(self._estimator.cost(one, 1.0).flops) for one in self._models]
        equations = (self.models.uncounted_flops(one, usual.task.shape, self.examples) for one in self._models)
        # The time in FLOPs: those that are counted, and those of the equations.
        times = [own + self.folds * more for own, more in zip(flops, equations, strict=True)]
        # Any model may be the one with further weight decays, and the one that is trained on all but the test part.
        further = (len(self.models.decays) - 1) * bool(self._models)
        sums = (accumulate([*one, *[max(one, default=0.0)] * further]) for one in (times, flops))
        most = accumulate([*(one / self.folds for one in flops), *[0.0] * further], max)
        # The last training has more examples than a short one.
        longer = images_an_epoch(len(usual.learned), batch) / images_an_epoch(len(usual.task.train), batch)
        steps = ((time, own + longer * last) for time, own, last in zip(*sums, most, strict=True))
        return [rounded(max(time / self.share, (own + epoch) * (1 + 1e-9))) for time, own in steps]
