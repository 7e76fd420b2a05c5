"""Several processes at work on one study."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event, Thread

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import to_plain
from lit_metanas.searchers.query.ledger import Kept, Ledger, Query, Reservation
from lit_metanas.searchers.samplers.memory import trial_id

TRIES = 3
"""How often a trial is begun whose process dies each time, and a data base is opened."""

PAUSE = 0.1
"""Seconds between two looks at the storage."""


class _SharedStorage(RDBStorage):
    """A data base in which a trial is begun, or given up, by one process alone."""

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Read a state and change it while nobody else does.

        Optuna asks for this by FOR UPDATE, which SQLite leaves out: two processes would both read that a trial waits,
        and both begin it; or both give up that of a dead one, and have it begun twice. The session is Optuna's own in
        this thread, which it commits or rolls back.
        """
        if self.engine.dialect.name == "sqlite":
            session = self.scoped_session()
            try:
                session.execute(text("BEGIN IMMEDIATE"))
            except DBAPIError:  # others held the lock for too long
                session.close()
                raise
        return super().set_trial_state_values(trial_id, state, values)


def shared_storage(url: str, heartbeat: int) -> RDBStorage:
    """A data base in which trials show that they are alive, and are started again elsewhere if they no longer do.

    Args:
        url: its address.
        heartbeat: seconds between two heartbeats; a trial is given up after two without.
    """
    patient = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None  # others may hold its lock
    for attempt in range(1, TRIES + 1):
        try:
            return _SharedStorage(
                url, engine_kwargs=patient, heartbeat_interval=heartbeat, heartbeat_stale_trial_callback=retry
            )
        except DBAPIError:  # of two processes that find an empty data base and lay it out, one comes too late
            if attempt == TRIES:
                raise
            time.sleep(10 * attempt * PAUSE)
    raise AssertionError


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial again whose process died, unless it has cost ``TRIES`` processes."""
    tries = Kept.of_trial(trial).tries
    if tries < TRIES:
        study.enqueue_trial(trial.params, user_attrs={"tries": tries + 1, "retry of": trial.number})


class WorkerGroup:
    """What one of several processes knows of the others, all of it through the storage.

    The budget is the study's: a process sets aside what its trial will cost before it begins, and counts what trials
    that began before have set aside: so two that begin at once cannot overdraw it. Nor do two score the same: the one
    that began later waits for the other's score, or for its process's end.

    Args:
        study: the study, in ``storage``.
        storage: what ``shared_storage`` gave.
        heartbeat: seconds between two heartbeats.
    """

    def __init__(self, study: optuna.Study, storage: RDBStorage, heartbeat: int) -> None:
        self.study = study
        self.storage = storage
        self.heartbeat = heartbeat
        self._unheard: dict[int, float] = {}

    @contextmanager
    def beating(self, trial: optuna.Trial) -> Iterator[None]:
        """Send heartbeats for a trial meanwhile."""
        number, over = trial_id(trial), Event()
        self.storage.record_heartbeat(number)
        trial.set_user_attr("alive", True)

        def beat() -> None:
            while not over.wait(self.heartbeat):
                self.storage.record_heartbeat(number)

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def revive(self) -> list[FrozenTrial]:
        """Queue the trials again whose processes died, and return all trials."""
        fail_stale_trials(self.study)
        trials: list[FrozenTrial] = self.study.get_trials(deepcopy=False)
        unheard = {t.number: t for t in trials if t.state == TrialState.RUNNING and "alive" not in t.user_attrs}
        now = time.monotonic()
        self._unheard = {number: self._unheard.get(number, now) for number in unheard}
        for number, since in self._unheard.items():
            if now - since > 2 * self.heartbeat:
                self._give_up(unheard[number])
        return trials

    def _give_up(self, trial: FrozenTrial) -> None:
        """Give up a trial whose process died before its first heartbeat; only what was queued for it would be lost."""
        with suppress(UpdateFinishedTrialError):
            mine = self.storage.set_trial_state_values(trial_id(trial), TrialState.FAIL)
            if mine and "fixed_params" in trial.system_attrs:
                self.study.enqueue_trial(trial.system_attrs["fixed_params"], user_attrs=trial.user_attrs)

    def reserve(self, trial: optuna.Trial, query: Query, planned: Cost, ledger: Ledger) -> Cost:
        """Set aside what a trial will cost, and wait while a trial that began before is scoring the same.

        Turns are taken as in Lamport's bakery (1974): who looks for the last turn says so; who has one waits for those
        that still look, and goes by the smaller turn, and of equal ones by the smaller number. So of any two one sees
        the other before it. A trial's number alone would not do: one that is begun again has had it for long.

        Returns:
            What trials that began before have set aside; the ledger is brought up to date.
        """
        own = Reservation(0, planned.queries, planned.flops, query.architecture, dict(query.recipe))
        trial.set_user_attr("reserved", to_plain(own))
        turns = [reserved.turn for reserved in map(_reservation, self.study.get_trials(deepcopy=False)) if reserved]
        own = replace(own, turn=1 + max(turns))
        trial.set_user_attr("reserved", to_plain(own))
        while True:
            trials = self.revive()
            running = [t for t in trials if t.state == TrialState.RUNNING and t.number != trial.number]
            begun = [(reserved, t.number) for t in running if (reserved := _reservation(t))]
            ahead = [reserved for reserved, number in begun if (reserved.turn, number) < (own.turn, trial.number)]
            if all(reserved.turn and reserved.query != query for reserved in ahead):
                ledger.read(trials)
                return sum((Cost(queries=reserved.queries, flops=reserved.flops) for reserved in ahead), Cost())
            time.sleep(PAUSE)

    def wait(self, ledger: Ledger) -> bool:
        """Wait until no process has a trial in hand, and bring the ledger up to date.

        Returns:
            Whether there may be something to do: others were at work until now, or trials are queued.
        """
        waited = False
        while any(trial.state == TrialState.RUNNING for trial in self.revive()):
            waited = True
            time.sleep(PAUSE)
        trials = self.study.get_trials(deepcopy=False)
        ledger.read(trials)
        return waited or any(trial.state == TrialState.WAITING for trial in trials)


def _reservation(trial: FrozenTrial) -> Reservation | None:
    return Kept.of_trial(trial).reserved if trial.user_attrs.get("reserved") else None
