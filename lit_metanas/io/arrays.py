"""Arrays from files: NumPy archives and pickles of plain data, read within limits and without executing code."""

from __future__ import annotations

import math
import os
import pickle
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal

import numpy as np

from lit_metanas.io.files import FileLimit, open_regular
from lit_metanas.io.text import printable

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
    SyntaxError,
    TokenError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""Errors that readers raise for damaged, hostile or foreign files, and for content of an unexpected form."""

# Bytes of a file, and of all its arrays in memory.
LARGEST_ARRAYS = 1 << 28


def read_npz(path: str | os.PathLike[str], fix: str, largest: int = LARGEST_ARRAYS) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an ``.npz`` file, by name, with their checksums compared."""
    file = Path(path)
    try:
        with open_regular(file) as stream:
            with zipfile.ZipFile(stream) as archive:
                _check_arrays(archive, largest)
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except FileLimit as error:
        raise ValueError(f"'{file}' {error}: {fix}.") from None
    except DAMAGED:
        raise ValueError(f"'{file}' is damaged or not an .npz file: {fix}.") from None


def _check_arrays(archive: zipfile.ZipFile, largest: int) -> None:
    """Compare the declared size of each array with its bytes, before memory is reserved for it."""
    if sum(entry.file_size for entry in archive.infolist()) > largest:
        raise FileLimit(f"holds more than {largest >> 20} MB")
    for entry in archive.infolist():
        with archive.open(entry) as stream:
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, kind = read[np.lib.format.read_magic(stream)](stream)
            if kind.kind not in "biufcSU" or math.prod(shape) * kind.itemsize != entry.file_size - stream.tell():
                raise ValueError("an array does not match its bytes")


LARGEST_PICKLE, MOST_STEPS = 1 << 24, 2_000_000
"""Bytes of a pickle, and its steps; a published table has a quarter of those. A step makes at most one small object."""


def check_pickle(content: bytes) -> None:
    """Go through the steps of a pickle without executing them; refuse those that no writer makes."""
    # Few bytes can ask for endless memory or for hours: an object kept at place 4,000,000,000, for which Python makes
    # room up to there, or numbers of a dictionary that all have the same hash.
    if len(content) > LARGEST_PICKLE:
        raise ValueError(f"holds more than {LARGEST_PICKLE >> 20} MB of values")
    kept = 0
    for step, (operation, argument, _) in enumerate(pickletools.genops(content)):
        if step >= MOST_STEPS:
            raise ValueError(f"holds more than {MOST_STEPS} values")
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if not isinstance(argument, int) or argument > kept:
                raise ValueError("keeps a value where no writer does")
            kept += 1
        elif operation.name == "MEMOIZE":
            kept += 1
        elif isinstance(argument, int) and not -(2**63) <= argument < 2**64:
            raise ValueError("holds a number that is too large")


class Refused(Exception):  # noqa: N818 (what was done to it, as in the message)
    """A pickle asks for something that plain data does not need."""


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickles containers, numbers and texts, NumPy's single numbers included, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name in the file to a method that makes one small plain value."""
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): self._ordered_items,
            ("__builtin__", "bytes"): self._no_bytes,
            ("_codecs", "encode"): self._encode,
            ("numpy", "dtype"): self._kind,
            ("numpy.core.multiarray", "scalar"): self._scalar,
            ("numpy._core.multiarray", "scalar"): self._scalar,
        }
        if (module, name) not in known:
            raise Refused(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse an object that lies outside the file."""
        raise Refused("an object outside the file")

    # Not static: a file may set attributes of an object that it named, and a bound method has none to set.

    def _ordered_items(self) -> dict[Any, Any]:
        """An empty dictionary, which the pickle fills afterwards."""
        return {}

    def _no_bytes(self) -> bytes:
        """Empty bytes, as the first pickle protocols write them."""
        return b""

    def _encode(self, text: str, encoding: str) -> bytes:
        """Other bytes, as the first pickle protocols write them: those of a number."""
        if encoding != "latin1" or len(text) > 64:
            raise Refused(f"the encoding '{encoding[:20]}' of {len(text)} characters")
        return text.encode("latin1")

    def _kind(self, code: str, align: bool = False, copy: bool = False) -> _Kind:
        return _Kind(code)

    def _scalar(self, kind: _Kind, value: bytes) -> Any:
        return np.frombuffer(value, dtype=np.dtype(kind.code).newbyteorder(kind.order), count=1)[0]


class _Kind:
    """Replaces ``numpy.dtype`` for numbers; a pickle sets its byte order afterwards."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        if not re.fullmatch(r"[biufc](1|2|4|8|16)", code):
            raise Refused(f"numbers of the kind '{code[:20]}'")
        self.code = code
        self.order: Literal["<", ">", "|", "="] = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise Refused("another byte order")
        self.order = state[1]


def restricted_load(content: bytes, source: str) -> Any:
    """Read one pickled object of plain data; ``source`` is the file's name in messages."""
    fix = "get the published file"
    try:
        check_pickle(content)
        return RestrictedUnpickler(BytesIO(content)).load()
    except Refused as refused:
        raise ValueError(f"'{source}' asks for {printable(str(refused))}, which is not plain data: {fix}.") from None
    except Exception as error:  # of many kinds, by pickletools
        raise ValueError(f"'{source}' is damaged ({type(error).__name__}): {fix} again.") from None
