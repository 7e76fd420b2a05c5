"""A whole front: networks that trade accuracy against a measure, each trained and tested by itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch

from lit_metanas.automl.budget_plan import BudgetPlan, rungs_of
from lit_metanas.automl.candidates import Beginning, Candidate, Job, begin, last_cost
from lit_metanas.automl.last_training import Known, LastTrainingError, Show, train_fully, train_linear_fully
from lit_metanas.automl.linear_comparison import describe_both, train_linear
from lit_metanas.automl.stages import Goal, collect_one, network_of
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.records.record import SearchOutcome
from lit_metanas.records.statistics import non_dominated
from lit_metanas.searchers.halving import FrontHalving
from lit_metanas.spaces.architecture import Architecture

MOST_BEGUN = 24
"""Networks that a search begins with."""

POINTS = 6
"""Networks of a front at most."""


FRONT_TRIALS = 4
"""Candidates of a search for a front per candidate of another search: its first trainings are shorter."""


def begin_front(job: Job) -> Beginning:
    """Begin with networks of all sizes, or with the front that records predict."""
    begun, limited = begin(job), job.views.usual.limited
    measure = job.options.pareto or ""
    generator = torch.Generator().manual_seed(job.options.seed)
    method = FrontHalving(measure=measure, train=begun.train, first=begun.first[:1])
    first = method.first_rung(begun.records, limited.within, limited.measures, MOST_BEGUN, generator)
    candidates, shares = [query.architecture for query in first], begun.work.shares
    work = replace(
        begun.work,
        share=shares.search,
        points=POINTS,
        candidates=candidates,
        trials=FRONT_TRIALS if candidates else 1,
        member_epochs=0,
    )
    return replace(begun, first=first, work=work, rungs=front_rungs)


def searcher_of_front(job: Job, begun: Beginning, plan: BudgetPlan) -> FrontHalving:
    """The searcher of a front."""
    rungs = begun.rungs(plan.search, begun.work.trial)
    return FrontHalving(
        measure=job.options.pareto or "",
        candidates=rungs,
        rungs=begun.work.rung_shares(rungs),
        points=POINTS,
        allowance=job.examples**-0.5,  # two standard errors, at most
        train=begun.train,
        later=job.views.choice,
        first=begun.first[: rungs[0]],
    )


def train_front(job: Job, begun: Beginning, known: Known, outcome: SearchOutcome, show: Show) -> None:
    """Train each network of the front, the most accurate one first, and the linear models that are on it, too.

    A network that is too slow now is left out.
    """
    best, network = train_linear(job, begun, known, show), known.network
    assert network is not None
    within = [one for one in outcome.front if job.views.of(one.recipe).limited.check(one.architecture) is None]
    others = [network_of(job, begun, one) for one in within]
    front = [network, *(one for one in others if _name(job, one) != _name(job, network))]
    left = (known.plan.training or 0) - known.apart.flops
    linear = linear_front(job, known, front, left - begun.work.last_epoch(network.found))
    left -= sum(last_cost(one).flops for one in linear)
    front = front[: max(1, POINTS - len(linear))]
    costs = [begun.work.last_epoch(one.found) for one in front]
    epochs, failed = shared_epochs(costs, left, known.plan.shares.longest), ""
    paid = zip(front[: len(epochs)], epochs, strict=True)
    for place, (one, number) in enumerate(paid, start=1):
        show(f"training network {place} of {len(epochs)}")
        try:
            train_fully(job, begun, known, one, number)
        except LastTrainingError as error:  # as without memory, which a smaller network may need less of
            failed = str(error)
            warnings.warn(f"{failed}: this network is left out.", stacklevel=2)
    if failed and not known.trained:
        raise LastTrainingError(failed)
    sentences = list[str]()
    if best is not None:
        sentences.append(describe_both(best, network))
    for model in linear:
        show("training a linear model")
        failure = train_linear_fully(job, known, model)
        how = ": it is on the front"
        if failure:
            how = f": its last training failed ({failure})"
        if model is best:
            sentences[0] += how
        else:
            sentences.append(f"{model.describe()}{how}")
    known.sentence = "; ".join(sentences)


def linear_front(job: Job, known: Known, front: Sequence[Candidate], flops: float) -> list[Candidate]:
    """The linear models on a front of networks, without those that a point of it equals in size and score.

    A linear model never removes a network of another size: the network has been trained only briefly. But the last
    networks make room if there are more than ``POINTS`` models. ``flops`` pay for the last trainings.
    """
    linear = [one for one in known.linear if one.view.limited.check(one.found.architecture) is None]
    if not linear:
        return []
    points = [_point(job, one) for one in (*front, *linear)]
    chosen: dict[Architecture, Candidate] = {}
    for place in non_dominated(points):
        if place < len(front) or points.index(points[place]) < place:
            continue
        model = linear[place - len(front)]
        if model.found.architecture in chosen:
            continue
        flops -= last_cost(model).flops
        if flops >= 0:
            chosen[model.found.architecture] = model
    return [*chosen.values()]


def collect_front(known: Known, results: Sequence[SearchResult], job: Job) -> SearchResult:
    """The result that is most accurate by validation, with the whole front, the smallest first.

    Of several of one size, as a network and a linear model may be, the front has the best by validation.
    """
    measure = job.options.pareto or ""
    ranked = sorted(results, key=lambda one: one.val_score, reverse=True)
    best_of = {getattr(one, measure): one for one in reversed(ranked)}  # the last, and best, of a size stays
    front = tuple(best_of[size] for size in sorted(best_of))
    return replace(collect_one(known, ranked, job, front), front=front, traded=measure)


def _point(job: Job, one: Candidate) -> tuple[float, float]:
    """What is to be large: minus the measure, and the validation score."""
    return -one.view.limited.measures[job.options.pareto or ""](one.found.architecture), one.value


def _name(job: Job, one: Candidate) -> tuple[Architecture, str]:
    """What distinguishes a network of the front from others."""
    return one.found.architecture, job.views.label_of(one.found.recipe)


WHOLE_FRONT = Goal(begin_front, searcher_of_front, train_front, collect_front)
"""The search of a front."""


def front_rungs(flops: float, trial: float) -> tuple[int, ...]:
    """The number of candidates in each rung of a search for a front: half of all begin."""
    number = sum(rungs_of(flops, trial))
    first = (number + 1) // 2
    left = number - first
    return (first, *(part for part in (left - left // 2, left // 2) if part))


def shared_epochs(epochs: Sequence[float], flops: float, longest: int) -> list[int]:
    """The epochs of each network of a front, whose epochs cost so much, and which share the FLOPs.

    Each gets FLOPs in proportion to the root of an epoch's cost, so that small ones have more epochs, at most
    ``longest``. The last networks are left out if they cannot be paid for.
    """
    number = len(epochs)
    while number > 1 and sum(epochs[:number]) > flops:
        number -= 1
    own = epochs[:number]

    def divided(factor: float) -> list[int]:
        return [min(longest, max(1, int(factor / cost**0.5))) for cost in own]

    low, high = 0.0, longest * max(own) ** 0.5
    if longest * sum(own) <= flops:
        return divided(high)
    for _ in range(60):
        middle = (low + high) / 2
        spent = sum(number * cost for number, cost in zip(divided(middle), own, strict=True))
        if spent <= flops:
            low = middle
        else:
            high = middle
    return divided(low)
