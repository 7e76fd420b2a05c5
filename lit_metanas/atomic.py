"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


def _flush(file: Path) -> None:
    """Bring a file to the disk before it is moved: else, after a loss of power, an empty one may have its name."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
