"""What was read of a study, so that each trial is read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import is_
from threading import Lock
from typing import Self

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.searchers.identities import Identities
from lit_metanas.spaces.choice_space import ChoiceSpace

CHANCES = 2
"""How often parameters may fail before they count as tried: once may be the machine's fault."""


class Digest:
    """Finished trials, sorted.

    Attributes:
        trials: all, in the order of their numbers.
        completed: those that have a value.
        tried: for each parameter set, by its identity's number, a trial; one with a value if there is.
        by_names: the trials that asked for the same parameters.
        distributions: of all parameters that trials without a failure asked for, the last ones.
    """

    def __init__(self, identities: Identities) -> None:
        self.trials: list[FrozenTrial] = []
        self.completed: list[FrozenTrial] = []
        self.tried: dict[int, FrozenTrial] = {}
        self.by_names: dict[tuple[str, ...], list[FrozenTrial]] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        self._identities = identities
        self._failures: Counter[int] = Counter()

    def begins(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether what was read is the beginning of ``trials``: these very objects, not equal ones."""
        return len(self.trials) <= len(trials) and all(map(is_, self.trials, trials))

    def add(self, trial: FrozenTrial) -> None:
        """Read one more."""
        self.trials.append(trial)
        self.by_names.setdefault(tuple(trial.params), []).append(trial)
        number = self._identities(trial.params).number
        if trial.state == TrialState.FAIL:
            self._failures[number] += 1
            if self._failures[number] >= CHANCES:
                self.tried.setdefault(number, trial)
            return
        self.distributions.update(trial.distributions)
        if trial.state != TrialState.COMPLETE:
            self.tried.setdefault(number, trial)
            return
        self.completed.append(trial)
        if number not in self.tried or self.tried[number].state != TrialState.COMPLETE:
            self.tried[number] = trial


class Memory:
    """Remembers what is known of parameter sets, and of the study that was read last.

    It saves time and changes nothing: finished trials do not change, and others are read anew. So copies share it,
    which a copy of a sampler for each trial would lose otherwise; a pickled one begins without.

    Args:
        space: tells which architectures are the same network; None tells parameter sets apart by their values.
    """

    def __init__(self, space: ChoiceSpace | None = None) -> None:
        self.identities = Identities(space)
        self._digest = Digest(self.identities)
        self._lock = Lock()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[ChoiceSpace | None]]:
        return type(self), (self.identities.space,)

    def read(self, trials: Sequence[FrozenTrial]) -> Digest:
        """The digest of the finished ones among ``trials``. Another thread may go on reading the same study in it."""
        finished = [trial for trial in trials if trial.state.is_finished()]
        with self._lock:
            if not self._digest.begins(finished):
                self._digest = Digest(self.identities)
            for trial in finished[len(self._digest.trials) :]:
                self._digest.add(trial)
            return self._digest
