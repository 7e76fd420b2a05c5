"""A sampler's memory between trials: trials read once, equal parameter sets, open proposals, notes on trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from itertools import count
from operator import is_
from threading import Lock, RLock
from typing import Any, NamedTuple, Self

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from lit_metanas.spaces.choice_space import ChoiceSpace

CHANCES = 2
"""How often parameters may fail before they count as tried: once may be the machine's fault."""


def trial_id(trial: Trial | FrozenTrial) -> int:
    """A trial's key in its storage. Optuna tells it to its own samplers only; this is the one place that looks."""
    number: int = trial._trial_id
    return number


def note_on_trial(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Keep a sampler's own note with a running trial, for whoever reads the study later.

    A user attribute would show up in tables and in Optuna's dashboard, and a sampler is given no ``Trial``: like
    Optuna's own samplers this writes into the storage, which a study does not hand out.
    """
    study._storage.set_trial_system_attr(trial_id(trial), name, value)


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

    It saves time and changes nothing: finished trials do not change, and others are read again. So copies share it,
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


PREFIX = "arch."
"""Of the parameters that are a space's choices."""

EMBEDDING = "embedding"
"""The study's user attribute that holds its task's embedding."""


class Identity(NamedTuple):
    """What a parameter set is.

    Attributes:
        number: equal for equal parameter sets, and for those that stand for one canonical architecture.
        allowed: whether the architecture can be built.
        inactive: parameters that do not matter beside the others.
    """

    number: int
    allowed: bool
    inactive: frozenset[str]


class Identities:
    """Numbers parameter sets, and remembers the numbers.

    Args:
        space: tells which architectures are the same network; None tells parameter sets apart by their values.
    """

    def __init__(self, space: ChoiceSpace | None = None) -> None:
        self.space = space
        self._choices = [] if space is None else [(PREFIX + choice.name, choice.name) for choice in space.choices]
        self._seen: dict[Hashable, Identity] = {}
        self._numbers: dict[Hashable, int] = {}
        self._count = count()

    def __call__(self, parameters: Mapping[str, Any]) -> Identity:
        """The identity of a parameter set."""
        key = tuple(parameters.items())
        try:
            found = self._seen.get(key)
        except TypeError:  # a storage in memory takes labels that have no hash
            key = tuple((name, repr(value)) for name, value in key)
            found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = self._identify(dict(key))
        return found

    def equivalent(self, parameters: Mapping[str, Any], below: Callable[[int], int]) -> dict[str, Any]:
        """Parameters of the same identity, drawn where the space has several: see ``ChoiceSpace.equivalent``."""
        if self.space is None or not all(name in parameters for name, _ in self._choices):
            return dict(parameters)
        drawn = self.space.equivalent({choice: parameters[name] for name, choice in self._choices}, below)
        return {**parameters, **{name: drawn[choice] for name, choice in self._choices}}

    def _identify(self, parameters: dict[str, Any]) -> Identity:
        architecture, allowed, inactive = None, True, frozenset[str]()
        if self.space is not None and all(name in parameters for name, _ in self._choices):
            architecture = self.space.canonical({choice: parameters.pop(name) for name, choice in self._choices})
            allowed = self.space.violation(architecture) is None
            inactive = frozenset(name for name, choice in self._choices if choice not in architecture)
        others = tuple((name, _rounded(parameters[name])) for name in sorted(parameters))
        # Two threads may get here at once: what both count is kept once.
        return Identity(self._numbers.setdefault((architecture, others), next(self._count)), allowed, inactive)


def _rounded(value: Any) -> Any:
    """A step up and a step down lead back, but for the last digits."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


class Proposals:
    """Remembers what trials of this process will ask for, until their own parameters tell it.

    A trial's parameters appear in the study one by one after they were proposed. Whoever proposes for the next trial
    while holding ``lock`` misses none, so that threads never propose the same twice. Copies share what is remembered; a
    pickled one begins without.

    Attributes:
        lock: to be held from before the trials are read until what is made of them is kept.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self._kept: dict[tuple[str, int], Mapping[str, Any]] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()

    def keep(self, study: str, number: int, proposal: Mapping[str, Any]) -> None:
        """Remember the proposal for the trial with this number."""
        self._kept[study, number] = proposal

    def shown(self, study: str, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials of a study; running ones with what was proposed to them."""
        running = {trial.number for trial in trials if trial.state == TrialState.RUNNING}
        for key in [key for key in self._kept if key[0] == study and key[1] not in running]:
            del self._kept[key]
        return [self._filled(trial, self._kept.get((study, trial.number), {})) for trial in trials]

    @staticmethod
    def _filled(trial: FrozenTrial, proposal: Mapping[str, Any]) -> FrozenTrial:
        if not proposal:
            return trial
        filled = copy(trial)
        filled.params = {**proposal, **trial.params}
        return filled
