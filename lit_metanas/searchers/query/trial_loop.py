"""Runs trial after trial of a study, and continues an interrupted search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.records.budget import Exhausted
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.searchers.query.scoring import Scoring
from lit_metanas.searchers.samplers.memory import trial_id


@dataclass
class TrialLoop:
    """Asks a study for trials and scores them, until the budget, a limit or the space ends the search."""

    scoring: Scoring
    sampler: BaseSampler
    pruner: BasePruner
    seeds: tuple[int, ...]  # of the search, and of this process if there are several
    trials: float  # most trials
    patience: int
    refusals: int
    trained: tuple[Query, dict[str, Tensor] | None] | None = None  # the best query, if scored by this process

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
        # New copies for each trial: samplers and pruners have a memory, and should see only the stored trials.
        self.study.sampler, self.study.pruner = deepcopy(self.sampler), deepcopy(self.pruner)
        reseed(self.study.sampler, self.seeds[0], self.ledger.finished, *self.seeds[1:])
        trial, reported = self._next()
        scored = None
        with ExitStack() as shared:
            if self.group is not None:
                # Other processes give up a trial without heartbeat, and start it again: its result here is lost.
                shared.enter_context(suppress(UpdateFinishedTrialError))
                shared.enter_context(self.group.beating(trial))
            scored = self.scoring.tell(trial, reported)
        self.ledger.read(self._all())
        if scored is not None and self.ledger.is_best(scored[0]):
            self.trained = scored

    def _next(self) -> tuple[optuna.Trial, list[int]]:
        """A trial, and the steps of it that its pruner has seen; trials of an interrupted search come first."""
        while self._left:
            left = self._left.pop(0)
            if "drawn" in left.user_attrs:
                return optuna.Trial(self.study, trial_id(left)), list(left.intermediate_values)
            # It was interrupted between two draws. The second would now differ, so both are drawn again.
            self.study.tell(left.number, state=TrialState.FAIL)
            if "fixed_params" in left.system_attrs:
                self.study.enqueue_trial(left.system_attrs["fixed_params"])
        if self.group is not None:
            self.group.revive()
        return self.study.ask(), []

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
