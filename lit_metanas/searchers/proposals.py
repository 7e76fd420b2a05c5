"""What was proposed to trials that do not show it yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from threading import RLock
from typing import Any, Self

from optuna.trial import FrozenTrial, TrialState


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
