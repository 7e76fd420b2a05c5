"""The beginning of a search of ``auto``: the networks and recipes that records of other tasks speak for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from lit_metanas.automl.steps.limits import Wishes
from lit_metanas.automl.steps.time_plan import FIRST_RUNG, SEARCH_SHARE
from lit_metanas.automl.steps.views import ViewEstimator, Views
from lit_metanas.kinds.kind import Kind
from lit_metanas.records.record import PREPROCESSING, SearchRecord
from lit_metanas.records.record_lines import read_record_lines
from lit_metanas.searchers.halving.proposals import covering, fitting
from lit_metanas.searchers.mutation import draw_new, mutate
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.searchers.samplers.portfolio_sampler import SourceScores
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.training.child import Recipe

MOST_EPOCHS = 100_000
"""Of a candidate; the search divides them by its budget."""

WORTH_A_TRIAL = 0.02
"""What a network must add to the best of those before it on other tasks, of what lies between worst and best there."""

PREPARING_SHARE = 0.2
"""Of a budget, for the comparison of preprocessings where a single network is known to be good."""

TIMED_NETWORKS = 4
"""Networks that are trained for a moment, to measure the pace of this machine."""


@dataclass(frozen=True)
class Beginning:
    """The beginning of a search.

    Attributes:
        known: records of other tasks, with the trials that this space can build, each with all fields of the recipe
            that are searched.
        usual: the network that the search begins with: the first of the portfolio; where that is empty, the usual one
            for the kind of data, or one near it that is within the limits.
        recipe: how candidates are trained, but for what each query says; its epochs are the most there can be.
        portfolio: what is tried first, in this order; empty where nothing is known.
        networks: those that are trained for a moment, to measure the pace of this machine.
        prepares: whether the search compares preprocessings of a single network.
        share: of the budget, for the search; 0 where there is nothing to choose.
        reason: why there is nothing to choose, as a sentence ends; empty where there is.
    """

    known: Sequence[SearchRecord]
    usual: Architecture
    recipe: Recipe
    portfolio: Sequence[Query]
    networks: Sequence[Architecture]
    prepares: bool
    share: float
    reason: str = ""


def beginning_of(views: Views, kind: Kind, wishes: Wishes) -> Beginning:
    """Begin a search with a few networks that cover all tasks that are known, or with a usual one.

    Args:
        views: the data, under all preprocessings to choose from.
        kind: of the examples.
        wishes: the records of other tasks, and the seed.

    Raises:
        NoNetworkWithinError: no network is within the limits.
        ValueError: a file of records cannot be read, or a network cannot be timed with so many inputs at once.
    """
    limited, space = views.usual.limited, views.usual.limited.within
    others = [r for path in wishes.records for r in read_record_lines(path) if r.task_id != views.usual.task.id]
    recipes = kind.recipes(views.usual.task.goal)
    known = [_whole(record, recipes) for record in fitting(others, space)]
    covers = covering(known, space, FIRST_RUNG, WORTH_A_TRIAL)
    named = views.changes(views.usual)
    searched = [{name: value for name, value in query.recipe if name in recipes} for query in covers]
    recipe = Recipe(epochs=MOST_EPOCHS).replace(searched[0] if searched else {})
    usual = covers[0].architecture if covers else limited.begin(kind.incumbent)
    if views.limits.latency_batch > 1:  # one that does not fit into memory is told before anything is trained
        limited.measures["latency"](usual)
    portfolio = [Query.of(q.architecture, {**fields, **named}) for q, fields in zip(covers, searched, strict=True)]
    timed = [query.architecture for query in portfolio[:TIMED_NETWORKS]]
    # One network that is as good on all tasks known as any: what is left is how the data are prepared.
    alone = len(portfolio) == 1
    if portfolio and kind.always_compared:
        first, *rest = portfolio
        changed = [{**dict(first.recipe), PREPROCESSING: label} for label in views.labels[1:]]
        if limited.limits.given:
            refusal = ViewEstimator(views, wishes.seed, recipe).refusal
            changed = [fields for fields in changed if refusal(first.architecture, fields) is None]
        portfolio = [first, *(Query.of(first.architecture, fields) for fields in changed), *rest]
    prepares = alone and len(portfolio) > 1
    reason = _why_alone(known, space, covers[0], kind.noun) if alone and not prepares else ""
    return Beginning(
        known=known,
        usual=usual,
        recipe=recipe,
        portfolio=portfolio,
        networks=timed or [usual, *_neighbours(usual, space, wishes.seed)],
        prepares=prepares,
        share=PREPARING_SHARE if prepares else 0.0 if alone else SEARCH_SHARE,
        reason=reason,
    )


def _why_alone(known: Sequence[SearchRecord], space: SearchSpace, query: Query, noun: str) -> str:
    """On how many of the tasks that are known no other network with its recipe was better."""
    source = SourceScores(known, space)
    heights = source.scores[:, source.members.index(query)]
    return f"it was the best on {int((heights == 1).sum())} of {len(heights)} tasks of {noun} in the records"


def _neighbours(usual: Architecture, space: SearchSpace, seed: int) -> list[Architecture]:
    """Some neighbours of the usual network, as the search will train them, to measure the pace of the machine."""
    generator = torch.Generator().manual_seed(seed)
    return draw_new(
        lambda: mutate(space, usual, generator, whole_groups=0.5),
        TIMED_NETWORKS - 1,
        refusal=space.violation,
        known={usual},
    )


def _whole(record: SearchRecord, searched: Collection[str]) -> SearchRecord:
    """A record whose trials tell all that is searched of a recipe: what they leave out was as it is by default."""
    usual = {name: value for name, value in asdict(Recipe()).items() if name in searched}
    return replace(record, trials=[replace(trial, recipe={**usual, **trial.recipe}) for trial in record.trials])
