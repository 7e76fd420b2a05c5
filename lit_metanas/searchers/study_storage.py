"""Where Optuna keeps studies: looked at before it is used, and its faults in one sentence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

PATIENCE = 60.0
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
            f"The studies in '{_shown(storage)}' cannot be used ({_reason(error)}): mend that, or give another storage."
        ) from error


def _check(storage: str) -> None:
    """Look at a file of SQLite before Optuna lays out tables in it.

    Raises:
        sqlite3.Error: it is damaged or another kind of file.
    """
    url = make_url(storage)
    if url.get_backend_name() != "sqlite" or not url.database or not Path(url.database).exists():
        return
    # Not read-only: what a killed process left half written has to be rolled back.
    with closing(sqlite3.connect(url.database, timeout=PATIENCE)) as connection:
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
