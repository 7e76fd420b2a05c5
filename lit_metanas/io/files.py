"""Files that are written whole, and read only if they are regular files."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; move it to ``path`` if the block succeeds."""
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
        with suppress(OSError):  # not all file systems can do so with a folder
            _flush(target.parent)
    except OSError as error:
        if error.errno is not None and (temporary is None or error.filename in (None, str(temporary))):
            error.filename = str(target)  # what a user knows
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: str | bytes | memoryview) -> None:
    """Write a file by ``replacing``; text as UTF-8, with its own line ends."""
    if isinstance(content, str):
        content = content.encode()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a regular file for reading; a pipe or device, which may never end, raises ValueError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without waiting for a pipe's other end
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link that leads back to itself
            raise ValueError("is not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError("is not a regular file")
    with open(handle, "rb") as stream:
        yield stream


def read_regular(path: str | os.PathLike[str], largest: int) -> bytes:
    """Read a regular file of at most ``largest`` bytes; ValueErrors continue the file's name."""
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > largest:
            raise ValueError(f"is larger than {largest >> 20} MB")
        return stream.read(size)


def own_path(path: object, name: str) -> Path:
    """A path to write to, as a user gives it; ``name`` is the option's name in the message."""
    given: Any = "null" if path is None else path
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    # YAML reads some words as nothing, which would become a file's name.
    if not isinstance(given, str) or given.strip() in _NO_PATHS or "\0" in given or _ADDRESS.match(given):
        raise ValueError(f"'{name}' cannot be '{given}': give a path on this machine.")
    return Path(given)


_NO_PATHS = ("", "null", "~", "None", "[]", "{}")
_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]+:/")  # `pathlib` has made one slash of two


def has_content(path: str | os.PathLike[str], content: bytes) -> bool:
    """Whether a regular file holds exactly these bytes; a larger file is not read."""
    try:
        return read_regular(path, len(content)) == content
    except (OSError, ValueError):
        return False


def _flush(path: Path) -> None:
    """Bring a file or the names in a folder to the disk; otherwise a loss of power can leave an empty file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cache_folder() -> Path:
    """The folder for cached files, as the environment sets it."""
    if folder := os.environ.get("LIT_METANAS_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lit_metanas"
