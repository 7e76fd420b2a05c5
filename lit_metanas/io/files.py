"""Files written whole, and folders held by one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder, and move it onto ``path`` once the block has succeeded.

    A reader, or a run that was killed, sees the old file or the new one, never a part. The folder is created.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files; results are to be read by others
        _flush(temporary)
        os.replace(temporary, target)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(target)  # what a user knows
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def read_regular(path: str | os.PathLike[str], largest: int) -> bytes:
    """Read a regular file: not a pipe or a device, which may never end.

    Args:
        path: the file.
        largest: number of bytes beyond which it is not read.

    Raises:
        ValueError: it is no regular file, or larger; the message goes on after the file's name.
        OSError: it cannot be read.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:  # without waiting for a pipe's other end
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no regular file")
        if status.st_size > largest:
            raise ValueError(f"is larger than {largest >> 20} MB")
        return stream.read(status.st_size)


def _flush(file: Path) -> None:
    """Bring a file to the disk before it is moved: else, after a loss of power, an empty one may have its name."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def directory_lock(directory: str | os.PathLike[str], name: str, key: str) -> Iterator[None]:
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
    if is_further_process():
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


def is_further_process() -> bool:
    """Whether this is not the first of several processes."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def _in_use(path: Path, name: str, key: str) -> str:
    who = "another process"
    with suppress(OSError, ValueError, KeyError, TypeError):
        owner = json.loads(path.read_text(encoding="utf-8"))
        who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    return f"'{path.parent}' is in use by another {name} ({who}): wait for its end, or give another '{key}'."
