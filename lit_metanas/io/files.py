"""Files that are written whole, or read only if they are regular; and output folders, which may come from others.

Nothing below an output is written, moved or removed through a link. The user names an output, which may be a link or be
reached through one. What lies below it may be anyone's: a link by the name of one of our folders would lead elsewhere,
and a folder of the user's may stand among ours.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from lit_metanas.io.text import writable


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


def existing_file(path: str | os.PathLike[str], noun: str, fix: str) -> Path:
    """The path of a file that has to exist; FileNotFoundError names it by ``noun`` and ends in ``fix``."""
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no {noun} '{file}': {fix}.")
    return file


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


class FileLimit(ValueError):  # noqa: N818 (what is beyond a limit is no error of the file's format)
    """A file is beyond a limit; the message continues a sentence that begins with the file's name."""


def read_regular(path: str | os.PathLike[str], largest: int) -> bytes:
    """Read a regular file of at most ``largest`` bytes; ValueErrors continue the file's name."""
    with open_regular(path) as stream:
        if (size := os.fstat(stream.fileno()).st_size) > largest:
            raise FileLimit(f"is larger than {largest >> 20} MB")
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


def short_path(path: str | os.PathLike[str]) -> str:
    """A path as a user writes it in the working folder."""
    short = os.path.relpath(path)
    if short.startswith(".."):
        short = os.path.normpath(path)
    if os.path.exists(path) and not os.path.exists(short):  # beyond a link `..` is not the folder before it
        return str(path)
    return short


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


def own_folder(root: str | os.PathLike[str], *names: str) -> Path:
    """The path of a folder below an output; a link or a file on the way raises ValueError."""
    path = Path(root)
    for name in names:
        if name in ("", "..") or Path(name).name != name:
            raise ValueError(
                f"'{writable(name)}' cannot be the name of a folder in '{writable(str(path))}': rename it."
            )
        path /= name
        if _mode(path) not in (0, stat.S_IFDIR):
            raise ValueError(
                f"'{writable(str(path))}' is a link or not a folder, and was left as it is: remove it, or give another "
                "output folder."
            )
    return path


def check_files(folder: Path, names: Iterable[str]) -> None:
    """Refuse links and everything else but regular files among files that may be replaced."""
    for path in (folder / name for name in names):
        if _mode(path) not in (0, stat.S_IFREG):
            raise _no_file(path)


def check_tree(folder: Path) -> None:
    """Refuse links and special files anywhere below a folder."""
    for place, folders, files in os.walk(folder):
        check_files(Path(place), sorted(files))
        for name in sorted(folders):
            own_folder(place, name)


def check_only(folder: Path, own: re.Pattern[str]) -> None:
    """Refuse a folder that will be cleared if it holds other files than those that match ``own`` or hidden ones."""
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        if not (entry.name.startswith(".") or _is_own(entry, own)):
            raise ValueError(
                f"'{writable(str(entry))}' is not of this search, which clears '{writable(str(folder))}': move it "
                "elsewhere, or give another output folder."
            )


def remove_files(folder: Path, own: re.Pattern[str]) -> None:
    """Remove the files that match ``own``, and the folder if it is then empty; other files stay."""
    with suppress(OSError):
        remove_partial(folder)
        for entry in folder.iterdir():
            if _is_own(entry, own):
                entry.unlink()
        folder.rmdir()


def remove_partial(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files that killed processes left; of one file, or of all if ``name`` is None."""
    whole = re.escape(name or "") or ".+"
    partial = re.compile(rf"\.{whole}\.[a-z0-9_]{{8}}\.part")
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if _is_own(entry, partial):
            entry.unlink(missing_ok=True)


def set_aside(folder: Path) -> Path | None:
    """Rename a folder that is not empty; returns its new path."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    number = 1
    while os.path.lexists(aside := folder.with_name(f"{folder.name}.{number}")):
        number += 1
    folder.rename(aside)
    return aside


def open_own(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file of an output to write to it; returns the descriptor. A link or special file raises ValueError."""
    try:
        handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link; a pipe that nobody reads
            raise _no_file(path) from None
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:  # a hard link would be written through, too
        os.close(handle)
        raise _no_file(path)
    return handle


def _mode(path: Path) -> int:
    """The file type of a path itself, without following a link; 0 if nothing is there."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _is_own(entry: Path, own: re.Pattern[str]) -> bool:
    return own.fullmatch(entry.name) is not None and _mode(entry) == stat.S_IFREG


def _no_file(path: str | os.PathLike[str]) -> ValueError:
    return ValueError(
        f"'{writable(os.fspath(path))}' is a link or not a regular file, and was left as it is: remove it."
    )
