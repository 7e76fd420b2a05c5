"""Locks on folders: for a whole run, or while one of their files is changed."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from lit_metanas.io.files import open_own
from lit_metanas.io.json_files import read_json
from lit_metanas.io.text import writable

# Seconds that one process waits until another has changed a file.
MOST_WAIT = 60.0

# Another process has the lock; which of them is raised depends on the file system.
_HELD = BlockingIOError, PermissionError


@contextmanager
def directory_lock(directory: str | os.PathLike[str], name: str, key: str) -> Iterator[None]:
    """Hold a folder for the program ``name``; the option ``key`` lets the user give another folder."""
    # The kernel releases the lock when this process ends. The file `.<name>.lock` names the owner; it is removed if
    # this call made it and the block fails. Further processes of a run, and file systems without locks, go on unlocked.
    if is_further_process():
        yield
        return
    path = Path(directory) / f".{name}.lock"
    made = [each for each in (path, *path.parents) if not os.path.lexists(each)]  # the innermost first
    with _hold(path, name, key):
        try:
            yield
        except BaseException:
            if path in made:
                _remove(*made)
            raise


@contextmanager
def changing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a file's folder while the file is read, changed and replaced; waits for another process."""
    lock = Path(path).parent / ".change.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + MOST_WAIT
    with _open_lock(lock) as file:
        while _is_held(file):
            if time.monotonic() > deadline:
                raise ValueError(
                    f"'{path}' has been locked by another process for {MOST_WAIT:.0f} s: end that process, and try "
                    "again."
                )
            time.sleep(0.02)
        yield


def is_further_process() -> bool:
    """Whether this is not the first of several processes."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def _hold(path: Path, name: str, key: str) -> IO[str]:
    place = writable(str(path.parent))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"'{key}' cannot be '{place}', where a file is: give the path of a folder.") from None
    except FileNotFoundError:  # as in /proc
        raise ValueError(f"'{key}' cannot be '{place}', where no folder can be made: give another.") from None
    file = _open_lock(path)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except _HELD:
        file.close()
        raise ValueError(_in_use(path, name, key)) from None
    except OSError:  # without locks the file may name another owner, who is not overwritten
        return file
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
    file.flush()
    return file


def _is_held(file: IO[str]) -> bool:
    """Whether another has locked a file; else this process locks it, if the file system has locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of threads, too, unlike lockf
    except OSError as error:
        return isinstance(error, _HELD)
    return False


def _open_lock(path: Path) -> IO[str]:
    return open(open_own(path, os.O_RDWR | os.O_APPEND), "a+", encoding="utf-8")


def _remove(file: Path, *folders: Path) -> None:
    """Remove a file and the folders around it, the innermost first, up to one that is not empty."""
    with suppress(OSError):
        file.unlink()
        for folder in folders:
            folder.rmdir()


def _in_use(path: Path, name: str, key: str) -> str:
    who = "another process"
    with suppress(OSError, ValueError, KeyError, TypeError):
        owner = read_json(path, "wait")
        who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}"[:200]
    return f"'{path.parent}' is in use by another {name} ({who}): wait for its end, or give another '{key}'."
