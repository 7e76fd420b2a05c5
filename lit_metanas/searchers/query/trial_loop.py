"""Runs trial after trial of a study, scores each, and continues an interrupted search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import isnan
from time import perf_counter

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.estimators.estimator import FAILURES, Estimator, Query, reason_of
from lit_metanas.io.text import number_of
from lit_metanas.records.record import Cost, Exhausted, FailedWorkError
from lit_metanas.searchers.query.ledger import Ledger, Objectives, RecipeRange, Refusal, TrialFacts, suggest_recipe
from lit_metanas.searchers.query.study import WorkerGroup, trial_id
from lit_metanas.spaces.choice_space import ChoiceSpace

ScoredQuery = tuple[Query, dict[str, Tensor] | None]
"""A query that was scored, and its weights if the estimator gives any."""


@dataclass
class TrialLoop:
    """Asks a study for trials and scores them, until the budget, a limit or the space ends the search."""

    # All facts of a trial are written into the study before the trial is finished, so that the study alone is enough
    # to continue.

    study: optuna.Study
    sampler: BaseSampler
    seeds: tuple[int, ...]  # of the search, and of this process if there are several
    space: ChoiceSpace
    estimator: Estimator
    ledger: Ledger
    goal: Objectives
    fidelity: float
    ranges: Mapping[str, RecipeRange]
    trials: float  # most of them, free ones counted
    patience: int  # trials in a row at no cost that end the search
    refusals: int  # architectures in a row that cost too much, likewise
    failures: int  # trainings in a row that fail, likewise
    group: WorkerGroup | None  # the other processes, if there are any
    trained: ScoredQuery | None = None  # the best query, if scored by this process
    _failures: int = field(default=0, init=False)  # in a row so far
    _left: list[FrozenTrial] = field(default_factory=list, init=False)  # unfinished, of an interrupted search

    def run(self) -> None:
        """Run until the end; with other processes, until all have finished."""
        with suppress(Exhausted):
            trials = self.study.get_trials(deepcopy=False)
            self.ledger.read(trials)
            if self.group is None:
                self._left = [trial for trial in trials if trial.state == TrialState.RUNNING]
            self._rounds()
            while self.group is not None and self.group.wait(self.ledger) and self._open():
                self._rounds()

    def train_again(self, query: Query) -> dict[str, Tensor] | None:
        """Train a query again, without charge, whose weights were lost with a killed process."""
        try:
            return query.under(self.estimator)(query.architecture, fidelity=self.fidelity).weights
        except FAILURES:
            return None

    def _rounds(self) -> None:
        with suppress(Exhausted):
            while self._open():
                self._one()

    def _open(self) -> bool:
        ledger = self.ledger
        is_hopeful = ledger.free < self.patience and ledger.refused < self.refusals
        return is_hopeful and ledger.finished < self.trials and not ledger.over

    def _one(self) -> None:
        # A new copy for each trial: samplers have a memory, and should see only the stored trials.
        self.study.sampler = deepcopy(self.sampler)
        reseed(self.study.sampler, self.seeds[0], self.ledger.finished, *self.seeds[1:])
        trial = self._next()
        scored = None
        with ExitStack() as shared:
            if self.group is not None:
                # Other processes give up a trial without heartbeat, and start it again: its result here is lost.
                shared.enter_context(suppress(UpdateFinishedTrialError))
                shared.enter_context(self.group.beating(trial))
            scored = self._draw(trial)
        self.ledger.read(self.study.get_trials(deepcopy=False))
        # Other processes may have given the trial up, and then its query is not known.
        if scored is not None and scored[0] in self.ledger.known and scored[0] == self.ledger.best:
            self.trained = scored

    def _next(self) -> optuna.Trial:
        """A trial; those of an interrupted search come first."""
        while self._left:
            left = self._left.pop(0)
            if "drawn" in left.user_attrs:
                return optuna.Trial(self.study, trial_id(left))
            # It was interrupted between two draws. The second would now differ, so both are drawn again.
            self.study.tell(left.number, state=TrialState.FAIL)
            if "fixed_params" in left.system_attrs:
                self.study.enqueue_trial(left.system_attrs["fixed_params"])
        if self.group is not None:
            self.group.revive()
        return self.study.ask()

    def _draw(self, trial: optuna.Trial) -> ScoredQuery | None:
        architecture = self.space.suggest(trial)
        query = Query.of(architecture, suggest_recipe(trial, self.ranges))
        trial.set_user_attr("drawn", True)
        if (reason := self.space.violation(architecture)) is not None:
            self._finish(trial, TrialState.PRUNED, TrialFacts(violation=reason))
        elif query in self.ledger.known:
            self._repeat(trial, query)
        else:
            return self._score(trial, query)
        return None

    def _score(self, trial: optuna.Trial, query: Query) -> ScoredQuery | None:
        planned, begin = Cost(), perf_counter()
        measures: dict[str, float] = {}
        try:
            estimator = query.under(self.estimator)
            known = estimator.measures
            measures = {name: float(known[name](query.architecture)) for name in self.goal.required_measures}
            self._constrain(trial, measures)
            if reason := self.goal.violation(measures):
                self._finish(trial, TrialState.PRUNED, TrialFacts(constraint=reason))
                return None
            planned = estimator.cost(query.architecture, self.fidelity)
            if not self._pays(trial, query, planned):
                return None
            if query in self.ledger.known:  # another process has scored it
                self._repeat(trial, query)
                return None
            score = estimator(query.architecture, fidelity=self.fidelity)
            if isnan(score.value):
                raise ArithmeticError("its score is not a number")
        except FAILURES as error:
            # The training is charged in full: how far it came is unknown.
            cost, reason = planned + Cost(seconds=perf_counter() - begin), reason_of(error)
            facts = TrialFacts(query.architecture, dict(query.recipe), measures, cost=cost, failure=reason)
            self._finish(trial, TrialState.FAIL, facts)
            self._failures += 1
            if self._failures >= self.failures:
                raise FailedWorkError(
                    f"The search was stopped after {number_of(self._failures, 'failure')} in a row, the last of "
                    f"{query.architecture}: {reason}. Fix the cause and start it again, or raise 'failures'."
                ) from error
            return None
        self._failures = 0
        cost = replace(score.cost, seconds=perf_counter() - begin)
        facts = TrialFacts(
            query.architecture, dict(query.recipe), measures, self.fidelity, cost, trained=bool(score.weights)
        )
        self._finish(trial, TrialState.COMPLETE, facts, self._values(score.value, measures))
        return query, score.weights

    def _pays(self, trial: optuna.Trial, query: Query, planned: Cost) -> bool:
        """Whether the budget pays; a trial that costs too much is pruned. Exhausted if nothing is left."""
        others = self.group.reserve(trial, query, planned, self.ledger) if self.group else Cost()
        budget = self.ledger.budget
        if query in self.ledger.known or budget.affords(others + planned):
            return True
        spent, refusal, unpaid = budget.spent, None, "the budget does not pay for it"
        if not budget.affords(planned):
            refusal = Refusal((planned.queries, planned.flops), (spent.queries, spent.flops))
        if refusal is None or not budget.affords(Cost(queries=1, flops=1)):
            self._finish(trial, TrialState.FAIL, TrialFacts(unpaid=unpaid, refusal=refusal))
            raise Exhausted
        if budget.flops is not None:
            unpaid = f"it costs {planned.flops:,} FLOPs, and the budget has {budget.flops - spent.flops:,} left"
        facts = TrialFacts(query.architecture, dict(query.recipe), unpaid=unpaid, refusal=refusal)
        self._finish(trial, TrialState.PRUNED, facts)
        return False

    def _constrain(self, trial: optuna.Trial, measures: Mapping[str, float]) -> None:
        """Report a query's measures to samplers that heed constraints."""
        for name, limit in self.goal.constraints.items():
            if name in measures and name not in trial.constraints:  # a resumed trial may have it
                trial.set_constraint(name, measures[name] / limit - 1)  # the excess as a share; 0 or less is fine

    def _values(self, score: float, measures: Mapping[str, float]) -> list[float]:
        return [score, *(measures[name] for name in self.goal.objectives[1:])]

    def _repeat(self, trial: optuna.Trial, query: Query) -> None:
        """Finish a trial with the known result, at no cost."""
        known = self.ledger.known[query]
        self._constrain(trial, known.measures)
        facts = TrialFacts(
            query.architecture, dict(query.recipe), known.measures, known.fidelity, Cost(), failure=known.failure
        )
        if known.failure:
            self._finish(trial, TrialState.FAIL, facts)
        elif lacking := [name for name in self.goal.objectives[1:] if name not in known.measures]:
            raise ValueError(
                f"A finished trial of {query.architecture} has no '{lacking[0]}': give another storage, or another "
                "name in 'study'."
            )
        else:
            self._finish(trial, TrialState.COMPLETE, facts, self._values(known.value, known.measures))

    def _finish(
        self,
        trial: optuna.Trial,
        state: TrialState,
        facts: TrialFacts,
        values: Sequence[float] | None = None,
    ) -> None:
        facts.write(trial)
        # Other processes may have given up a trial whose heartbeat was late.
        self.study.tell(trial, values, state=state, skip_if_finished=self.group is not None)


def reseed(sampler: BaseSampler, *numbers: int) -> None:
    """Set every random generator of a sampler, and of the samplers inside it, from numbers such as (seed, trial)."""
    # Optuna does not store a sampler's generator, and its own reseed_rng seeds from the operating system.
    generators = list(_generators(sampler))
    for child, generator in zip(np.random.SeedSequence(numbers).spawn(len(generators)), generators, strict=True):
        if isinstance(generator, np.random.RandomState):
            generator.seed(child.generate_state(4))
        else:
            generator.bit_generator.state = type(generator.bit_generator)(child).state


def _generators(sampler: BaseSampler) -> Iterator[np.random.RandomState | np.random.Generator]:
    """Walk the attributes of a sampler, in their order, for numpy's generators."""
    for value in vars(sampler).values():
        # Optuna wraps its generator into an object with a property that makes it at first use.
        generator = getattr(value, "rng", value)
        if isinstance(value, BaseSampler):
            yield from _generators(value)
        elif isinstance(generator, np.random.RandomState | np.random.Generator):
            yield generator
