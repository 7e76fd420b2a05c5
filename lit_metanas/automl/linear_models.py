"""Linear models next to the networks of a search: their short trainings, and the comparison with the best network."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from time import perf_counter

from torch import nn

from lit_metanas.automl.budget_division import flops_after_search, limited_flops
from lit_metanas.automl.job import Job
from lit_metanas.automl.known import Known, best_of
from lit_metanas.automl.last_training import scored_network
from lit_metanas.automl.search_setup import SearchSetup
from lit_metanas.estimators.candidate import Candidate, LinearTrainings
from lit_metanas.estimators.estimator import FAILURES, Query
from lit_metanas.estimators.folds import folds_of, score_in_folds
from lit_metanas.estimators.input_variants import joined
from lit_metanas.io.allocator import torch_threads
from lit_metanas.records.statistics import forecast


def train_linear_and_settle(known: Known) -> None:
    """Train linear models, as many as can be paid for, and settle what everything after the search may spend.

    They leave enough for an epoch of the network, and for the last training of the best linear model. The FLOPs are
    changed a little, so that they pay for exactly as many models: a call that is given these FLOPs repeats the result.
    """
    job, plan, network = known.job, known.plan, known.found_network
    if job.linear_variants is None:
        known.settle(limited_flops(known, flops_after_search(known)))
        return
    # Of minutes, what is left is known only after these trainings: what the plan expects decides how many there are.
    measured = job.options.minutes is not None and plan.training is None
    planned = plan.expected if measured else flops_after_search(known)
    seen = network.variant.label
    if seen in job.variants.encoded:
        seen = ""
    models = LinearTrainings(
        job.linear_variants, job.kind, job.estimator, share=plan.shares.linear, folds=plan.folds, seen=seen
    )
    epoch, longest = known.last_epoch_flops(network), 0.0
    number = models.affordable(planned, epoch=epoch)
    if number:
        known.budget.start_part("training linear models")
    with torch_threads(plan.threads):
        for model, cost in models.train(number):
            if model is not None and model.too_slow is None:
                known.linear_models.append(model)
            known.count_lost(cost, show=True)
            longest = max(longest, cost.seconds)
    flops = limited_flops(known, planned)
    if measured:
        # These are the FLOPs from now on; the linear models' were spent after the search, too. The last training of one
        # that is averaged takes longer than it counts.
        flops = known.lost_cost.flops + flops_after_search(known, later=longest * job.kind.averages_linear)
    if flops != planned:
        flops = models.nearest(flops, epoch=epoch, number=number)
    known.settle(flops)


def compare(known: Known, best: Candidate) -> Candidate:
    """The best of the network, a linear model, and the mean of both; trains what the comparison needs.

    The search may have trained the network too briefly to tell. If the linear model leads, the network is taken if its
    scores so far promise more, with the linear model where a mean can be had; else it is first trained on, on the same
    examples, and once more if it still trails.
    """
    network, examples, promised = known.found_network, known.setup.examples, 0.0
    means = mean_of(known.setup, network, best)
    chosen = best_of([network, best, *means], examples)
    if chosen is best:
        promised = _promised(known, network)
        if means and promised > best.value:  # the weights of both are learned once the network is trained
            (chosen,) = means
    known.sentence = describe_both(best, network, chosen)
    if chosen.linear is not None:
        return chosen
    if chosen is best and promised > best.value:
        known.sentence += f", and promises {100 * promised:.1f} %: the network was taken"
        return network
    for share in known.plan.shares.longer:
        spare = min(share * known.left, known.left - known.last_epoch_flops(network) - best.last_cost.flops)
        part = network.variant.task.train
        epoch = known.setup.folds * known.setup.epoch_flops_of(network.found.architecture, network.variant, part)
        # Of features of 42 photographs, 44,000 epochs were affordable.
        epochs = min(int(spare / epoch), known.plan.shares.longest)
        if chosen is network or epochs < 1:
            break
        known.budget.start_part("training the best network on, as a linear model is better so far")
        network = train_on(known, network, epochs)
        chosen = best_of([network, best], examples)
    known.sentence = describe_both(best, network, chosen)
    if chosen is not best:
        known.sentence += ": the network was taken"
    return chosen


def _promised(known: Known, network: Candidate) -> float:
    """The score that a network has after its last training, by its scores in the search."""
    query, trials = Query.of(network.found.architecture, network.found.recipe), network.found.record.trials
    own = (one for one in trials if one.scored and Query.of(one.architecture, one.recipe) == query)
    curve = [(one.trained, one.value) for one in own]
    if not curve:
        return network.value
    return forecast(curve, curve[-1][0] + known.setup.folds * known.left)


def mean_of(setup: SearchSetup, network: Candidate, linear: Candidate) -> list[Candidate]:
    """The mean of a network's and a linear model's scores; none if they cannot be averaged, or both exceed a limit.

    With a limit of latency or size there is none, since these measures are not the sum of those of two models.
    """
    job, variant, found = setup.job, network.variant, network.found
    unknown = found.weights is None or linear.found.weights is None
    if unknown or not job.kind.averages_linear or {"latency", "size"} & job.variants.limits.given.keys():
        return []
    if job.options.pareto or not variant.limited.members(found.architecture, 1, linear.measured):
        return []
    with suppress(*FAILURES):
        if both := joined(variant, linear.variant):
            mean = replace(network, variant=both, network=network, linear=linear)
            networks = (_network_of_fold(job, mean, number) for number in range(setup.folds))
            value = score_in_folds(networks, folds_of(both.task, setup.folds), both.task.goal)
            return [replace(mean, value=value)]
    return []


def _network_of_fold(job: Job, one: Candidate, number: int) -> nn.Module:
    """A candidate's network as a fold has scored it; ValueError if its weights were not kept."""
    network = scored_network(job, one.of_fold(number))
    if network is None:
        raise ValueError(f"fold {number} keeps no weights")
    return network.to(one.variant.task.train.inputs.device).eval()


def train_on(known: Known, network: Candidate, epochs: int) -> Candidate:
    """Train the best network on, on the examples that it has learned from; if that fails, it stays as it was.

    The comparison goes on with the last weights; an interrupt leaves the better ones in ``known``.
    """
    begin, found, job = perf_counter(), network.found, known.job
    estimator = job.estimator(job.variants, known.setup.recipe, known.plan.folds, known.plan.precision)
    estimator = estimator.with_recipe({**found.recipe, "epochs": epochs})
    cost = estimator.cost(found.architecture, 1.0)
    with suppress(*FAILURES):
        longer = estimator(found.architecture, fidelity=1.0, start=found.weights)
        cost = longer.cost
        network = replace(network, found=replace(found, weights=longer.weights))
        if longer.value >= network.value:
            network = known.network = replace(network, value=longer.value)
    known.count_lost(replace(cost, seconds=perf_counter() - begin), show=True)
    known.trained_on_flops += cost.flops
    return network


def describe_both(linear: Candidate, network: Candidate, chosen: Candidate | None = None) -> str:
    """The scores of a linear model, of the network, and of the mean of both if it was chosen."""
    text = f"{linear.describe()}, the best network {100 * network.value:.1f} %"
    if chosen is not None and chosen.linear is not None:
        text += f", the mean of their scores {100 * chosen.value:.1f} %"
    return text
