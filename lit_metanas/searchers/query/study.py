"""The Optuna study of one search: its storage, and how it is opened."""

from __future__ import annotations

import json
import logging
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

LOCK_TIMEOUT = 60.0
"""Seconds to wait for others who hold a file's lock."""


@contextmanager
def storage_faults(storage: str | BaseStorage | None) -> Iterator[None]:
    """Say in one sentence that a storage is damaged, full, locked or out of reach.

    Args:
        storage: what is used in the block: an address, a storage of Optuna's, or None for memory.

    Raises:
        ValueError: it cannot be used; the sentence names it without its password.
    """
    try:
        if isinstance(storage, str):
            _check(storage)
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error, json.JSONDecodeError, ImportError) as error:
        if not isinstance(storage, str):
            raise
        raise ValueError(
            f"The studies in '{_shown(storage)}' cannot be used ({_reason(error)}): fix that, or give another storage."
        ) from error


def _check(storage: str) -> None:
    """Look at a file of SQLite before Optuna lays out tables in it.

    Raises:
        sqlite3.Error: it is damaged, another kind of file, or a link to one elsewhere, which would be written to.
    """
    url = make_url(storage)
    if url.get_backend_name() == "sqlite" and url.database and Path(url.database).is_symlink():
        raise sqlite3.DatabaseError("it is a link to another file")
    if url.get_backend_name() != "sqlite" or not url.database or not Path(url.database).exists():
        return
    # Not read-only: what a killed process left half written has to be rolled back.
    with closing(sqlite3.connect(url.database, timeout=LOCK_TIMEOUT)) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        if tables and "studies" not in tables:
            raise sqlite3.DatabaseError("another program's data base")
        (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError("damaged")


def _shown(storage: str) -> str:
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return storage


def _reason(error: Exception) -> str:
    """What the driver said, without the statement."""
    if isinstance(error, json.JSONDecodeError):
        return "damaged"
    if isinstance(error, NoSuchModuleError):
        return "no such kind of data base"
    cause: BaseException = error
    while isinstance(cause, StorageInternalError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, DBAPIError):
        cause = cause.orig or cause
    return " ".join(str(cause).split()).rstrip(".")[:160]


def open_study(
    name: str,
    *,
    storage: str | BaseStorage | None,
    directions: Sequence[StudyDirection],
    settings: Mapping[str, Any],
    examples: str = "",
) -> optuna.Study:
    """Make a study, or find it in the storage and check that it is the same search.

    Args:
        name: of the study.
        storage: where it is kept; None is memory.
        directions: of the objectives.
        settings: what it must have in common with a study that was found.
        examples: a digest of the task's examples, which must be the same, too, where both are known.

    Raises:
        ValueError: it was made under other settings, or of other examples.
    """
    study = optuna.create_study(study_name=name, storage=storage, directions=list(directions), load_if_exists=True)
    text = json.dumps(settings, sort_keys=True)
    if study.user_attrs.get("settings", text) != text:
        raise ValueError(
            f"The study '{name}' in the storage was made with another space, estimator, sampler, fidelity or goal: "
            "give the settings it was made with, or another name in 'study'."
        )
    study.set_user_attr("settings", text)
    if examples:
        if study.user_attrs.get("examples", examples) != examples:
            raise ValueError(
                f"The study '{name}' in the storage was made of other images or labels under the same task's id: "
                "give those it was made of, or another name in 'study'."
            )
        study.set_user_attr("examples", examples)
    return study


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from reporting each trial, and from warning of what is done with care."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ExperimentalWarning)
            warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used with Study.optimize")
            yield
    finally:
        optuna.logging.set_verbosity(level)
