"""The rule that ranks candidates, those that are trained, and everything that is known so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from torch import nn

from lit_metanas.automl.budget_plan import BudgetPlan
from lit_metanas.automl.job import Job
from lit_metanas.automl.search_setup import SearchSetup
from lit_metanas.comparisons.search_progress import ReportedBudget
from lit_metanas.estimators.candidate import Candidate
from lit_metanas.estimators.estimator import BestSoFar
from lit_metanas.estimators.input_variants import without_preprocessing
from lit_metanas.objectives.objective import Judged
from lit_metanas.records.record import Cost, SearchOutcome
from lit_metanas.records.statistics import clearly_above
from lit_metanas.training.child import Child


def best_of(candidates: Sequence[Candidate], examples: int) -> Candidate:
    """The candidate with the highest validation score, the first one of several.

    A mean is taken unless another candidate leads it by a standard error of so many examples.
    """
    best = max((one for one in candidates if one.linear is None), key=lambda one: one.value)
    means = (one for one in candidates if one.linear is not None)
    return next((mean for mean in means if not clearly_above(best.value, mean.value, examples)), best)


@dataclass(frozen=True, eq=False)
class Trained:
    """A candidate with its trained network or ensemble."""

    candidate: Candidate
    child: Child
    cost: Cost  # of its last training
    held_out: bool = False  # whether it has learned nothing from the validation part
    honest: nn.Module | None = None  # a network that does not know the examples to calibrate by


def network_of(setup: SearchSetup, found: SearchOutcome) -> Candidate:
    """A network of the search as a candidate."""
    recipe = replace(setup.recipe.replace(without_preprocessing(found.recipe)), epochs=1)
    return Candidate(found, setup.job.variants.of(found.recipe), found.value, recipe)


@dataclass
class Known:
    """Everything that is known so far: each stage adds its part, and after a stop the best of it is taken.

    Stages fill it in place: an interrupt may come inside one, and what it has finished, such as the first networks of a
    front, would be lost with a value that it returns at its end.
    """

    setup: SearchSetup
    plan: BudgetPlan
    budget: ReportedBudget
    estimator: BestSoFar  # trains the networks of the search, and keeps the best
    network: Candidate | None = None  # the one that the search found, also trained on by `compare`; None before that
    front: Sequence[Candidate] = ()  # all that it found, if a front is searched
    linear_models: list[Candidate] = field(default_factory=list)  # those that were trained briefly
    averaged: Trained | None = None  # the linear model of a mean, once that is chosen and the model is trained
    trained: list[Trained] = field(default_factory=list)  # what is tested
    lost_cost: Cost = field(default_factory=Cost)  # of models that were only compared, failed or diverged
    trained_on_flops: int = 0  # of `lost_cost`, those by which `compare` trained the found network on
    sentence: str = ""  # how the comparison with linear models ended
    trees: Judged | None = None  # how good boosted trees, a rival, are on the validation examples
    stopped: bool = False  # by Ctrl-C, SIGTERM or a failure
    failure: str = ""  # of the last training

    @property
    def job(self) -> Job:
        """The call, with its data."""
        return self.setup.job

    @property
    def found_network(self) -> Candidate:
        """The network that the search found, with what `compare` may have trained on; only after the search."""
        assert self.network is not None
        return self.network

    @property
    def best_linear(self) -> Candidate | None:
        """The linear model with the highest validation score, if there is any."""
        return max(self.linear_models, key=lambda one: one.value, default=None)

    @property
    def left(self) -> float:
        """What is left of the settled FLOPs after the search, less those of models that are not returned."""
        return (self.plan.training or 0) - self.lost_cost.flops

    def last_epoch_flops(self, network: Candidate) -> int:
        """Training FLOPs of an epoch of the last training."""
        return self.setup.epoch_flops_of(network.found.architecture, network.variant, network.variant.learned)

    def members(self, network: Candidate, flops: float, linear_measures: Mapping[str, float] | None = None) -> int:
        """How many networks make an ensemble, alone or with a linear model that has some of each limited measure."""
        if not self.setup.member_epochs:
            return 1
        most = network.variant.limited.members(network.found.architecture, self.setup.shares.members, linear_measures)
        enough = (n for n in range(2, most + 1) if flops >= self.least_flops(network, n) * (1 - 1e-6))
        return max(enough, default=1)

    def least_flops(self, network: Candidate, members: int) -> float:
        """The least FLOPs of an ensemble of so many members."""
        epochs = self.setup.member_epochs if members > 2 else min(self.setup.shares.pair, self.setup.member_epochs)
        return members * epochs * self.last_epoch_flops(network)

    def useful(self, network: Candidate) -> float:
        """The FLOPs of a last training beyond which it does not help: features of an encoder are soon learned."""
        if network.variant.label not in self.job.variants.encoded:
            return inf
        return self.setup.shares.members * self.setup.shares.head_epochs * self.last_epoch_flops(network)

    def settle(self, flops: float) -> None:
        """Keep what everything after the search may spend, in the plan and for the progress."""
        self.plan = replace(self.plan, training=flops)
        self.job.keep(self.plan)
        self.budget.follow(flops)

    def count_lost(self, cost: Cost, *, show: bool) -> None:
        """Count the cost of a model that is not returned; show it as progress, unless its training has shown it."""
        self.lost_cost += replace(cost, queries=0)
        if show:
            self.budget.count_trained(float(cost.flops))
