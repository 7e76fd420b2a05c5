"""Several processes at work on one study."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event, Thread

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import DBAPIError

from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import to_plain
from lit_metanas.searchers.query.ledger import Kept, Ledger, Query, Reservation

RETRIES = 2
"""Most further attempts to run a trial whose process dies each time."""

PAUSE = 0.1
"""Seconds between two reads of the storage."""


def trial_id(trial: Trial | FrozenTrial) -> int:
    """A trial's key in its storage, which Optuna keeps private; only this function reads it."""
    number: int = trial._trial_id
    return number


def shared_storage(url: str, heartbeat: int) -> RDBStorage:
    """A data base whose trials send heartbeats (seconds), and start again elsewhere after two missing ones."""
    patient = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None  # it may be locked for a while
    again = RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)
    connect = partial(
        RDBStorage, url, engine_kwargs=patient, heartbeat_interval=heartbeat, heartbeat_stale_trial_callback=again
    )
    try:
        return connect()
    except DBAPIError:  # two processes that find an empty data base both make its tables, and one fails
        time.sleep(10 * PAUSE)
        return connect()


class WorkerGroup:
    """Lets several processes share a study and its budget, through its storage alone."""

    def __init__(self, study: optuna.Study, storage: RDBStorage, heartbeat: int) -> None:
        self.study = study
        self.storage = storage
        self.heartbeat = heartbeat

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
        return trials

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
        # A process that dies before the first heartbeat of its trial leaves it running for ever.
        while any(t.state == TrialState.RUNNING and "alive" in t.user_attrs for t in self.revive()):
            waited = True
            time.sleep(PAUSE)
        trials = self.study.get_trials(deepcopy=False)
        ledger.read(trials)
        return waited or any(trial.state == TrialState.WAITING for trial in trials)


def _reservation(trial: FrozenTrial) -> Reservation | None:
    return Kept.of_trial(trial).reserved if trial.user_attrs.get("reserved") else None
