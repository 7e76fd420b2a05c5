"""Files written whole, and read only where they are plain files."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


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
    """Write a file by ``replacing``; text as UTF-8, with the ends of lines that it has."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a regular file to read it: not a pipe or a device, which may never end.

    Raises:
        ValueError: it is not a regular file; the message goes on after the file's name.
        OSError: it cannot be read.
    """
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
    """Read a regular file.

    Args:
        path: the file.
        largest: number of bytes beyond which it is not read.

    Raises:
        ValueError: it is not a regular file, or larger; the message goes on after the file's name.
        OSError: it cannot be read.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > largest:
            raise ValueError(f"is larger than {largest >> 20} MB")
        return stream.read(size)


def own_path(path: object, name: str) -> Path:
    """A path to write at, as a user gives it; a word that YAML reads as nothing would become a file's name.

    Args:
        path: the path.
        name: whose it is, for the sentence.

    Raises:
        ValueError: it is null, empty, no text, or an address on another machine.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or text.strip() in _NO_PATHS or "\0" in text or _ADDRESS.match(text):
        given = "null" if path is None else text if text is not None else path
        raise ValueError(f"'{name}' cannot be '{given}': give a path on this machine.")
    return Path(text)


_NO_PATHS = ("", "null", "~", "None", "[]", "{}")
_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]+:/")  # `pathlib` has made one slash of two


def has_content(path: str | os.PathLike[str], content: bytes) -> bool:
    """Whether a regular file holds just these bytes; one of another size is not read."""
    try:
        return read_regular(path, len(content)) == content
    except (OSError, ValueError):
        return False


def _flush(path: Path) -> None:
    """Bring a file to the disk before it is moved, and its name afterwards.

    Else, after a loss of power, an empty file may have the name, or none may.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cache_folder() -> Path:
    """The folder for cached files that the environment asks for."""
    if folder := os.environ.get("LIT_METANAS_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lit_metanas"
