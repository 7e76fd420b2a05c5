"""A front: the last trainings of networks and linear models that trade accuracy against a measure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from lit_metanas.automl.budget_plan import most_that_fits
from lit_metanas.automl.known import Known
from lit_metanas.automl.last_training import LastTrainingError, train_fully, train_linear_fully
from lit_metanas.automl.linear_models import describe_both
from lit_metanas.estimators.candidate import Candidate
from lit_metanas.records.statistics import non_dominated
from lit_metanas.spaces.architecture import Architecture


def train_front(known: Known) -> None:
    """Train each network of the front, the most accurate one first, and the linear models that are on it, too.

    A network that is too slow now is left out.
    """
    network, last_epoch_flops = known.found_network, known.last_epoch_flops
    own = network.found.architecture, network.variant.label
    others = [one for one in known.front if (one.found.architecture, one.variant.label) != own]
    front = [network, *(one for one in others if one.too_slow is None)]
    linear = linear_front(known, front, known.left - last_epoch_flops(network))
    left = known.left - sum(one.last_cost.flops for one in linear)
    front = front[: max(1, known.setup.points - len(linear))]
    epochs, failed = shared_epochs([last_epoch_flops(one) for one in front], left, known.plan.shares.longest), ""
    for place, (one, number) in enumerate(zip(front, epochs, strict=False), start=1):  # the last ones may be left out
        known.budget.start_part(f"training network {place} of {len(epochs)}")
        try:
            train_fully(known, one, number)
        except LastTrainingError as error:  # as without memory, which a smaller network may need less of
            failed = str(error)
            warnings.warn(f"{failed}: this network is left out.", stacklevel=2)
    if failed and not known.trained:
        raise LastTrainingError(failed)
    sentences = dict[Candidate, str]()
    if (best := known.best_linear) is not None:
        sentences[best] = describe_both(best, network)
    for model in linear:
        trained, failure = train_linear_fully(known, model)
        known.trained += filter(None, [trained])
        how = ": it is on the front"
        if failure:
            how = f": its last training failed ({failure})"
        sentences[model] = sentences.get(model, model.describe()) + how
    known.sentence = "; ".join(sentences.values())


def linear_front(known: Known, front: Sequence[Candidate], flops: float) -> list[Candidate]:
    """The linear models on a front of networks, without those that a point of it equals in size and score.

    A linear model never removes a network of another size: the network has been trained only briefly. But the last
    networks make room if there are more models than a front has points. ``flops`` pay for the last trainings.
    """
    measure, models = known.job.options.pareto or "", (*front, *known.linear_models)
    # What is to be large: minus the measure, and the validation score.
    points = [(-one.variant.limited.measures[measure](one.found.architecture), one.value) for one in models]
    chosen: dict[Architecture, Candidate] = {}
    for place in non_dominated(points):
        model = models[place]
        if place < len(front) or points.index(points[place]) < place or model.found.architecture in chosen:
            continue
        flops -= model.last_cost.flops
        if flops >= 0:
            chosen[model.found.architecture] = model
    return [*chosen.values()]


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
