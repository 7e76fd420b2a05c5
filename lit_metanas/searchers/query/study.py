"""The Optuna study of a search: its storage, how it is opened, the processes that share it, and its record."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event, Thread
from traceback import walk_tb
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from lit_metanas.estimators.estimator import Query
from lit_metanas.io.text import number_of, printable, without_passwords
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import Budget, Cost, FailedWorkError, SearchRecord, Trial
from lit_metanas.searchers.query.ledger import Ledger, Reservation, TrialFacts
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace

LOCK_TIMEOUT = 60.0  # seconds to wait for other processes that hold a file's lock


@contextmanager
def open_storage(
    storage: str | BaseStorage | None, connect: Callable[[str], RDBStorage] = RDBStorage
) -> Iterator[BaseStorage | None]:
    """Open an address for the block, and close it in the end; a storage of Optuna's, or None, is passed through."""
    if not isinstance(storage, str):
        yield storage
        return
    connected = None
    try:
        _check(storage)
        connected = connect(storage)
        yield connected
    except Exception as error:
        if not (isinstance(error, _OF_STORAGES) or _within_storage(error)):
            raise
        reason = _reason(error)
        kind = FailedWorkError if "disk is full" in reason else ValueError  # SQLite's words
        raise kind(
            f"The studies in '{without_passwords(storage)}' cannot be used ({reason}): fix that, or give another "
            "storage."
        ) from error
    finally:
        if connected is not None:
            connected.remove_session()
            connected.engine.dispose()


_OF_STORAGES = (SQLAlchemyError, StorageInternalError, sqlite3.Error, json.JSONDecodeError, ImportError)


def _within_storage(error: BaseException) -> bool:
    """Whether an error, whatever its type, arose while Optuna read the data base."""
    names = (str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__))
    return any(name.startswith(("optuna.storages.", "optuna.distributions", "sqlalchemy.")) for name in names)


_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
"""The end of a journal that names another file, which SQLite deletes in the end."""


def _check(storage: str) -> None:
    """Refuse a file of SQLite that is damaged, foreign, a link, or more than tables, before Optuna writes to it."""
    url = make_url(storage)
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    file = Path(url.database.removeprefix("file:").partition("?")[0])
    if file.is_symlink():
        raise sqlite3.DatabaseError("it is a link to another file")
    for helper in (Path(f"{file}{suffix}") for suffix in ("-journal", "-wal", "-shm")):
        if helper.is_symlink() or (helper.exists() and (not helper.is_file() or helper.stat().st_nlink > 1)):
            raise sqlite3.DatabaseError(f"'{helper}' is a link or not a regular file")
    journal = Path(f"{file}-journal")
    if journal.is_file() and journal.stat().st_size >= len(_NAMES_ANOTHER):
        with journal.open("rb") as stream:
            stream.seek(-len(_NAMES_ANOTHER), os.SEEK_END)
            if stream.read() == _NAMES_ANOTHER:
                raise sqlite3.DatabaseError(f"'{journal}' names another file, which would be deleted")
    if not file.exists():
        return
    # Not read-only: the half-written changes of a killed process have to be rolled back.
    with closing(sqlite3.connect(file, timeout=LOCK_TIMEOUT)) as connection:
        try:
            parts = list(connection.execute("select type, name, coalesce(sql, '') from sqlite_master"))
        except (UnicodeDecodeError, sqlite3.OperationalError) as error:  # of the message, or of the table's content
            if "decode" in str(error):
                raise sqlite3.DatabaseError("damaged") from None
            raise
        tables = {name for kind, name, _ in parts if kind == "table"}
        if tables and "studies" not in tables:
            raise sqlite3.DatabaseError("another program's data base")
        if any(kind not in ("table", "index") or "virtual" in sql.lower() for kind, _, sql in parts):
            raise sqlite3.DatabaseError("it does more than hold tables")  # a view may have rows without end
        (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError("damaged")


def _reason(error: Exception) -> str:
    """The driver's message, without the statement."""
    if not isinstance(error, _OF_STORAGES) or isinstance(error, json.JSONDecodeError):
        return "damaged"
    if isinstance(error, NoSuchModuleError):
        return "no such kind of data base"
    cause: BaseException = error
    while isinstance(cause, StorageInternalError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, DBAPIError):
        cause = cause.orig or cause
    return " ".join(str(cause).split()).rstrip(".")[:160]


IDENTITY = "search"  # the study's user attribute with the fields of its record, without trials, for later readers


def open_study(
    name: str, record: SearchRecord, *, storage: BaseStorage | None, settings: Mapping[str, Any]
) -> optuna.Study:
    """Make the study of a record, or find it in the storage; ValueError if it has other settings."""
    directions = [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * (len(record.objectives) - 1)]
    study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
    text = json.dumps(settings, sort_keys=True)
    if len(study.directions) != len(directions) or study.user_attrs.get("settings", text) != text:
        raise ValueError(
            f"The study '{name}' in the storage was made with another space, estimator, sampler, fidelity or goal, or "
            "of other examples: give those it was made with, or another name in 'study'."
        )
    study.set_user_attr("settings", text)
    fields = to_plain(record)
    del fields["trials"]
    study.set_user_attr(IDENTITY, fields)
    study.set_metric_names(list(record.objectives))
    return study


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from reporting each trial, and from warnings that do not apply here."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ExperimentalWarning)
            warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used with Study.optimize")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def record_of(
    study: optuna.Study, space: ChoiceSpace | None = None, *, task: str = "", prefix: str = PREFIX
) -> SearchRecord:
    """The record of a study, exact for this project's searches, and as complete as possible for other studies.

    In other studies the first objective is the score, with the opposite sign if it is minimised. Each completed or
    pruned trial cost one query. Failed trials, and trials without an architecture of the space, are left out; a warning
    counts the latter.

    Args:
        study: of one task. Several studies of one task are one source for methods that learn from their records.
        space: the space of the parameters; only this project's searches know their own.
        task: the task's id; by default the study's user attribute ``task``, or else the study's name.
        prefix: of the parameters of another program's trials that are choices.

    Raises:
        ValueError: no trial has an architecture, the space is missing, or the study's attributes cannot be read.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> class Depths(lm.spaces.ChoiceSpace):
        ...     choices = (lm.spaces.Choice("depth", (1, 2, 3)),)
        >>> study = optuna.create_study(study_name="letters")
        >>> study.optimize(lambda trial: 1 / trial.suggest_int("depth", 1, 3), n_trials=1)
        >>> lm.searchers.record_of(study, Depths(), prefix="").choices
        {'depth': ('1', '2', '3')}
    """
    try:
        if IDENTITY in study.user_attrs:
            record = from_plain(SearchRecord, study.user_attrs[IDENTITY], f"study '{study.study_name}'")
            record.task_id = task or record.task_id
            Ledger(Budget(), record).read(study.get_trials(deepcopy=False))
        elif space is None:
            raise ValueError("give the space of its parameters.")
        else:
            record = _foreign_record(study, space, task, prefix)
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(f"The study '{study.study_name}' cannot be read: {error}") from None
    if not record.trials:
        raise ValueError(f"The study '{study.study_name}' has no finished trial.")
    return record


def _foreign_record(study: optuna.Study, space: ChoiceSpace, task: str, prefix: str) -> SearchRecord:
    record = SearchRecord(str(task or study.user_attrs.get("task") or study.study_name), space=space.name)
    record.choices = {choice.name: space.proposed_labels(choice) for choice in space.choices}
    if record.task_id != study.study_name:
        record.method = study.study_name  # merged files keep one search of a task, space, method and seed
    sign = {StudyDirection.MAXIMIZE: 1.0}.get(study.directions[0], -1.0)
    lost: list[str] = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        if not trial.values:
            continue
        try:
            architecture = space.from_parameters(trial.params, prefix)
        except ValueError as error:
            lost.append(printable(str(error), 300))
            continue
        cost, pruned = Cost(queries=len(record.trials) + 1), trial.state == TrialState.PRUNED
        record.trials.append(Trial(architecture, sign * trial.values[0], cost, pruned=pruned))
    if lost and not record.trials:
        raise ValueError(f"no trial has an architecture of {space.name}. {lost[0]} Give its space and prefix.")
    if lost:
        warnings.warn(
            f"The record leaves out {len(lost)} of {number_of(len(lost) + len(record.trials), 'trial')} of the study "
            f"'{study.study_name}': {lost[0]}",
            stacklevel=3,
        )
    return record


RETRIES = 2  # most further attempts to run a trial whose process dies each time

PAUSE = 0.1  # seconds between two reads of the storage


def trial_id(trial: optuna.Trial | FrozenTrial) -> int:
    """A trial's key in its storage, which Optuna keeps private; only this function reads it."""
    return trial._trial_id


def shared_storage(url: str, heartbeat: int) -> RDBStorage:
    """A data base whose trials send heartbeats (seconds), and start again elsewhere after two missing ones."""
    patient = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None  # it may be locked for a while
    connect = partial(
        RDBStorage,
        url,
        engine_kwargs=patient,
        heartbeat_interval=heartbeat,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
    )
    try:
        return connect()
    except DBAPIError:  # two processes that find an empty data base both make its tables, and one fails
        time.sleep(10 * PAUSE)
        return connect()


@dataclass
class WorkerGroup:
    """Lets several processes share a study and its budget, through its storage alone."""

    study: optuna.Study
    storage: RDBStorage
    heartbeat: int  # seconds between two heartbeats

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
        return self.study.get_trials(deepcopy=False)

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
            if all(one.turn and Query.of(one.architecture, one.recipe) != query for one in ahead):
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
    return TrialFacts.of_trial(trial).reserved if trial.user_attrs.get("reserved") else None
