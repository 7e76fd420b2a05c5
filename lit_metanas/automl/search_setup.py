"""What a search begins with, and what its networks cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import chain, zip_longest
from math import ceil

import torch
from torch import Tensor

from lit_metanas.automl import budget_plan
from lit_metanas.automl.budget_plan import Shares
from lit_metanas.automl.job import Job
from lit_metanas.automl.options import NO_ENCODER
from lit_metanas.estimators.estimator import Query
from lit_metanas.estimators.folds import folds_of, most_folds, targets_of, validation_part
from lit_metanas.estimators.input_variants import InputVariant
from lit_metanas.kinds.rows.row_kind import EncodedRows
from lit_metanas.records import read_record_lines
from lit_metanas.records.record import PREPROCESSING, RecipeFields, RecipeValue, SearchRecord
from lit_metanas.searchers.halving import FrontHalving
from lit_metanas.searchers.halving.proposals import covering, fitting
from lit_metanas.searchers.halving.rungs import WHOLE_GROUPS
from lit_metanas.searchers.mutation import draw_new, mutate
from lit_metanas.spaces.any_input import LINEAR_SPACES
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import named_networks
from lit_metanas.training.child import recipe_cost
from lit_metanas.training.recipes import Recipe

MOST_EPOCHS = 100_000  # epochs in the usual recipe; every training replaces them by its own

# The least that a network adds to the best of those before it on other tasks; 1 is from the worst to the best.
WORTH_A_TRIAL = 0.02

MOST_OF_A_FRONT = 24  # networks that the search of a front begins with
TIMED_NETWORKS = 4  # networks that are trained for a moment, to measure the pace


@dataclass(frozen=True, eq=False)
class SearchSetup:
    """What a search begins with, and what its networks cost."""

    job: Job
    first: Sequence[Query]  # tried first, in this order; at least one
    timed: Sequence[Architecture]  # some that may be tried, the first one first
    recipe: Recipe  # the usual one
    searched_fields: Mapping[str, Sequence[RecipeValue]]  # of the recipe
    records: Sequence[SearchRecord] = ()  # of other tasks, each trial with all these fields
    member_epochs: int = 0  # see ``Kind``
    shares: Shares = field(default_factory=lambda: budget_plan.SHARES)
    folds: int = 1  # see ``BudgetPlan``

    @cached_property
    def epoch_flops(self) -> float:
        """Training FLOPs of an epoch of one of the networks, on average."""
        return self._mean_epoch(self.timed)

    @cached_property
    def trial_flops(self) -> float:
        """Training FLOPs of the first training of a candidate."""
        steps = ceil(len(self.job.task.train) / self.recipe.batch_size)  # of an epoch
        epochs = max(self.shares.trial_epochs, self.shares.trial_steps / steps)
        if self.points == 1 or not self.first:
            return self.folds * self.epoch_flops * epochs
        # The timed networks are not like those of all sizes that a front begins with.
        return self._mean_epoch([query.architecture for query in self.first]) * (epochs / self.shares.front_trials)

    @property
    def points(self) -> int:
        """Networks that are trained, tested and written after the search, at most."""
        return 1 if self.job.options.pareto is None else self.shares.front_points

    def rungs(self, flops: float) -> tuple[int, ...]:
        """The number of candidates in each rung of a search of so many FLOPs."""
        if self.points == 1:
            return self.shares.rungs(flops, self.trial_flops)
        return self.shares.front_rungs(flops, self.trial_flops)

    @cached_property
    def chosen_by(self) -> Tensor:
        """The targets of the examples that each candidate is scored on, those of all folds."""
        return targets_of(folds_of(self.job.task, self.folds))

    @property
    def examples(self) -> int:
        """Examples to choose by; fewer than there are if a class is rare and each counts alike."""
        return self.job.task.goal.examples_worth(self.chosen_by)

    def in_folds(self, search: float) -> SearchSetup:
        """The setup with as many folds as its few examples to choose by need, and a search of so many FLOPs pays for.

        A front has one, and so have a student's examples, of which some have no label.
        """
        task, shares, one = self.job.task, self.shares, replace(self, folds=1)
        if self.points > 1 or self.job.variants.lesson is not None:
            return one
        most = min(shares.folds, most_folds(task), ceil(shares.choosing / len(self.chosen_by)))
        paid = (n for n in range(2, most + 1) if shares.rungs(search, n * one.trial_flops)[0] >= shares.least_in_folds)
        return replace(one, folds=max(paid, default=1))

    def epoch_flops_of(self, architecture: Architecture, variant: InputVariant, part: Sized) -> int:
        """Training FLOPs of an epoch on a part of the data."""
        return recipe_cost(self.job.variants.space, architecture, variant.task, part, self.recipe, epochs=1).flops

    def rung_shares(self, numbers: Sequence[int]) -> list[float]:
        """The share of a search for each of its rungs of so many candidates; those of a front have equal parts."""
        first, later = self.shares.first_rung, len(numbers) - 1
        if self.points > 1 or not later:
            return [number / sum(numbers) for number in numbers]
        return [first, *[(1 - first) / later] * later]

    def _mean_epoch(self, architectures: Sequence[Architecture]) -> float:
        usual = self.job.variants.usual
        return sum(self.epoch_flops_of(one, usual, usual.task.train) for one in architectures) / len(architectures)


def set_up_search(job: Job) -> SearchSetup:
    """Set up a search: it begins with the first networks of its kind and those that cover recorded tasks, in turn."""
    options, variants, kind = job.options, job.variants, job.kind
    validation_part(job.task)  # otherwise each training would fail by itself
    searched_fields = kind.searched_fields(job.task.goal)
    recipe = Recipe(epochs=MOST_EPOCHS).replace(kind.usual_recipe(job.task))
    usual, defaults = (
        {name: value for name, value in asdict(one).items() if name in searched_fields} for one in (recipe, Recipe())
    )
    read = [record for path in options.records for record in read_record_lines(path) if record.task_id != job.task.id]
    # Fields that a recorded trial lacks had their default.
    records = [
        replace(one, trials=[replace(trial, recipe={**defaults, **trial.recipe}) for trial in one.trials])
        for one in fitting(read, variants.usual.limited.within)
    ]
    first, least = _under_the_usual_variant(job, records, usual), budget_plan.SHARES.least_first
    first = [*first[:least], *_in_turn(first[least:], _under_other_variants(job, first[0]))]
    timed = list(dict.fromkeys(query.architecture for query in first))[:TIMED_NETWORKS]
    if len(timed) == 1:
        timed += _neighbours(job, timed[0])
    groups = [first, *_behind_encoders(job, usual)]
    if options.encoders and options.encoders[0] != NO_ENCODER:  # the user names the better guess first
        groups = [*groups[1:], first]
    # The mean of linear scores is linear, too: an ensemble of linear models would be about one of them.
    member_epochs = kind.member_epochs * (type(variants.space) not in LINEAR_SPACES.values())
    setup = SearchSetup(job, _in_turn(*groups), timed, recipe, searched_fields, records, member_epochs)
    if options.pareto is None:
        return setup
    # A front begins with networks of all sizes, or with the front that records predict; each point is one network.
    method = FrontHalving(measure=options.pareto, train=searched_fields, first=setup.first[:1])
    limited, generator = variants.usual.limited, torch.Generator().manual_seed(options.seed)
    sizes = method.first_rung(records, limited.within, limited.measures, MOST_OF_A_FRONT, generator)
    return replace(setup, first=sizes, member_epochs=0)


def _under_the_usual_variant(job: Job, records: Sequence[SearchRecord], usual: RecipeFields) -> list[Query]:
    """The networks of the kind of data and of records, under the usual preprocessing."""
    variants, limited = job.variants, job.variants.usual.limited
    recorded = covering(records, limited.within, budget_plan.SHARES.most_first, WORTH_A_TRIAL)
    by_kind = variants.named(variants.usual.label, job.kind.first)
    named = [Query.of(one, usual) for one in named_networks(limited.within, by_kind)]
    covers = [Query.of(one.architecture, {n: v for n, v in one.recipe if n in usual}) for one in recorded]
    # The records are one vote: of the first networks they name the second, and of those after them every other one.
    own = budget_plan.SHARES.least_first - 1
    chosen = [*named[:1], *covers[:1], *named[1:own], *_in_turn(covers[1:], named[own:])]
    chosen = chosen or [Query.of(limited.network_near(dict(*by_kind[:1])), usual)]
    started = [Query.of(one, usual) for one in variants.start_weights]
    label = variants.changes(variants.usual)
    return [Query.of(one.architecture, {**dict(one.recipe), **label}) for one in dict.fromkeys([*started, *chosen])]


def _in_turn(*several: Iterable[Query]) -> list[Query]:
    """The first of each, then the second of each, and so on."""
    return [one for one in chain.from_iterable(zip_longest(*several)) if one is not None]


def _behind_encoders(job: Job, usual: RecipeFields) -> Iterator[list[Query]]:
    """The first networks for the features of each encoder that is not the usual preprocessing."""
    variants = job.variants
    own = {name: value for name, value in EncodedRows.recipe.items() if name in usual}
    for label in variants.encoded:
        if label != variants.usual.label:
            fields = {**usual, **own, PREPROCESSING: label}
            found = named_networks(variants.space_of(label), variants.named(label, EncodedRows.first))
            yield [Query.of(one, fields) for one in found if variants.refusal(one, fields) is None]


def _under_other_variants(job: Job, first: Query) -> list[Query]:
    """A query under each further preprocessing, without encoders, under which it is within the limits."""
    variants, one = job.variants, first.architecture
    labels = (label for label in variants.labels[1:] if label not in variants.encoded)
    changed = ({**dict(first.recipe), PREPROCESSING: label} for label in labels)
    # Without limits no variant is made for this.
    return [Query.of(one, own) for own in changed if not variants.limits.given or variants.refusal(one, own) is None]


def _neighbours(job: Job, usual: Architecture) -> list[Architecture]:
    """Some neighbours of the usual network, as the search will train them."""
    generator, space = torch.Generator().manual_seed(job.options.seed), job.variants.usual.limited.within
    return draw_new(
        lambda: mutate(space, usual, generator, whole_groups=WHOLE_GROUPS),
        TIMED_NETWORKS - 1,
        refusal=space.violation,
        known={usual},
    )
