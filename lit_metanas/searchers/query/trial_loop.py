"""Runs trial after trial of a study, scores each, and continues an interrupted search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from math import isnan
from time import perf_counter

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.estimators.estimator import FAILURES, Estimator, reason_of
from lit_metanas.io.text import number_of
from lit_metanas.records.budget import Cost, Exhausted, FailedWorkError
from lit_metanas.records.plain import to_plain
from lit_metanas.records.record import Trial
from lit_metanas.searchers.query.ledger import Ledger, Query, Refusal, trial_attributes
from lit_metanas.searchers.query.objectives import Objectives, RecipeRange, suggest_recipe
from lit_metanas.searchers.query.worker_group import WorkerGroup
from lit_metanas.searchers.samplers.memory import trial_id
from lit_metanas.spaces.choice_space import ChoiceSpace

ScoredQuery = tuple[Query, dict[str, Tensor] | None]
"""A query that was scored, and its weights if the estimator gives any."""


@dataclass
class Scoring:
    """Scores the trials of one study, and writes all facts of a trial into the study before the trial is finished."""

    study: optuna.Study
    space: ChoiceSpace
    estimator: Estimator
    ledger: Ledger
    goal: Objectives
    fidelity: float
    ranges: Mapping[str, RecipeRange]
    failures: int  # in a row, which stop the search
    group: WorkerGroup | None  # the other processes, if there are any
    streak: int = 0  # failures in a row so far

    def tell(self, trial: optuna.Trial) -> ScoredQuery | None:
        """Score one trial; give its query and weights if it was scored."""
        architecture = self.space.suggest(trial)
        recipe = suggest_recipe(trial, self.ranges)
        trial.set_user_attr("drawn", True)
        if (reason := self.space.violation(architecture)) is not None:
            self._refuse(trial, "violation", reason)
            return None
        query = Query.of(architecture, recipe)
        if (known := self.ledger.known.get(query)) is not None:
            self._repeat(trial, query, known)
            return None
        return self._try(trial, query)

    def _try(self, trial: optuna.Trial, query: Query) -> ScoredQuery | None:
        """Measure, and score if the constraints are met."""
        planned, begin = Cost(), perf_counter()
        measures: dict[str, float] = {}
        try:
            estimator = query.under(self.estimator)
            measures = self.goal.measure(estimator, query.architecture)
            self._constrain(trial, measures)
            if reason := self.goal.violation(measures):
                self._refuse(trial, "constraint", reason)
                return None
            planned = estimator.cost(query.architecture, self.fidelity)
            if not self._reserve(trial, query, planned):
                return None
            if (known := self.ledger.known.get(query)) is not None:  # another process has scored it
                self._repeat(trial, query, known)
                return None
            score = estimator(query.architecture, fidelity=self.fidelity)
            if isnan(score.value):
                raise ArithmeticError("its score is not a number")
        except FAILURES as error:
            self._fail(trial, query, planned + Cost(seconds=perf_counter() - begin), reason_of(error), measures)
            return None
        cost = replace(score.cost, seconds=perf_counter() - begin)
        self._note(trial, query, cost, measures=measures, fidelity=self.fidelity)
        self.streak = 0
        if score.weights:
            trial.set_user_attr("trained", True)
        self._finish(trial, values=[score.value, *(measures[name] for name in self.goal.objectives[1:])])
        return query, score.weights

    def _reserve(self, trial: optuna.Trial, query: Query, planned: Cost) -> bool:
        """Whether to start a trial: not if it costs too much, which prunes it; Exhausted if nothing is left."""
        others = Cost()
        if self.group is not None:
            others = self.group.reserve(trial, query, planned, self.ledger)
        budget = self.ledger.budget
        if query in self.ledger.known or budget.affords(others + planned):
            return True
        spent, reason = budget.spent, "the budget does not pay for it"
        too_dear = not budget.affords(planned)
        if too_dear:
            refusal = Refusal((planned.queries, planned.flops), (spent.queries, spent.flops))
            trial.set_user_attr("refusal", to_plain(refusal))
        if too_dear and not budget.used_up:
            if budget.flops is not None:
                left = budget.flops - spent.flops
                reason = f"it costs {planned.flops:,} FLOPs, and the budget has {left:,} left"
            trial.set_user_attr("architecture", query.architecture.to_json())
            trial.set_user_attr("recipe", dict(query.recipe))
            self._refuse(trial, "unpaid", reason)
            return False
        trial.set_user_attr("unpaid", reason)  # explains the failed trial to a reader of the study
        self._finish(trial, state=TrialState.FAIL)
        raise Exhausted

    def again(self, query: Query) -> dict[str, Tensor] | None:
        """Train a query again, without charge, whose weights were lost with a killed process."""
        try:
            return query.under(self.estimator)(query.architecture, fidelity=self.fidelity).weights
        except FAILURES:
            return None

    def _constrain(self, trial: optuna.Trial, measures: Mapping[str, float]) -> None:
        if not measures:
            return
        for name, excess in self.goal.excess(measures).items():
            if name not in trial.constraints:  # a resumed trial may have it
                trial.set_constraint(name, excess)

    def _repeat(self, trial: optuna.Trial, query: Query, known: Trial) -> None:
        """Finish a trial with the known result, at no cost."""
        self._constrain(trial, known.measures)
        self._note(trial, query, Cost(), measures=known.measures, fidelity=known.fidelity)
        if known.failure:
            trial.set_user_attr("failure", known.failure)
            self._finish(trial, state=TrialState.FAIL)
        else:
            for name in self.goal.objectives[1:]:
                if name not in known.measures:
                    what = f"A finished trial of {query.architecture} has no '{name}'"
                    raise ValueError(f"{what}: give another storage, or another name in 'study'.")
            self._finish(trial, values=[known.value, *(known.measures[name] for name in self.goal.objectives[1:])])

    def _refuse(self, trial: optuna.Trial, what: str, reason: str) -> None:
        """Give a trial up before anything was paid."""
        trial.set_user_attr(what, reason)
        self._finish(trial, state=TrialState.PRUNED)

    def _fail(self, trial: optuna.Trial, query: Query, cost: Cost, reason: str, measures: Mapping[str, float]) -> None:
        """Keep the reason, and charge the training in full; FailedWorkError after too many in a row."""
        trial.set_user_attr("failure", reason)
        self._note(trial, query, cost, measures=measures)
        self._finish(trial, state=TrialState.FAIL)
        self.streak += 1
        if self.streak >= self.failures:
            raise FailedWorkError(
                f"The search was stopped after {number_of(self.streak, 'failure')} in a row, the last of "
                f"{query.architecture}: {reason}. Fix the cause and start it again, or raise 'failures'."
            )

    def _note(
        self,
        trial: optuna.Trial,
        query: Query,
        cost: Cost,
        *,
        measures: Mapping[str, float],
        fidelity: float | None = None,
    ) -> None:
        """Write the facts of a trial into the study."""
        for name, value in trial_attributes(query, cost, measures=measures, fidelity=fidelity).items():
            trial.set_user_attr(name, value)

    def _finish(
        self, trial: optuna.Trial, *, values: Sequence[float] | None = None, state: TrialState | None = None
    ) -> None:
        # Other processes may have given up a trial whose heartbeat was late.
        self.study.tell(trial, values, state=state, skip_if_finished=self.group is not None)


@dataclass
class TrialLoop:
    """Asks a study for trials and scores them, until the budget, a limit or the space ends the search."""

    scoring: Scoring
    sampler: BaseSampler
    seeds: tuple[int, ...]  # of the search, and of this process if there are several
    trials: float  # most trials
    patience: int
    refusals: int
    trained: ScoredQuery | None = None  # the best query, if scored by this process

    def __post_init__(self) -> None:
        self.study, self.ledger, self.group = self.scoring.study, self.scoring.ledger, self.scoring.group
        self._left: list[FrozenTrial] = []  # unfinished trials of an interrupted search

    def run(self) -> None:
        """Run until the end; with other processes, until all have finished."""
        with suppress(Exhausted):
            self.ledger.read(self._all())
            if self.group is None:
                self._left = [trial for trial in self._all() if trial.state == TrialState.RUNNING]
            self._rounds()
            while self.group is not None and self.group.wait(self.ledger) and self._open():
                self._rounds()

    def _rounds(self) -> None:
        with suppress(Exhausted):
            while self._open():
                self._one()

    def _open(self) -> bool:
        ledger = self.ledger
        within = ledger.finished < self.trials and ledger.free < self.patience and ledger.refused < self.refusals
        return within and not ledger.over

    def _one(self) -> None:
        """Ask one trial, score it, and enter its result."""
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
            scored = self.scoring.tell(trial)
        self.ledger.read(self._all())
        if scored is not None and self.ledger.is_best(scored[0]):
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

    def _all(self) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = self.study.get_trials(deepcopy=False)
        return trials


def reseed(sampler: BaseSampler, *numbers: int) -> None:
    """Set every random generator of a sampler, and of the samplers inside it, from numbers such as (seed, trial)."""
    # Optuna does not store a sampler's generator, and its own reseed_rng seeds from the operating system.
    sequence = np.random.SeedSequence(numbers)
    for child, generator in zip(sequence.spawn(len(found := list(_generators(sampler, set())))), found, strict=True):
        if isinstance(generator, np.random.RandomState):
            generator.seed(child.generate_state(4))
        else:
            generator.bit_generator.state = type(generator.bit_generator)(child).state


def _generators(value: object, seen: set[int]) -> Iterator[np.random.RandomState | np.random.Generator]:
    """Walk the attributes of a sampler, in their order, for numpy's generators."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.random.RandomState | np.random.Generator):
        yield value
    elif isinstance(value, BaseSampler):
        for attribute in vars(value).values():
            yield from _generators(attribute, seen)
    else:  # Optuna wraps its generator into an object with a property that makes it at first use
        inner = getattr(value, "rng", None)
        if isinstance(inner, np.random.RandomState | np.random.Generator):
            yield from _generators(inner, seen)
