"""The last training of a candidate, on all but the test part: a network, an ensemble, or a linear model."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from lit_metanas.automl.budget_plan import BudgetPlan
from lit_metanas.automl.candidates import Beginning, Candidate, Job, last_cost
from lit_metanas.comparisons.search_progress import ToldBudget
from lit_metanas.estimators.estimator import FAILURES, BestSoFar, reason_of
from lit_metanas.estimators.training_estimator import check_finite, validation_part
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.text import printable
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged, Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.records.budget import Cost, FailedWorkError
from lit_metanas.tasks.task import Portion, Split, Task
from lit_metanas.training.child import Child, chosen_child, fit_child, mirror_keeps_classes, scores_of
from lit_metanas.training.ensembles import Ensemble, linear_factor
from lit_metanas.training.workers import StepEnded, submit, worker_processes

LAST_SECONDS = 3.0
"""The approximate training of a network after Ctrl-C, if its space keeps no weights of the search."""

SEEDS_APART = 1_000_003
"""The distance of the seeds of an ensemble's members, so that searches of neighbouring seeds share none."""

Show = Callable[[str], None]
"""Shows what begins."""


class LastTrainingError(Exception):
    """A last training failed, as without memory; the message is a sentence without its end."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A candidate with its trained network or ensemble."""

    candidate: Candidate
    child: Child
    cost: Cost  # of its last training
    held_out: bool = False  # whether it has learned nothing from the validation part
    honest: nn.Module | None = None  # a network that does not know the examples to calibrate by
    factor: float = 1.0  # of the scores of the linear part of a mean


@dataclass
class Known:
    """Everything that is known so far: each stage adds its part, and after a stop the best of it is taken."""

    plan: BudgetPlan
    budget: ToldBudget
    scored: BestSoFar  # networks of the search
    network: Candidate | None = None  # the one that the search found
    linear: list[Candidate] = field(default_factory=list)
    mean: Candidate | None = None  # with a linear model, if that is what is trained
    averaged: Trained | None = None  # the linear part of the mean
    trained: list[Trained] = field(default_factory=list)  # what is tested
    apart: Cost = field(default_factory=Cost)  # of models that were only compared, failed or diverged
    longer: int = 0  # of these, the FLOPs of the network itself, which was trained on to be compared
    sentence: str = ""  # how the comparison with linear models ended
    trees: Judged | None = None  # how good boosted trees, a rival, are on the validation part

    def charge(self, cost: Cost) -> None:
        """Count the cost of a model that was only compared, or failed; the progress of a network is known already."""
        self.apart += replace(cost, queries=0)
        self.budget.trained(float(cost.flops))


def train_linear_fully(job: Job, known: Known, model: Candidate, mean: Candidate | None = None) -> str:
    """Train a linear model on all but the test part, alone or for a mean; returns why that failed, or nothing."""
    begin, view, cost, seed = perf_counter(), model.view, last_cost(model), job.options.seed
    try:
        fresh = replace(model.found, weights=None)
        child = chosen_child(view.task, view.limited.space, fresh, model.recipe, seed)
        with torch_threads(known.plan.threads):
            cost = fit_child(child, view.learned, seed=seed)
        check_finite(child.network)
    except FAILURES as error:
        known.charge(replace(cost, seconds=perf_counter() - begin))
        return reason_of(error)
    known.budget.trained(float(cost.flops))
    trained = Trained(model, child, replace(cost, seconds=perf_counter() - begin))
    if mean is None:
        known.trained.append(trained)
    else:
        known.mean, known.averaged = mean, trained
    return ""


def train_fully(
    job: Job, begun: Beginning, known: Known, chosen: Candidate, epochs: int, members: int = 1, show: Show | None = None
) -> None:
    """Train a network, or the members of an ensemble side by side, on all but the test part.

    The first one begins with the weights of the search, the others do not. The first one of several leaves out some
    validation examples, by which all are calibrated. Those that diverge are left out, with a warning; if all do, the
    network is as the search trained it. If one fails, those before it are kept.

    Raises:
        FailedWorkError: all diverge, and the search has no weights of them.
        LastTrainingError: one fails, as without memory.
    """
    network = _mirrored(job, replace(chosen, view=job.views.of(chosen.found.recipe)))
    finished, diverged, failure, held = list[Trained](), list[str](), "", ExitStack()
    if members == 1:
        held.enter_context(worker_processes(1))  # this process alone, whose threads may use all cores
        held.enter_context(torch_threads(known.plan.threads))
    trainings = list[_Member]()
    try:
        for member in range(members):
            trainings.append(_Member(job, begun, known, network, epochs, member, of=members))
        for member in range(members):
            if members > 1 and show is not None:
                show(f"training network {member + 1} of {members}")
            one = trainings[member].result()
            if (reason := divergence(one)) is None:
                finished.append(one)
            else:
                diverged.append(reason)
                known.apart += replace(one.cost, queries=0)
    except FAILURES as error:
        failure = printable(reason_of(error), 200)
    finally:  # an interrupt leaves those that have finished
        held.close()
        for training in trainings[len(finished) + len(diverged) :]:
            known.apart += training.give_up()
        if finished:
            known.trained.append(with_linear(job, known, chosen, _ensemble_of(finished)))
        for reason in diverged if finished or failure else diverged[1:]:
            warnings.warn(f"{reason}: this network is left out.", stacklevel=2)
    if failure:  # raised here, since the error's cause would hold the memory of the training
        raise LastTrainingError(f"On task '{network.view.task.id}' the last training failed ({failure})")
    if finished:
        return
    searched = as_scored(job, network)
    if searched is not None:
        warnings.warn(f"{diverged[0]}: the network is as the search trained it.", stacklevel=3)
        known.trained.append(with_linear(job, known, chosen, searched))
    elif known.trained:
        warnings.warn(f"{diverged[0]}: this network is left out.", stacklevel=3)
    else:
        raise FailedWorkError(f"{diverged[0]}; the search kept no weights: give another seed.")


def _mirrored(job: Job, network: Candidate) -> Candidate:
    """A network, to be trained on mirrored examples, too, if those that it is validated on keep their classes."""
    mirrors = job.kind.mirrors and network.view.label not in job.views.encoded
    scored = as_scored(job, network) if mirrors else None
    if scored is None or not mirror_keeps_classes(scored.child, validation_part(network.view.task)):
        return network
    return replace(network, recipe=replace(network.recipe, mirror=True))


class _Member:
    """The training of a member of an ensemble, or of the only network, which may be under way."""

    def __init__(
        self, job: Job, begun: Beginning, known: Known, network: Candidate, epochs: int, member: int, of: int
    ) -> None:
        self._network, self._budget = network, known.budget
        self._honest = member == 0 and (of > 1 or known.averaged is not None)
        part = network.view.calibrating[1] if self._honest else network.view.learned
        self._epoch, self._ended = begun.work.epoch_of(network.found.architecture, network.view, part), 0
        recipe, seed = replace(network.recipe, epochs=epochs), job.options.seed + member * SEEDS_APART
        found = replace(network.found, weights=job.views.weights) if member else network.found
        self._child = chosen_child(network.view.task, job.views.space, found, recipe, seed)
        work = partial(_fit, self._child, part, seed, job.precision)
        self._submitted = submit(work, self._epoch_ended)

    def result(self) -> Trained:
        """Wait for the trained network."""
        weights, cost = self._submitted.result()
        device = self._network.view.learned.inputs.device
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
        self._budget.trained(float(self._epoch))


def _fit(
    child: Child, part: Split | Portion, seed: int, precision: str, step_ended: StepEnded
) -> tuple[dict[str, Tensor], Cost]:
    """Train a child as the work of a process."""
    cost = fit_child(child, part, seed=seed, epoch_ended=step_ended, precision=precision)
    return child.network.state_dict(), cost


def _ensemble_of(members: Sequence[Trained]) -> Trained:
    """Networks of one architecture as a single one, with the cost of all."""
    first = members[0]
    if len(members) > 1:
        first.child.network = Ensemble([one.child.network for one in members])
    return replace(first, cost=sum((one.cost for one in members), Cost()))


def with_linear(job: Job, known: Known, chosen: Candidate, one: Trained) -> Trained:
    """A trained network; with the linear part of a mean, if that was chosen, by its weight."""
    linear, joined = known.averaged, chosen.joined
    if linear is None or joined is None:
        return one
    factor = _factor(job, chosen, one)
    one.child.network = joined.network(one.child.network, linear.child.network, factor)
    held_out = one.held_out and linear.held_out
    return replace(one, candidate=chosen, cost=one.cost + linear.cost, held_out=held_out, factor=factor)


def _factor(job: Job, chosen: Candidate, one: Trained) -> float:
    """How much the linear part of a mean counts, by examples that neither part has learned from; 1 if not known."""
    joined, goal = chosen.joined, chosen.view.task.goal
    if one.honest is None or joined is None or chosen.linear is None or isinstance(goal, Regression):
        return 1.0
    linear = _scored_network(job, chosen.linear)
    if linear is None:
        return 1.0
    views, networks = (joined.networks, joined.linear), (one.honest, linear)
    parts = [view.calibrating[0] for view in views]
    own, other = (scores_of(net.eval(), part, goal) for net, part in zip(networks, parts, strict=True))
    return linear_factor(own, other, lambda scores: goal.losses(scores, parts[0].labels))


def as_scored(job: Job, one: Candidate) -> Trained | None:
    """A network or linear model with the weights of its score, which costs nothing; None if none are kept."""
    view, space, weights = one.view, one.view.limited.space, one.found.weights
    child = chosen_child(view.task, space, one.found, replace(one.recipe, inherit=True), job.options.seed)
    if weights is job.views.weights or not space.supernet_weights(child.network):
        return None
    child.recipe = one.recipe
    return Trained(one, child, Cost(), held_out=True)


def calibrated(job: Job, one: Trained) -> Objective:
    """The objective, with what examples say of a candidate that has not learned from them.

    Of an ensemble that is the network which has not. A single network has fewer epochs, and what the same one says as
    it was scored stands for it: on photographs the best temperature after 20 epochs was within 4 % of that after two.
    The examples are those that were set apart, or else validation examples. If a search has begun with an exported
    model, that may have learned from them, so its networks and their mutants have none.
    """
    candidate, task, plain = one.candidate, one.candidate.view.task, natural_goal(job.views.usual.given)
    network: nn.Module | None = one.child.network
    part = validation_part(task) if candidate.view.apart is None else candidate.view.apart
    if task.goal.scored != "input" or (job.views.known is not None and not candidate.features):
        return plain
    if one.honest is not None:
        part, network = candidate.view.calibrating[0], one.honest
        if candidate.joined is not None and candidate.linear is not None:
            linear = _scored_network(job, candidate.linear)
            network = linear and candidate.joined.network(network, linear, one.factor)
    elif not one.held_out:
        network = _scored_network(job, candidate)
    if network is None:
        return plain
    goal = natural_goal(task)
    return goal.calibrated(scores_of(network.to(part.inputs.device).eval(), part, goal), part.labels)


def natural_goal(task: Task) -> Objective:
    """A task's objective; of classes that count more or less in training with the shift that undoes it."""
    goal, weights = task.goal, task.train.weights
    if not isinstance(goal, Classification) or weights is None:
        return goal
    by_class = [weights[task.train.labels == place].unique().tolist() for place in range(goal.way)]
    if any(len(own) != 1 or own[0] <= 0 for own in by_class) or len({own[0] for own in by_class}) == 1:
        return goal  # examples have weights of their own, or all the same
    return replace(goal, shift=tuple(round(-math.log(own[0]), 6) for own in by_class))


def _scored_network(job: Job, one: Candidate) -> nn.Module | None:
    """A candidate's network with the weights of its score, of a mean with the linear model; None if none are kept."""
    if one.joined is None or one.linear is None:
        scored = as_scored(job, one)
        return None if scored is None else scored.child.network
    own = _scored_network(job, replace(one, view=one.joined.networks, linear=None, joined=None))
    linear = _scored_network(job, one.linear)
    return own and linear and one.joined.network(own, linear)


def divergence(one: Trained) -> str | None:
    """How a last training diverged; None if it did not."""
    try:
        check_finite(one.child.network)
    except ArithmeticError as error:
        rate = one.child.recipe.learning_rate
        return f"On task '{one.candidate.view.task.id}' the last {error}, with learning_rate {rate:g}"
    return None


def trained_briefly(job: Job, begun: Beginning, known: Known, network: Candidate) -> Trained:
    """A network trained for a few seconds, since its space keeps no weights of the search."""
    begin, view, seed = perf_counter(), network.view, job.options.seed
    child = chosen_child(view.task, job.views.space, network.found, network.recipe, seed)
    pace = known.plan.pace or known.budget.spent.flops / max(known.budget.spent.seconds, 1.0)
    share = LAST_SECONDS * pace / begun.work.last_epoch(network.found)
    part = view.task.train.portion(max(network.recipe.batch_size, int(share * len(view.learned))))
    cost = fit_child(child, part, seed=seed, precision=job.precision)
    check_finite(child.network)
    return Trained(network, child, replace(cost, seconds=perf_counter() - begin), held_out=True)
