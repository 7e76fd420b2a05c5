"""The last training of a candidate, on all but the test part: a network, an ensemble, or a linear model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from lit_metanas.automl.job import Job
from lit_metanas.automl.known import Known, Trained
from lit_metanas.estimators.candidate import Candidate
from lit_metanas.estimators.estimator import FAILURES, reason_of
from lit_metanas.estimators.folds import validation_part
from lit_metanas.estimators.input_variants import InputVariant
from lit_metanas.estimators.training_estimator import check_finite
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.text import printable
from lit_metanas.objectives import Objective, Regression
from lit_metanas.records.record import Cost, FailedWorkError
from lit_metanas.tasks.labels import natural_goal
from lit_metanas.tasks.task import Portion, Split
from lit_metanas.training.child import Child, chosen_child, fit_child, mirror_keeps_classes, scores_of
from lit_metanas.training.ensembles import Ensemble, WithLinear, linear_factor
from lit_metanas.training.workers import StepEnded, submit, worker_processes

# The distance of the seeds of an ensemble's members, so that searches of neighbouring seeds share none.
SEEDS_APART = 1_000_003


class LastTrainingError(Exception):
    """A last training failed, as without memory; the message is a sentence without its end."""


def train_linear_fully(known: Known, model: Candidate) -> tuple[Trained | None, str]:
    """Train a linear model on all but the test part; returns it, or None and why that failed."""
    begin, variant, cost, seed = perf_counter(), model.variant, model.last_cost, known.job.options.seed
    known.budget.start_part("training a linear model")
    try:
        child = chosen_child(
            variant.task, variant.limited.space, replace(model.found, weights=None), model.recipe, seed
        )
        with torch_threads(known.plan.threads):
            cost = fit_child(child, variant.learned, seed=seed)
        check_finite(child.network)
    except FAILURES as error:
        known.count_lost(replace(cost, seconds=perf_counter() - begin), show=True)
        return None, reason_of(error)
    known.budget.count_trained(float(cost.flops))
    return Trained(model, child, replace(cost, seconds=perf_counter() - begin)), ""


def train_fully(known: Known, network: Candidate, epochs: int, members: int = 1) -> None:
    """Train a network, or the members of an ensemble side by side, on all but the test part; adds to ``known.trained``.

    The first one begins with the weights of the search, the others do not. The first one of several leaves out some
    validation examples, by which all are calibrated. Those that diverge are left out, with a warning; if all do, the
    network is as the search trained it. If one fails, those before it are kept.
    """
    network = _mirrored(known.job, network)
    finished, diverged, failure, trainings = list[Trained](), list[str](), "", list[_Member]()
    try:
        with ExitStack() as held:
            if members == 1:
                held.enter_context(worker_processes(1))  # this process alone, whose threads may use all cores
                held.enter_context(torch_threads(known.plan.threads))
            for member in range(members):
                trainings.append(_Member(known, network, epochs, member, of=members))
            for member, training in enumerate(trainings, start=1):
                if members > 1:
                    known.budget.start_part(f"training network {member} of {members}")
                one = training.result()
                if (reason := divergence(one)) is None:
                    finished.append(one)
                else:
                    diverged.append(reason)
                    known.count_lost(one.cost, show=False)
    except FAILURES as error:
        failure = printable(reason_of(error), 200)
    finally:  # an interrupt leaves those that have finished
        for training in trainings[len(finished) + len(diverged) :]:
            known.count_lost(training.give_up(), show=False)
        if finished:
            known.trained.append(with_linear(known, _ensemble_of(finished)))
        for reason in diverged if finished or failure else diverged[1:]:
            warnings.warn(f"{reason}: this network is left out.", stacklevel=2)
    if failure:  # raised here, since the error's cause would hold the memory of the training
        raise LastTrainingError(f"On task '{network.variant.task.id}' the last training failed ({failure})")
    if finished:
        return
    searched, end = as_scored(known.job, network), "the network is as the search trained it"
    if searched is not None:
        known.trained.append(with_linear(known, searched))
    elif known.trained:
        end = "this network is left out"
    else:
        raise FailedWorkError(f"{diverged[0]}; the search kept no weights: give another seed.")
    warnings.warn(f"{diverged[0]}: {end}.", stacklevel=3)


def _mirrored(job: Job, network: Candidate) -> Candidate:
    """A network; it is also trained on mirrored examples if mirrored validation examples keep their classes."""
    if not job.kind.mirrors or network.variant.label in job.variants.encoded:
        return network
    scored = as_scored(job, network)
    if scored is not None and mirror_keeps_classes(scored.child, validation_part(network.variant.task)):
        return replace(network, recipe=replace(network.recipe, mirror=True))
    return network


class _Member:
    """The training of a member of an ensemble, or of the only network, which may be under way."""

    def __init__(self, known: Known, network: Candidate, epochs: int, member: int, of: int) -> None:
        variants, variant = known.job.variants, network.variant
        self._network, self._budget = network, known.budget
        self._honest = member == 0 and (of > 1 or known.averaged is not None)
        part = variant.calibrating[1] if self._honest else variant.learned
        found = network.of_fold(0).found
        if member:  # begins with fresh weights, or with meta-trained ones
            found = replace(found, weights=variants.weights)
        self._epoch, self._ended = known.setup.epoch_flops_of(found.architecture, variant, part), 0
        recipe, seed = replace(network.recipe, epochs=epochs), known.job.options.seed + member * SEEDS_APART
        self._child = chosen_child(variant.task, variants.space, found, recipe, seed)
        self._submitted = submit(partial(_fit, self._child, part, seed, known.plan.precision), self._epoch_ended)

    def result(self) -> Trained:
        """Wait for the trained network."""
        weights, cost = self._submitted.result()
        device = self._network.variant.learned.inputs.device
        # As it was trained, in whichever process.
        self._child.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._child.network.load_state_dict(weights)
        honest = self._child.network if self._honest else None
        return Trained(self._network, self._child, replace(cost, seconds=self._submitted.seconds), honest=honest)

    def give_up(self) -> Cost:
        """End the training; returns what it has cost."""
        self._submitted.give_up()
        return Cost(flops=self._ended * self._epoch, seconds=self._submitted.seconds)

    def _epoch_ended(self) -> None:
        self._ended += 1
        self._budget.count_trained(float(self._epoch))


def _fit(
    child: Child, part: Split | Portion, seed: int, precision: str, step_ended: StepEnded
) -> tuple[dict[str, Tensor], Cost]:
    cost = fit_child(child, part, seed=seed, epoch_ended=step_ended, precision=precision)
    return child.network.state_dict(), cost


def _ensemble_of(members: Sequence[Trained]) -> Trained:
    """Networks of one architecture as a single one, with the cost of all."""
    first, *others = members
    if others:
        first.child.network = Ensemble([one.child.network for one in members])
    return replace(first, cost=sum((one.cost for one in others), first.cost))


def divergence(one: Trained) -> str | None:
    """How a last training diverged; None if it did not."""
    try:
        check_finite(one.child.network)
    except ArithmeticError as error:
        rate = one.child.recipe.learning_rate
        return f"On task '{one.candidate.variant.task.id}' the last {error}, with learning_rate {rate:g}"
    return None


def as_scored(job: Job, one: Candidate) -> Trained | None:
    """A candidate with the weights of its score, which costs nothing; None if none are kept."""
    if one.network is not None and one.linear is not None:
        network, linear = as_scored(job, one.network), as_scored(job, one.linear)
        return network and linear and _averaged(network, linear, one)
    variant, space, found = one.variant, one.variant.limited.space, one.of_fold(0).found
    child = chosen_child(variant.task, space, found, replace(one.recipe, inherit=True), job.options.seed)
    if found.weights is job.variants.weights or not space.supernet_weights(child.network):
        return None
    child.recipe = one.recipe
    return Trained(one, child, Cost(), held_out=True)


def scored_network(job: Job, one: Candidate) -> nn.Module | None:
    """A candidate's network with the weights of its score; None if none are kept."""
    scored = as_scored(job, one)
    return None if scored is None else scored.child.network


def with_linear(known: Known, one: Trained) -> Trained:
    """A trained network; with the linear part of a mean, if that was chosen, by its weight."""
    if known.averaged is None:
        return one
    mean, factor, honest = known.averaged.candidate, 1.0, None
    if one.honest is not None and mean.linear is not None:
        linear = scored_network(known.job, mean.linear)
        if linear is not None:
            factor = _factor(one.honest, one.candidate.variant, linear, mean.linear.variant)
            honest = WithLinear(one.honest, linear, mean.variant.steps, factor)
    return replace(_averaged(one, known.averaged, mean, factor), honest=honest)


def _averaged(network: Trained, linear: Trained, mean: Candidate, factor: float = 1.0) -> Trained:
    """A network and a linear model as their mean, in which the linear model counts so much."""
    child, held_out = network.child, network.held_out and linear.held_out
    child.network = WithLinear(child.network, linear.child.network, mean.variant.steps, factor)
    return replace(network, candidate=mean, cost=network.cost + linear.cost, held_out=held_out)


def _factor(network: nn.Module, variant: InputVariant, linear: nn.Module, linear_variant: InputVariant) -> float:
    """How much a linear model counts next to a network, by examples that neither has learned from; 1 for numbers."""
    goal = variant.task.goal
    if isinstance(goal, Regression):
        return 1.0
    parts = [one.calibrating[0] for one in (variant, linear_variant)]
    own, added = (scores_of(net.eval(), part, goal) for net, part in zip((network, linear), parts, strict=True))
    return linear_factor(own, added, lambda both: goal.losses(both, parts[0].labels))


def calibrated(job: Job, one: Trained) -> Objective:
    """The objective, calibrated by the scores of examples that the candidate has not learned from.

    The examples are those that were set apart, or else validation examples. An ensemble has a first network that has
    not learned from them (``honest``, of a mean with the linear model), and its scores are taken. A single network has
    learned from them. The same network as the search scored it stands for it, although it had fewer epochs: on
    photographs the best temperature after 20 epochs was within 4 % of that after two. A search may begin with an
    exported model, which may have learned from these examples. Its networks are not calibrated.
    """
    candidate, task, plain = one.candidate, one.candidate.variant.task, natural_goal(job.variants.usual.given)
    network: nn.Module | None = one.child.network
    part = candidate.variant.apart or validation_part(task)
    if task.goal.scored != "input" or (job.variants.start_weights and not candidate.is_linear):
        return plain
    if one.honest is not None:
        part, network = candidate.variant.calibrating[0], one.honest
    elif not one.held_out:
        network = scored_network(job, candidate)
    if network is None:
        return plain
    goal = natural_goal(task)
    return goal.calibrated(scores_of(network.to(part.inputs.device).eval(), part, goal), part.labels)
