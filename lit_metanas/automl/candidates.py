"""The candidates of ``auto``: networks that records speak for, linear models, and the rule that ranks all of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import accumulate, chain, islice, zip_longest
from math import ceil
from time import perf_counter
from typing import Any

import torch

from lit_metanas.automl.budget_plan import (
    EPOCHS_OF_A_TRIAL,
    LEAST_FIRST,
    MOST_FIRST,
    SHARES,
    BudgetPlan,
    Workload,
    rounded,
    rungs_of,
)
from lit_metanas.automl.options import NO_ENCODER, AutoOptions
from lit_metanas.automl.output import OutputFolder
from lit_metanas.automl.pace import Rungs
from lit_metanas.automl.view_estimator import ViewEstimator
from lit_metanas.automl.views import JoinedView, View, Views
from lit_metanas.estimators.estimator import FAILURES, Estimator
from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.kinds.kind import Kind
from lit_metanas.kinds.rows.row_kind import EncodedRows
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import PREPROCESSING, RecipeFields, RecipeValue, SearchOutcome, SearchRecord
from lit_metanas.records.record_lines import read_record_lines
from lit_metanas.records.statistics import clearly_above
from lit_metanas.searchers.halving.proposals import covering, fitting
from lit_metanas.searchers.mutation import draw_new, mutate, named_networks
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.spaces.any_input import LINEAR_SPACES, SolvedModels
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import recipe_cost
from lit_metanas.training.precision import FLOAT32
from lit_metanas.training.recipes import Recipe, images_an_epoch

MOST_EPOCHS = 100_000
"""Epochs in the recipe of the workload; every training replaces them by its own."""

WORTH_A_TRIAL = 0.02
"""The least that a network adds to the best of those before it on other tasks; 1 is from the worst to the best."""

TIMED_NETWORKS = 4
"""Networks that are trained for a moment, to measure the pace."""

LINEAR_DECAYS = (0.3, 3.0, 0.01)
"""Weight decays of linear models to choose from, those first that gain most on validation parts of texts and rows."""

LINEAR_STEPS, MOST_LINEAR_STEPS, MOST_SEEN = 300, 1000, 50_000
"""Steps of a linear model's training for few examples; the most steps; and the most examples in more than one pass."""

LINEAR_RATE = 1e-2
"""Learning rate of linear models."""

FLOPS_OF_A_PARAMETER = 10
"""A step of AdamW for a parameter of a linear model, by its time in FLOPs: most of the time with a large vocabulary."""


@dataclass(frozen=True, eq=False)
class Job:
    """One call of ``auto``, once its data have been read."""

    options: AutoOptions
    kind: Kind
    views: Views
    linear: Views | None  # the same data for linear models; None compares with none
    folder: OutputFolder | None
    began: float  # the clock when the minutes began
    reading: float  # seconds to read the data
    precision: str = FLOAT32  # of the networks' trainings, once the plan has it
    read: Callable[[Any], Task] | None = None  # the same data under another preprocessing

    @property
    def task(self) -> Task:
        """The data under the usual preprocessing."""
        return self.views.usual.task

    @property
    def examples(self) -> int:
        """Examples to choose by; fewer than there are if a class is rare and each counts alike."""
        return self.task.goal.examples_worth(validation_part(self.task).labels)

    @property
    def alone(self) -> Job:
        """The same for linear models alone."""
        assert self.linear is not None
        return replace(self, views=self.linear, linear=None)

    def estimator(self, recipe: Recipe) -> Estimator:
        """What trains candidates of the search; the output keeps their scores and weights."""
        return self.kept(ViewEstimator(self.views, self.options.seed, recipe, precision=self.precision))

    def kept(self, estimator: ViewEstimator) -> Estimator:
        """An estimator whose scores the output keeps, if there is one."""
        if self.folder is None:
            return estimator
        return self.folder.kept(estimator)

    def keep(self, plan: BudgetPlan) -> BudgetPlan:
        """A plan, which the output keeps, if there is one."""
        if self.folder is not None:
            self.folder.keep(plan)
        return plan


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that may be chosen: a network, a linear model, or the mean of a network's and a linear model's scores."""

    found: SearchOutcome  # its architecture and weights; of a mean the network's
    view: View
    value: float  # validation score
    recipe: Recipe
    features: str = ""  # what a linear model is linear in
    linear: Candidate | None = None  # the linear model of a mean
    joined: JoinedView | None = None  # the data of a mean

    def describe(self) -> str:
        """A linear model's features and score."""
        features = self.features
        if self.view.label:
            features += f" ({self.view.label})"
        return f"of {features}, has validation {self.view.task.goal.metric} {100 * self.value:.1f} %"


def best_of(candidates: Sequence[Candidate], examples: int) -> Candidate:
    """The candidate with the highest validation score, the first one of several.

    A mean is taken unless another candidate leads it by a standard error of so many examples.
    """
    best = max((one for one in candidates if one.linear is None), key=lambda one: one.value)
    for mean in candidates:
        if mean.linear is not None and not clearly_above(best.value, mean.value, examples):
            return mean
    return best


@dataclass(frozen=True)
class Beginning:
    """The beginning of a search."""

    records: Sequence[SearchRecord]  # of other tasks, each trial with all fields of the recipe that are searched
    first: Sequence[Query]  # tried first, in this order; at least one
    train: Mapping[str, Sequence[RecipeValue]]  # fields of the recipe that are searched
    work: Workload
    rungs: Rungs


def begin(job: Job) -> Beginning:
    """Begin with the first networks of the kind of data and those that cover all tasks on record, in turn.

    Raises:
        NoNetworkWithinError: no network is within the limits.
        ValueError: there is no validation part, records cannot be read, or a network cannot be timed.
    """
    options, views, kind = job.options, job.views, job.kind
    validation_part(job.task)  # otherwise each training would fail by itself
    limited, space = views.usual.limited, views.usual.limited.within
    read = [record for path in options.records for record in read_record_lines(path)]
    train, recipe = kind.recipes(job.task.goal), Recipe(epochs=MOST_EPOCHS).replace(kind.usual_recipe(job.task))
    known = [_whole(one, train) for one in fitting([r for r in read if r.task_id != job.task.id], space)]
    recorded = covering(known, space, MOST_FIRST, WORTH_A_TRIAL)
    usual = {name: value for name, value in asdict(recipe).items() if name in train}
    known_first = views.named(views.usual.label, kind.first)
    named = [Query.of(one, usual) for one in named_networks(space, known_first)]
    covers = [Query.of(one.architecture, {n: v for n, v in one.recipe if n in train}) for one in recorded]
    # The records are one vote: of the first networks they name the second, and of those after them every other one.
    own = LEAST_FIRST - 1
    chosen = list(dict.fromkeys([*named[:1], *covers[:1], *named[1:own], *_in_turn(covers[1:], named[own:])]))
    chosen = chosen or [Query.of(limited.begin(dict(*known_first[:1])), usual)]
    if views.known is not None:
        chosen = list(dict.fromkeys([Query.of(views.known, usual), *chosen]))
    label = views.changes(views.usual)
    first = [Query.of(query.architecture, {**dict(query.recipe), **label}) for query in chosen]
    first = [*first[:LEAST_FIRST], *_in_turn(first[LEAST_FIRST:], _under_other_views(job, first[0], recipe))]
    timed = list(dict.fromkeys(query.architecture for query in first))[:TIMED_NETWORKS]
    groups = [first, *_behind_encoders(job, usual, recipe)]
    if options.encoders and options.encoders[0] != NO_ENCODER:  # the user names the better guess first
        groups = [*groups[1:], first]
    first = _in_turn(*groups)
    # The mean of linear scores is linear, too: an ensemble of linear models would be about one of them.
    member_epochs = 0 if type(views.space) in LINEAR_SPACES.values() else kind.member_epochs
    work = Workload(
        views,
        timed if len(timed) > 1 else [*timed, *_neighbours(timed[0], space, options.seed)],
        recipe,
        SHARES.search,
        job.began,
        job.reading,
        writes=job.folder is not None,
        member_epochs=member_epochs,
        shares=SHARES,
    )
    return Beginning(known, first, train, work, rungs_of)


def _in_turn(*several: Iterable[Query]) -> list[Query]:
    """The first of each, then the second of each, and so on."""
    return [one for one in chain.from_iterable(zip_longest(*several)) if one is not None]


def _behind_encoders(job: Job, usual: RecipeFields, recipe: Recipe) -> Iterator[list[Query]]:
    """The first networks for the features of each encoder that is not the usual preprocessing."""
    views = job.views
    refusal = ViewEstimator(views, job.options.seed, recipe).refusal
    for label in views.encoded:
        if label == views.usual.label:
            continue
        own = {name: value for name, value in EncodedRows.recipe.items() if name in usual}
        fields, heads = {**usual, **own, PREPROCESSING: label}, views.named(label, EncodedRows.first)
        found = named_networks(views.space_of(label), heads)
        yield [Query.of(one, fields) for one in found if refusal(one, fields) is None]


def _under_other_views(job: Job, first: Query, recipe: Recipe) -> list[Query]:
    """A query under each preprocessing but the usual one and encoders that is within the limits."""
    labels = [label for label in job.views.labels[1:] if label not in job.views.encoded]
    changed = [{**dict(first.recipe), PREPROCESSING: label} for label in labels]
    if job.views.limits.given:
        refusal = ViewEstimator(job.views, job.options.seed, recipe).refusal
        changed = [fields for fields in changed if refusal(first.architecture, fields) is None]
    return [Query.of(first.architecture, fields) for fields in changed]


def _neighbours(usual: Architecture, space: SearchSpace, seed: int) -> list[Architecture]:
    """Some neighbours of the usual network, as the search will train them."""
    generator = torch.Generator().manual_seed(seed)
    return draw_new(
        lambda: mutate(space, usual, generator, whole_groups=0.5),
        TIMED_NETWORKS - 1,
        refusal=space.violation,
        known={usual},
    )


def _whole(record: SearchRecord, searched: Collection[str]) -> SearchRecord:
    """A record whose trials have all searched fields of the recipe; missing ones had their default."""
    usual = {name: value for name, value in asdict(Recipe()).items() if name in searched}
    return replace(record, trials=[replace(trial, recipe={**usual, **trial.recipe}) for trial in record.trials])


class LinearTrainings:
    """The short trainings of linear models, on the same examples as the networks of the search.

    Each step adds one: of each of the models, and then of the best of them with each further weight decay. FLOPs alone
    decide how many steps there are, not a clock, so that the same FLOPs repeat them. They are of the preprocessing that
    is ``seen`` by the network, unless their kind has one of its own.
    """

    def __init__(self, job: Job, plan: BudgetPlan, seen: str = "") -> None:
        assert job.linear is not None
        self.views, self.kind, self.share = job.linear, job.kind, plan.shares.linear
        self.examples, batch = len(self.views.usual.task.train), Recipe().batch_size
        examples, space = self.examples, self.views.space
        epochs = max(1, min(EPOCHS_OF_A_TRIAL, MOST_SEEN // examples), round(LINEAR_STEPS / ceil(examples / batch)))
        self.decays: Sequence[float] = LINEAR_DECAYS
        self.solved: SolvedModels | None = None
        self.tried: int | None = None
        if isinstance(space, SolvedModels):
            self.solved, self.decays, self.tried = space, space.decays, space.tried
            epochs = space.passes(examples)
        self.recipe = Recipe(
            epochs=epochs,
            batch_size=max(batch, ceil(epochs * examples / MOST_LINEAR_STEPS)),
            learning_rate=LINEAR_RATE,
            inherit=False,
        )
        self._view, known = self.views.changes(self.views.usual), self.views.labels
        if self.kind.linear_view in known:
            self._view = {PREPROCESSING: self.kind.linear_view}
        elif seen in known and seen not in job.views.encoded:
            self._view = {PREPROCESSING: seen}
        self._estimator = job.kept(ViewEstimator(self.views, job.options.seed, self.recipe)).with_recipe(self._view)

    def affordable(self, flops: float, *, epoch: float) -> int:
        """The step that the FLOPs of everything after the search pay for, with an epoch of a network; 0 is none."""
        return bisect_right(self._needed(epoch), flops)

    def nearest(self, flops: float, *, epoch: float, number: int) -> float:
        """The FLOPs of everything after the search that pay for just a step, nearest to others."""
        needed = self._needed(epoch)
        if number < len(needed):
            flops = min(flops, needed[number] * (1 - 1e-9))
        if number:
            flops = max(flops, needed[number - 1])
        return rounded(flops)

    def train(self, number: int) -> Iterator[tuple[Candidate | None, Cost]]:
        """The trainings of the first steps; a failed one gives None."""
        models, scored = self._models, list[Candidate]()
        for one in models[:number]:
            model, cost = self._train(one, self.decays[0])
            scored += filter(None, [model])
            yield model, cost
        for decay in self.decays[1 : 1 + max(0, number - len(models))]:
            if not scored:
                return
            model, cost = self._train(max(scored, key=lambda one: one.value).found.architecture, decay)
            scored += filter(None, [model])
            yield model, cost

    def _train(self, architecture: Architecture, decay: float) -> tuple[Candidate | None, Cost]:
        """Train a model on the train part."""
        estimator = self._estimator.with_recipe({"weight_decay": decay})
        begin, cost, model = perf_counter(), estimator.cost(architecture, 1.0), None
        with suppress(*FAILURES):
            score = estimator(architecture, fidelity=1.0)
            trained, view = replace(self.recipe, weight_decay=decay), self.views.of(self._view)
            fields: dict[str, RecipeValue] = {"learning_rate": trained.learning_rate, "weight_decay": decay}
            fields |= self.views.changes(view)
            found = SearchOutcome(architecture, score.weights, SearchRecord(view.task.id), recipe=fields)
            (label,) = architecture.values()
            model = Candidate(found, view, score.value, trained, self.kind.features[label])
            cost = score.cost
        return model, replace(cost, seconds=cost.seconds + perf_counter() - begin, queries=0)

    @cached_property
    def _models(self) -> Sequence[Architecture]:
        """The models that are within the limits, as many of them as are tried."""
        known = self.views.space.architectures()
        within = (one for one in known if self._estimator.refusal(one, self._view) is None)
        return [*islice(within, self.tried)]

    @cached_property
    def _steps(self) -> Sequence[tuple[float, float]]:
        """The time of each step in FLOPs, and its FLOPs with the last training of the best model."""
        flops = [float(self._estimator.cost(one, 1.0).flops) for one in self._models]
        times = [*map(self._time, self._models)]
        # Any model may be the one with further weight decays, and the one that is trained on all but the test part.
        further = len(self.decays) - 1 if self._models else 0
        sums = (accumulate([*one, *[max(one, default=0.0)] * further]) for one in (times, flops))
        most = accumulate([*flops, *[0.0] * further], max)
        return [(time, own + self.longer * last) for time, own, last in zip(*sums, most, strict=True)]

    def _time(self, architecture: Architecture) -> float:
        """The time of a training on the train part, in FLOPs: those that are counted, and those of the optimizer."""
        flops = self._estimator.cost(architecture, 1.0).flops
        if self.solved is not None:
            return flops + self.solved.uncounted_flops(self.examples)
        steps = self.recipe.epochs * ceil(self.examples / self.recipe.batch_size)
        return flops + FLOPS_OF_A_PARAMETER * steps * self._estimator.measures["parameters"](architecture)

    def _needed(self, epoch: float) -> Sequence[float]:
        """The FLOPs of everything after the search that each step needs, rounded up, so that rounded ones do."""
        return [rounded(max(time / self.share, (flops + epoch) * (1 + 1e-9))) for time, flops in self._steps]

    @property
    def longer(self) -> float:
        """How many times as many examples the last training has."""
        usual, batch = self.views.usual, self.recipe.batch_size
        return images_an_epoch(len(usual.learned), batch) / images_an_epoch(len(usual.task.train), batch)


def last_cost(model: Candidate) -> Cost:
    """The cost of a linear model's training on all but the test part."""
    view = model.view
    return recipe_cost(view.limited.space, model.found.architecture, view.task, view.learned, model.recipe)
