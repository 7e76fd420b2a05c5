"""Asking trial after trial of a study, and going on where an interrupted search stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from copy import deepcopy

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from lit_metanas.records.budget import Exhausted
from lit_metanas.searchers.query.ledger import Query
from lit_metanas.searchers.query.scoring import Scoring
from lit_metanas.searchers.samplers.memory import trial_id


class TrialLoop:
    """Asks a study for trials and has them scored, until the budget, a limit or the space ends it.

    Samplers and pruners remember what they saw: each trial gets new copies of both, which see the stored trials alone.
    A trial that an interrupted search left unfinished is taken over, under its number and with what it had drawn; one
    that was not drawn to its end is drawn again.

    Args:
        scoring: scores the study's trials.
        sampler: draws.
        pruner: gives up; None never does.
        seed: of all draws.
        trials: most trials; None is no limit.
        patience: trials at no cost in a row that end it.
        refusals: trials in a row, but for known ones, that are too dear and end it.
        worker: this process's number among several; None where it is the only one.

    Attributes:
        trained: the query that would be chosen, with what was trained for it, if it was scored by this process.
    """

    def __init__(
        self,
        scoring: Scoring,
        *,
        sampler: BaseSampler,
        pruner: BasePruner | None,
        seed: int,
        trials: int | None,
        patience: int,
        refusals: int,
        worker: int | None,
    ) -> None:
        self.scoring = scoring
        self.study, self.ledger, self.group = scoring.study, scoring.ledger, scoring.group
        self.sampler, self.pruner = sampler, pruner
        self.seeds = (seed,) if worker is None else (seed, worker)
        self.trials, self.patience, self.refusals = trials, patience, refusals
        self.trained: tuple[Query, dict[str, Tensor] | None] | None = None
        self._left: list[FrozenTrial] = []

    def run(self) -> None:
        """Go on until the end; with others at work, until they have finished, too."""
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
        within = self.trials is None or ledger.finished < self.trials
        return within and ledger.free < self.patience and ledger.refused < self.refusals and not ledger.over

    def _one(self) -> None:
        """Ask one trial, score it, and enter what it came to."""
        self.study.sampler, self.study.pruner = deepcopy(self.sampler), deepcopy(self.pruner) or NopPruner()
        reseed(self.study.sampler, self.seeds[0], self.ledger.finished, *self.seeds[1:])
        trial, reported = self._next()
        scored = None
        # Others give up a trial that has no heartbeat, and start it again: what comes of it here is lost.
        alive, lost = (self.group.beating(trial), (UpdateFinishedTrialError,)) if self.group else (nullcontext(), ())
        with suppress(*lost), alive:
            scored = self.scoring.tell(trial, reported)
        self.ledger.read(self._all())
        if scored is not None and self.ledger.is_best(scored[0]):
            self.trained = scored

    def _next(self) -> tuple[optuna.Trial, list[int]]:
        """A trial, and the steps of it that its pruner was told of."""
        while self._left:
            left = self._left.pop(0)
            if "drawn" in left.user_attrs:
                return optuna.Trial(self.study, trial_id(left)), list(left.intermediate_values)
            # It was broken off between two draws, of which the second would now be another: both are drawn again.
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
    """Set every random generator of a sampler, and of the samplers inside it, from numbers such as (seed, trial).

    Optuna does not store a sampler's generator, and its own ``reseed_rng`` seeds from the operating system.
    """
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
