"""A whole front: networks that trade accuracy against a measure, each trained and tested by itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch

from lit_metanas.automl.budget_plan import FRONT_POINTS, most_that_fits
from lit_metanas.automl.candidates import Beginning, Candidate, Known, begin
from lit_metanas.automl.last_training import LastTrainingError, train_fully, train_linear_fully
from lit_metanas.automl.linear_models import describe_both
from lit_metanas.automl.reading.job import Job
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.records.statistics import non_dominated
from lit_metanas.searchers.halving import FrontHalving
from lit_metanas.spaces.architecture import Architecture

MOST_BEGUN = 24
"""Networks that a search begins with."""


def begin_front(job: Job) -> Beginning:
    """Begin with networks of all sizes, or with the front that records predict."""
    begun, limited = begin(job), job.views.usual.limited
    generator = torch.Generator().manual_seed(job.options.seed)
    method = FrontHalving(measure=job.options.pareto or "", train=begun.searched_fields, first=begun.first[:1])
    first = method.first_rung(begun.records, limited.within, limited.measures, MOST_BEGUN, generator)
    return replace(begun, first=first, member_epochs=0)


def searcher_of_front(begun: Beginning, numbers: Sequence[int]) -> FrontHalving:
    """The searcher of a front."""
    return FrontHalving(
        measure=begun.job.options.pareto or "",
        candidates=numbers,
        rungs=begun.rung_shares(numbers),
        points=FRONT_POINTS,
        allowance=begun.job.examples**-0.5,  # two standard errors, at most
        train=begun.searched_fields,
        later=begun.job.views.choice,
        first=begun.first[: numbers[0]],
    )


def train_front(known: Known, best: Candidate | None) -> None:
    """Train each network of the front, the most accurate one first, and the linear models that are on it, too.

    A network that is too slow now is left out. ``best`` is the best linear model, if there is any.
    """
    network, last_epoch = known.found_network, known.begun.last_epoch
    own = network.found.architecture, network.view.label
    others = [one for one in known.front if (one.found.architecture, one.view.label) != own]
    front = [network, *(one for one in others if one.too_slow is None)]
    linear = linear_front(known, front, known.left - last_epoch(network.found))
    left = known.left - sum(one.last_cost.flops for one in linear)
    front = front[: max(1, FRONT_POINTS - len(linear))]
    epochs, failed = shared_epochs([last_epoch(one.found) for one in front], left, known.plan.shares.longest), ""
    for place, (one, number) in enumerate(zip(front, epochs, strict=False), start=1):  # the last ones may be left out
        known.budget.begin(f"training network {place} of {len(epochs)}")
        try:
            train_fully(known, one, number)
        except LastTrainingError as error:  # as without memory, which a smaller network may need less of
            failed = str(error)
            warnings.warn(f"{failed}: this network is left out.", stacklevel=2)
    if failed and not known.trained:
        raise LastTrainingError(failed)
    sentences = [] if best is None else [describe_both(best, network)]
    for model in linear:
        known.budget.begin("training a linear model")
        trained, failure = train_linear_fully(known, model)
        known.trained += filter(None, [trained])
        how = ": it is on the front"
        if failure:
            how = f": its last training failed ({failure})"
        if model is best:
            sentences[0] += how
        else:
            sentences.append(f"{model.describe()}{how}")
    known.sentence = "; ".join(sentences)


def linear_front(known: Known, front: Sequence[Candidate], flops: float) -> list[Candidate]:
    """The linear models on a front of networks, without those that a point of it equals in size and score.

    A linear model never removes a network of another size: the network has been trained only briefly. But the last
    networks make room if there are more than ``FRONT_POINTS`` models. ``flops`` pay for the last trainings.
    """
    measure, models = known.job.options.pareto or "", (*front, *known.linear)
    # What is to be large: minus the measure, and the validation score.
    points = [(-one.view.limited.measures[measure](one.found.architecture), one.value) for one in models]
    chosen: dict[Architecture, Candidate] = {}
    for place in non_dominated(points):
        model = models[place]
        known_before = place < len(front) or points.index(points[place]) < place or model.found.architecture in chosen
        if not known_before:
            flops -= model.last_cost.flops
            if flops >= 0:
                chosen[model.found.architecture] = model
    return [*chosen.values()]


def returned_front(ranked: Sequence[SearchResult], measure: str) -> list[SearchResult]:
    """The best result of each size, the smallest first; a network and a linear model may be of one size."""
    best_of = {getattr(one, measure): one for one in reversed(ranked)}  # the last, and best, of a size stays
    return [best_of[size] for size in sorted(best_of)]


def shared_epochs(epochs: Sequence[float], flops: float, longest: int) -> list[int]:
    """The epochs of each network of a front, whose epochs cost so much, and which share the FLOPs.

    Each gets FLOPs in proportion to the root of an epoch's cost, so that small ones have more epochs, at most
    ``longest``. The last networks are left out if they cannot be paid for.
    """
    own = list(epochs)
    while len(own) > 1 and sum(own) > flops:
        own.pop()
    if longest * sum(own) <= flops:
        return [longest] * len(own)

    def divided(factor: float) -> list[int]:
        return [min(longest, max(1, int(factor / cost**0.5))) for cost in own]

    def fits(factor: float) -> bool:
        return sum(number * cost for number, cost in zip(divided(factor), own, strict=True)) <= flops

    return divided(most_that_fits(fits, longest * max(own) ** 0.5))
