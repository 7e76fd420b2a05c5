"""Files of arrays, read without executing code in them."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    pickle.UnpicklingError,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What a reader raises for a damaged, hostile or foreign file, and for content of another form than it expects."""


def read_npz(path: str | os.PathLike[str], mend: str) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an ``.npz`` file, by name; their checksums are compared.

    Args:
        path: the file.
        mend: what to do about a damaged one, for the message.

    Raises:
        ValueError: the file is damaged, another kind of file, or holds more than numbers and texts.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except DAMAGED:
        raise ValueError(f"'{file}' is damaged or no .npz file: {mend}.") from None
