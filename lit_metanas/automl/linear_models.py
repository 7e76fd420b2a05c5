"""Linear models next to the networks of a search: their short trainings, and the comparison with the best network."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, islice
from time import perf_counter

from torch import nn

from lit_metanas.automl.budget_division import flops_after_search, limited_flops
from lit_metanas.automl.budget_plan import BudgetPlan, rounded
from lit_metanas.automl.candidates import Candidate, Known, best_of
from lit_metanas.automl.job import Job
from lit_metanas.automl.last_training import scored_network
from lit_metanas.automl.search_setup import SearchSetup
from lit_metanas.estimators.estimator import FAILURES, Query
from lit_metanas.estimators.folds import folds_of, score_in_folds
from lit_metanas.estimators.input_variants import joined
from lit_metanas.io.allocator import torch_threads
from lit_metanas.records.record import PREPROCESSING, Cost, RecipeValue, SearchOutcome, SearchRecord
from lit_metanas.records.statistics import forecast
from lit_metanas.spaces.any_input import SolvedModels
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.recipes import Recipe, images_an_epoch


class LinearTrainings:
    """The short trainings of linear models, on the same examples as the networks of the search.

    Each step adds one training: first of each model, and then of the best one with each further weight decay. FLOPs
    alone decide how many steps there are, not a clock, so that the same FLOPs repeat them. The models take the
    preprocessing of the network, ``seen``, unless their kind has one for linear models.
    """

    def __init__(self, job: Job, plan: BudgetPlan, seen: str = "") -> None:
        assert job.linear_variants is not None
        self.variants, self.kind, self.share, self.folds = job.linear_variants, job.kind, plan.shares.linear, plan.folds
        self.examples = examples = len(self.variants.usual.task.train)
        assert isinstance(self.variants.space, SolvedModels)
        self.models: SolvedModels = self.variants.space
        self.recipe = Recipe(epochs=self.models.passes(examples), inherit=False)
        self._choice, known = self.variants.changes(self.variants.usual), self.variants.labels
        if self.kind.linear_view in known:
            self._choice = {PREPROCESSING: self.kind.linear_view}
        elif seen in known and seen not in job.variants.encoded:
            self._choice = {PREPROCESSING: seen}
        self._estimator = job.estimator(self.variants, self.recipe, self.folds).with_recipe(self._choice)

    def affordable(self, flops: float, *, epoch: float) -> int:
        """How many steps the FLOPs of everything after the search pay for, next to an epoch of a network."""
        return bisect_right(self._needed(epoch), flops)

    def nearest(self, flops: float, *, epoch: float, number: int) -> float:
        """``flops``, moved as little as needed to pay for exactly ``number`` steps."""
        needed = self._needed(epoch)
        if number < len(needed):
            flops = min(flops, needed[number] * (1 - 1e-9))
        if number:
            flops = max(flops, needed[number - 1])
        return rounded(flops)

    def train(self, number: int) -> Iterator[tuple[Candidate | None, Cost]]:
        """The trainings of the first steps; a failed one gives None."""
        scored, (first, *further) = list[Candidate](), self.models.decays
        steps: list[tuple[Architecture | None, float]] = [(one, first) for one in self._models]
        steps += ((None, decay) for decay in further)
        for architecture, decay in steps[:number]:
            if architecture is None and not scored:
                return
            best = architecture or max(scored, key=lambda one: one.value).found.architecture
            model, cost = self._train(best, decay)
            scored += filter(None, [model])
            yield model, cost

    def _train(self, architecture: Architecture, decay: float) -> tuple[Candidate | None, Cost]:
        estimator = self._estimator.with_recipe({"weight_decay": decay})
        begin, cost, model = perf_counter(), estimator.cost(architecture, 1.0), None
        with suppress(*FAILURES):
            score = estimator(architecture, fidelity=1.0)
            variant, cost = self.variants.of(self._choice), score.cost
            fields: dict[str, RecipeValue] = {"weight_decay": decay, **self.variants.changes(variant)}
            found = SearchOutcome(architecture, score.weights, SearchRecord(variant.task.id), recipe=fields)
            (label,) = architecture.values()
            recipe = replace(self.recipe, weight_decay=decay)
            model = Candidate(found, variant, score.value, recipe, self.kind.features[label])
        return model, replace(cost, seconds=cost.seconds + perf_counter() - begin, queries=0)

    @cached_property
    def _models(self) -> Sequence[Architecture]:
        """The models that are within the limits, as many of them as are tried."""
        known, refusal = self.variants.space.architectures(), self.variants.refusal
        return [*islice((one for one in known if refusal(one, self._choice) is None), self.models.tried)]

    def _needed(self, epoch: float) -> Sequence[float]:
        """The FLOPs of everything after the search that each step needs, rounded up, so that rounded ones do."""
        flops = [float(self._estimator.cost(one, 1.0).flops) for one in self._models]
        times = [*map(self._time, self._models)]
        # Any model may be the one with further weight decays, and the one that is trained on all but the test part.
        further = (len(self.models.decays) - 1) * bool(self._models)
        sums = (accumulate([*one, *[max(one, default=0.0)] * further]) for one in (times, flops))
        most = accumulate([*(one / self.folds for one in flops), *[0.0] * further], max)
        # The last training has more examples than a short one.
        usual, batch = self.variants.usual, self.recipe.batch_size
        longer = images_an_epoch(len(usual.learned), batch) / images_an_epoch(len(usual.task.train), batch)
        steps = ((time, own + longer * last) for time, own, last in zip(*sums, most, strict=True))
        return [rounded(max(time / self.share, (own + epoch) * (1 + 1e-9))) for time, own in steps]

    def _time(self, architecture: Architecture) -> float:
        """The time of a training on the train part, in FLOPs: those that are counted, and those of the equations."""
        flops = self._estimator.cost(architecture, 1.0).flops
        shape = self.variants.usual.task.shape
        return flops + self.folds * self.models.uncounted_flops(architecture, shape, self.examples)


def train_linear(known: Known) -> None:
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
    models = LinearTrainings(job, plan, network.variant.label)
    epoch, longest = known.last_epoch(network), 0.0
    number = models.affordable(planned, epoch=epoch)
    if number:
        known.budget.start_part("training linear models")
    with torch_threads(plan.threads):
        for model, cost in models.train(number):
            if model is not None and model.too_slow is None:
                known.linear.append(model)
            known.count(cost)
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
        spare = min(share * known.left, known.left - known.last_epoch(network) - best.last_cost.flops)
        part = network.variant.task.train
        epoch = known.setup.folds * known.setup.epoch_of(network.found.architecture, network.variant, part)
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
    known.count(replace(cost, seconds=perf_counter() - begin))
    known.trained_on_flops += cost.flops
    return network


def describe_both(linear: Candidate, network: Candidate, chosen: Candidate | None = None) -> str:
    """The scores of a linear model, of the network, and of the mean of both if it was chosen."""
    text = f"{linear.describe()}, the best network {100 * network.value:.1f} %"
    if chosen is not None and chosen.linear is not None:
        text += f", the mean of their scores {100 * chosen.value:.1f} %"
    return text
