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
"""Most attempts to run a trial whose process dies each time, and to open a data base."""

PAUSE = 0.1
"""Seconds between two reads of the storage."""


class _SharedStorage(RDBStorage):
    """A data base in which only one process can start, or give up, a trial."""

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Read a state and change it, locked against other processes."""
        # Optuna's FOR UPDATE has no effect in SQLite: two processes could both start a waiting trial, or both give up
        # one of a dead process. The session is Optuna's own in this thread, which commits it or rolls it back.
        if self.engine.dialect.name == "sqlite":
            session = self.scoped_session()
            try:
                session.execute(text("BEGIN IMMEDIATE"))
            except DBAPIError:  # another process held the lock for too long
                session.close()
                raise
        return super().set_trial_state_values(trial_id, state, values)


def shared_storage(url: str, heartbeat: int) -> RDBStorage:
    """A data base whose trials send heartbeats (seconds), and start again elsewhere after two missing ones."""
    patient = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None  # it may be locked for a while
    for attempt in range(1, TRIES + 1):
        try:
            return _SharedStorage(
                url, engine_kwargs=patient, heartbeat_interval=heartbeat, heartbeat_stale_trial_callback=retry
            )
        except DBAPIError:  # two processes that find an empty data base both make its tables, and one fails
            if attempt == TRIES:
                raise
            time.sleep(10 * attempt * PAUSE)
    raise AssertionError


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue the trial of a dead process again, unless it has cost ``TRIES`` processes."""
    tries = Kept.of_trial(trial).tries
    if tries < TRIES:
        study.enqueue_trial(trial.params, user_attrs={"tries": tries + 1, "retry of": trial.number})


class WorkerGroup:
    """Lets several processes share a study and its budget, through its storage alone."""

    def __init__(self, study: optuna.Study, storage: RDBStorage, heartbeat: int) -> None:
        self.study = study
        self.storage = storage
        self.heartbeat = heartbeat
        self._unheard: dict[int, float] = {}

    @contextmanager
    def beating(self, trial: optuna.Trial) -> Iterator[None]:
        """Send heartbeats for a trial during the block."""
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
        """Queue the trials of dead processes again, and return all trials."""
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
        """Give up a trial whose process died before its first heartbeat, and queue its parameters again."""
        with suppress(UpdateFinishedTrialError):
            mine = self.storage.set_trial_state_values(trial_id(trial), TrialState.FAIL)
            if mine and "fixed_params" in trial.system_attrs:
                self.study.enqueue_trial(trial.system_attrs["fixed_params"], user_attrs=trial.user_attrs)

    def reserve(self, trial: optuna.Trial, query: Query, planned: Cost, ledger: Ledger) -> Cost:
        """Reserve a trial's cost, wait for an earlier trial with the same query, and give the earlier reservations."""
        # Lamport's bakery (1974): a process announces that it takes a turn, waits for others that still take theirs,
        # and goes by the smaller turn, then by the smaller number. Of any two, one thus sees the other, so that they
        # cannot overdraw the budget or score the same. A number is not enough: a trial that starts again keeps it.
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
        """Wait until no process runs a trial, and read them all; whether there may be more to do."""
        waited = False
        while any(trial.state == TrialState.RUNNING for trial in self.revive()):
            waited = True
            time.sleep(PAUSE)
        trials = self.study.get_trials(deepcopy=False)
        ledger.read(trials)
        return waited or any(trial.state == TrialState.WAITING for trial in trials)


def _reservation(trial: FrozenTrial) -> Reservation | None:
    if not trial.user_attrs.get("reserved"):
        return None
    return Kept.of_trial(trial).reserved
