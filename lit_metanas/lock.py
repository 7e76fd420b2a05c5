"""One run at a time in one directory."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path


@contextmanager
def alone(directory: str | os.PathLike[str], name: str, key: str) -> Iterator[None]:
    """Hold a lock in a directory; the kernel gives it back when this process ends, however it does.

    The file ``.<name>.lock`` says who holds it, and stays. Further processes of one run go on without, and so do all on
    file systems without locks. A lock is of a process: worker processes that outlive it do not keep it.

    Args:
        directory: is created.
        name: of what runs there; others may run beside it.
        key: by which the user may give another directory.

    Raises:
        ValueError: another process holds it.
    """
    if further():
        yield
        return
    path = Path(directory) / f".{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of them depends on the file system
            raise ValueError(_in_use(path, name, key)) from None
        except OSError:
            yield
            return
        file.truncate(0)
        owner = {"pid": os.getpid(), "host": socket.gethostname()}
        file.write(json.dumps({**owner, "since": datetime.now().astimezone().isoformat(timespec="seconds")}))
        file.flush()
        yield


def further() -> bool:
    """Whether this is not the first of several processes."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def _in_use(path: Path, name: str, key: str) -> str:
    who = "another process"
    with suppress(OSError, ValueError, KeyError, TypeError):
        owner = json.loads(path.read_text(encoding="utf-8"))
        who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    return f"'{path.parent}' is in use by another {name} ({who}): wait for its end, or give another '{key}'."
