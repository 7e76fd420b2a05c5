"""The same data in several variants, each under one preprocessing or behind one encoder, and what trains on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import InitVar, asdict, dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from lit_metanas.estimators.estimator import FAILURES, Estimator, Measure, Score, reason_of
from lit_metanas.estimators.folds import validation_part
from lit_metanas.estimators.limits import LimitedSpace, NetworkLimits, NoNetworkWithinError
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.inputs.shapes import TokenShape
from lit_metanas.kinds.texts.text_tokens import joined_task
from lit_metanas.records.record import PREPROCESSING, TRAINING_PASSES, Cost, RecipeFields, RecipeValue
from lit_metanas.spaces import Architecture, MLPSpace, NetworkCost, SearchSpace, UnionSpace
from lit_metanas.spaces.union.union_space import FAMILY, in_family
from lit_metanas.tasks.splits import all_but_test
from lit_metanas.tasks.task import Portion, Split, Task, check_task
from lit_metanas.training.encoders.encoded_task import EncodedTask, with_tokens
from lit_metanas.training.given_models import Lesson, ModelStart, check_unchanged
from lit_metanas.training.meta_weights import TaskStart
from lit_metanas.training.precision import FLOAT32
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.step_time import step_seconds

# Validation examples, at most half of them, that the first network of an ensemble does not learn from.
MOST_CALIBRATING = 300

VARIANTS_KEPT = 2  # variants in memory at a time, apart from the usual one

# The families of networks for the examples themselves, and for features of encoders, if both are searched.
OWN_FAMILY, HEAD_FAMILY = "own", "heads"

# One in so many examples to learn from is set apart, if there are then at least so many.
EVERY_APART, FEWEST_APART = 5, 20


def set_apart(task: Task) -> tuple[Task, Split | None]:
    """A task without some of its examples to learn from, and these; None where it has too few."""
    number = len(task.train) // EVERY_APART
    if number < FEWEST_APART:
        return task, None
    places = task.train.spread_places(number)
    return replace(task, train=task.train.at(task.train.places_but(places))), task.train.at(places)


@dataclass(frozen=True, eq=False)
class InputVariant:
    """The data under one preprocessing: labels, and the order of examples, are those of all variants."""

    label: str  # of the preprocessing
    task: Task
    limited: LimitedSpace  # networks for such inputs
    given: Task  # the data as they were read
    whole: Task  # as ``task``, before examples were set apart
    apart: Split | None = None  # examples that no candidate has learned from or was chosen by
    steps: tuple[int, int] | None = None  # tokens of an input for networks, and then for a linear model; see `joined`

    @cached_property
    def learned(self) -> Split:
        """All but the test part."""
        return all_but_test(self.whole)

    @cached_property
    def calibrating(self) -> tuple[Split, Split | Portion]:
        """The examples that were set apart, or some validation examples; and all others but the test part."""
        if self.apart is not None:
            return self.apart, all_but_test(self.task)
        val = validation_part(self.task)
        places = val.spread_places(min(MOST_CALIBRATING, (len(val) + 1) // 2))
        return val.at(places), Portion(self.learned, self.learned.places_but(len(self.task.train) + places))

    def size(self, architecture: Architecture, networks: int = 1) -> NetworkCost:
        """The cost of so many networks of an architecture for such inputs."""
        one = self.limited.space.cost(architecture, self.task.shape, self.task.way)
        return NetworkCost(networks * one.parameters, networks * one.flops)


def joined(variant: InputVariant, linear: InputVariant) -> InputVariant | None:
    """The data for networks and a linear model, whose own tokens follow theirs; None if no input holds both."""
    if variant.label == linear.label:
        return variant
    if isinstance(variant.task, EncodedTask):
        task: Task | None = with_tokens(variant.task, linear.task)
    else:
        task = joined_task(variant.task, linear.task)
    if task is None:
        return None
    steps, apart = (variant.task.shape[-1], linear.task.shape[-1]), variant.apart
    if apart is not None and linear.apart is not None:
        others = joined_task(replace(variant.task, train=apart), replace(linear.task, train=linear.apart))
        apart = None if others is None else others.train
    return replace(variant, task=task, given=task, whole=task, apart=apart, steps=steps)


@dataclass(eq=False, repr=False)
class InputVariants:
    """The same data under several preprocessings; each is made when asked for, and the last ones stay in memory.

    A *way* makes the data under one preprocessing, a *variant* is what it makes, and the *label* is the name of both.
    """

    task: InitVar[Task]  # the data under the usual preprocessing
    ways: Mapping[str, Callable[[], Task]]  # by label, the usual one first; empty without a choice
    space: SearchSpace  # all networks
    limits: NetworkLimits  # those of each network
    start: InitVar[TaskStart | ModelStart | None] = None  # what networks begin with; inputs are then made as before
    linear: InitVar[Collection[str]] = ()  # labels of variants that linear models alone are for
    # Whether the search learns from fewer examples: errors on the others show how far the chosen network is off.
    sets_apart: bool = False
    # Labels of variants that have features of an encoder; if there are others, too, both have networks of their own.
    encoded: Collection[str] = ()
    lesson: Lesson | None = None  # what a teacher says of the examples; networks learn that, too

    def __post_init__(self, task: Task, start: TaskStart | ModelStart | None, linear: Collection[str]) -> None:
        self.encoded = tuple(label for label in self.ways if label in self.encoded)
        self._families = dict[str, SearchSpace]()
        if 0 < len(self.encoded) < len(self.ways):
            self.space = both = UnionSpace({OWN_FAMILY: self.space, HEAD_FAMILY: MLPSpace(shared=True)})
            self._families = {label: both.restricted({FAMILY: label}) for label in (OWN_FAMILY, HEAD_FAMILY)}
        self.meta_cost = Cost()
        self.weights: dict[str, Tensor] | None = None  # meta-trained, for networks of the space
        self.start_weights = dict[Architecture, dict[str, Tensor]]()  # of the exported model that is the start
        if start is not None:  # networks take inputs as before, linear models those that suit them
            suited = {label: way for label, way in self.ways.items() if label in linear}
            self.ways = suited and {**dict([*self.ways.items()][:1]), **suited}
        self.labels = tuple(label for label in self.ways if label and label not in linear)
        self.usual = self._variant(next(iter(self.ways), ""), task)
        self._kept: dict[str, InputVariant] = {}
        self._failed: dict[str, str] = {}
        if start is not None:
            self._take_start(start)

    def _take_start(self, start: TaskStart | ModelStart) -> None:
        """Take the weights of a start; a network that is not within the limits is left out."""
        task, self.meta_cost = self.usual.task, start.cost
        with torch.random.fork_rng(devices=[]):
            if not isinstance(start, ModelStart):
                self.weights = _on(start.for_task(self.space, task), task)
            elif network := start.network(self.space, task):
                architecture, weights = network
                if self.usual.limited.within.violation(architecture) is None:
                    self.start_weights[architecture] = _on(weights, task)

    def fitting(self) -> InputVariants:
        """The same with another usual preprocessing, if no network for the first one is within the limits.

        A large vocabulary alone may be above a limit of size. Of several it is the one whose first network does the
        fewest FLOPs, so that a small budget trains it, too. If there is none, the usual one stays.
        """
        costs = dict[str, int]()
        for label in self.labels:
            with suppress(NoNetworkWithinError, *FAILURES):
                variant = self.labelled(label)
                costs[label] = variant.size(variant.limited.network_near({})).flops
                if variant is self.usual:
                    return self
        if not costs:
            return self
        label = min(costs, key=lambda one: costs[one])
        return self._again(self.space, [label, *self.ways], linear=self.ways.keys() - set(self.labels))

    def in_space(self, space: SearchSpace) -> InputVariants:
        """The same data for networks of another space, which begin with fresh weights.

        A variant is read again only if it is no longer in memory.
        """
        return self._again(space, [label for label in self.ways if not self._families or label not in self.encoded])

    def _again(self, space: SearchSpace, labels: Sequence[str], linear: Collection[str] = ()) -> InputVariants:
        """The same data under some preprocessings, the first one as the usual one."""
        ways = {label: partial(self._given, label) for label in dict.fromkeys(labels)}
        given = self._given(next(iter(labels), ""))
        return InputVariants(
            given, ways, space, self.limits, linear=linear, sets_apart=self.sets_apart, lesson=self.lesson
        )

    def _given(self, label: str) -> Task:
        return self.labelled(label).given

    def of(self, recipe: RecipeFields) -> InputVariant:
        """The variant that a recipe names, or the usual one."""
        return self.labelled(self.label_of(recipe))

    def labelled(self, label: str) -> InputVariant:
        """The variant of a label, which is made if it is not in memory."""
        if label == self.usual.label:
            return self.usual
        if label not in self.ways:
            raise ValueError(f"There is no preprocessing '{label}': take one of {', '.join(self.ways)}.")
        if label in self._failed:
            raise ValueError(self._failed[label])
        variant = self._kept.pop(label, None) or self._made(label)
        self._kept[label] = variant  # the last one that was asked for
        for large in [one for one in self._kept if one not in self.encoded][:-VARIANTS_KEPT]:
            del self._kept[large]
        return variant

    def space_of(self, label: str) -> SearchSpace:
        """The networks for inputs of a variant, which is not made for that."""
        return self._families.get(self._family(label), self.space)

    def refusal(self, architecture: Architecture, recipe: RecipeFields) -> str | None:
        """Why a network is above a limit under a preprocessing, or that cannot be applied; otherwise None."""
        if (foreign := self.space_of(self.label_of(recipe)).violation(architecture)) is not None:
            return foreign
        try:
            return self.of(recipe).limited.within.violation(architecture)
        except FAILURES as error:
            return reason_of(error)

    def named(self, label: str, networks: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """Networks for inputs of a variant, with the labels that the space gives them."""
        if not self._families:
            return [*map(dict, networks)]
        return [in_family(self._family(label), one) for one in networks]

    def _family(self, label: str) -> str:
        return HEAD_FAMILY if label in self.encoded else OWN_FAMILY

    def read_encoded(self) -> None:
        """Make the features of all encoders; one that fails is left out, with a warning."""
        for label in self.encoded:
            with suppress(*FAILURES):
                self.labelled(label)
        self.labels = tuple(label for label in self.labels if label not in self._failed)
        self.encoded = tuple(label for label in self.encoded if label not in self._failed)

    @property
    def encoding_cost(self) -> Cost:
        """What the features of the encoders have cost."""
        tasks = [variant.task for variant in (self.usual, *self._kept.values())]
        return sum((one.encoding_cost for one in tasks if isinstance(one, EncodedTask)), Cost())

    def label_of(self, recipe: RecipeFields) -> str:
        """The label of the variant that a recipe names; the variant is not made for that."""
        return str(recipe.get(PREPROCESSING, self.usual.label))

    @property
    def choice(self) -> dict[str, list[RecipeValue]]:
        """The field of a recipe that names a variant, with its values; empty without a choice."""
        return {PREPROCESSING: list(self.labels)} if self.labels else {}

    def changes(self, variant: InputVariant) -> dict[str, str]:
        """The field of a recipe that names a variant; none without a choice."""
        return dict.fromkeys(self.choice, variant.label)

    def _made(self, label: str) -> InputVariant:
        try:
            return self._variant(label, self._read(label))
        except FAILURES as error:
            self._failed[label] = reason_of(error)
            warnings.warn(f"The preprocessing '{label}' is left out: {error}", stacklevel=2)
            raise

    def _read(self, label: str) -> Task:
        with warnings.catch_warnings(action="ignore"):  # the usual variant has warned of files that are left out
            task = self.ways[label]().trainable()
        check_task(task)
        check_unchanged(task, usual := self.usual.given)
        val = task.val and replace(task.val, weights=getattr(usual.val, "weights", None))
        train = replace(task.train, weights=usual.train.weights)
        return replace(task, objective=usual.objective, train=train, val=val)

    def _variant(self, label: str, task: Task) -> InputVariant:
        limited, whole = LimitedSpace(self.space_of(label), self.limits, task), task
        if self.lesson is not None:
            whole = self.lesson.taught(task)
        searched, apart = whole, None
        if self.sets_apart:
            searched, apart = set_apart(whole)
        if self.lesson is not None:
            searched, whole = map(self.lesson.with_further, (searched, whole))
        return InputVariant(label, searched, limited, task, whole, apart)


def _on(weights: Mapping[str, Tensor], task: Task) -> dict[str, Tensor]:
    return {name: tensor.to(task.train.inputs.device) for name, tensor in weights.items()}


def without_preprocessing(recipe: RecipeFields) -> dict[str, RecipeValue]:
    """The fields of a recipe that say how a network is trained."""
    return {name: value for name, value in recipe.items() if name != PREPROCESSING}


class VariantEstimator(Estimator):
    """Validation score of a child network that is trained under the preprocessing which a recipe names."""

    def __init__(
        self, variants: InputVariants, seed: int, recipe: Recipe, *, folds: int = 1, precision: str = FLOAT32
    ) -> None:
        self.variants = variants
        self.seed = seed
        self.recipe = recipe
        self.folds = folds
        self.precision = precision
        self.label = variants.usual.label

    @property
    def settings(self) -> RecipeFields:
        """The recipe, with the preprocessing if there is a choice, folds if several, and a precision but float32."""
        settings: dict[str, RecipeValue] = asdict(self.recipe)
        if self.folds > 1:
            settings["folds"] = self.folds
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
            start = self.variants.start_weights.get(architecture, self.variants.weights)
        return self._estimator(architecture, fidelity=fidelity, start=start)

    @property
    def _variant(self) -> InputVariant:
        return self.variants.labelled(self.label)

    @property
    def _estimator(self) -> TrainingEstimator:
        variant = self._variant
        return TrainingEstimator(
            variant.task, variant.limited.space, self.seed, self.recipe, folds=self.folds, precision=self.precision
        )
