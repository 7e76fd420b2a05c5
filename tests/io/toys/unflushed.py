"""Importing this leaves files and SQLite's data bases in the system's memory, from where it writes them when it will.

No test pulls the plug. Each flush to a disk takes milliseconds, and a study of ten trials has a few hundred.
"""

import os
import sqlite3

from sqlalchemy import event
from sqlalchemy.engine import Engine


@event.listens_for(Engine, "connect")
def _leave_in_memory(connection: object, record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


os.fsync = lambda handle: None
