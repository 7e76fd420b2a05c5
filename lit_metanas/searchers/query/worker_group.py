"""Several processes at work on one study."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import optuna
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError

from lit_metanas.records.budget import Cost
from lit_metanas.searchers.query.ledger import Ledger
from lit_metanas.searchers.samplers.memory import trial_id

TRIES = 3
"""How often a trial is begun whose process dies each time, and a data base is opened."""

PAUSE = 0.1
"""Seconds between two looks at the storage."""


def team_storage(url: str, heartbeat: int) -> RDBStorage:
    """A data base in which trials show that they are alive, and are started again elsewhere if they no longer do.

    Args:
        url: its address.
        heartbeat: seconds between two heartbeats; a trial is given up after two without.
    """
    patient = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None  # others may hold its lock
    for attempt in range(1, TRIES + 1):
        try:
            return RDBStorage(
                url, engine_kwargs=patient, heartbeat_interval=heartbeat, heartbeat_stale_trial_callback=retry
            )
        except DBAPIError:  # of two processes that find an empty data base and lay it out, one comes too late
            if attempt == TRIES:
                raise
            time.sleep(10 * attempt * PAUSE)
    raise AssertionError


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial again whose process died, unless it has cost ``TRIES`` processes."""
    tries = trial.user_attrs.get("tries", 1)
    if tries < TRIES:
        study.enqueue_trial(trial.params, user_attrs={"tries": tries + 1, "retry of": trial.number})


class WorkerGroup:
    """What one of several processes knows of the others, all of it through the storage.

    The budget is the study's: a process sets aside what its trial will cost before it begins. It counts what is set
    aside by trials of smaller numbers, and waits until each of those has said what it needs: so two that begin at
    once cannot overdraw it.

    Args:
        study: the study, in ``storage``.
        storage: what ``team_storage`` gave.
        heartbeat: seconds between two heartbeats.
    """

    def __init__(self, study: optuna.Study, storage: RDBStorage, heartbeat: int) -> None:
        self.study = study
        self.storage = storage
        self.heartbeat = heartbeat
        self._silent: dict[int, float] = {}

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
        silent = {t.number for t in trials if t.state == TrialState.RUNNING and "alive" not in t.user_attrs}
        now = time.monotonic()
        self._silent = {number: self._silent.get(number, now) for number in silent}
        for number, since in self._silent.items():
            if now - since > 2 * self.heartbeat:  # its process died before its first heartbeat: nothing is lost
                self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        return trials

    def reserve(self, trial: optuna.Trial, planned: Cost, ledger: Ledger) -> Cost:
        """Set aside what a trial will cost, and return what trials of smaller numbers in other hands have set aside.

        The ledger is brought up to date.
        """
        trial.set_user_attr("reserved", {"queries": planned.queries, "flops": planned.flops})
        while True:
            trials = self.revive()
            ahead = [t for t in trials if t.state == TrialState.RUNNING and t.number < trial.number]
            if all("reserved" in other.user_attrs for other in ahead):
                ledger.read(trials)
                return sum((Cost(**other.user_attrs["reserved"]) for other in ahead), Cost())
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
