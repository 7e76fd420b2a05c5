"""Arrays from files: NumPy archives, and pickles of plain data, read without executing anything in them."""

from __future__ import annotations

import os
import pickle
import re
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal, cast

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


def read_npz(path: str | os.PathLike[str], fix: str) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an ``.npz`` file, by name; their checksums are compared.

    Args:
        path: the file.
        fix: what to do about a damaged one, for the message.

    Raises:
        ValueError: the file is damaged, another kind of file, or holds more than numbers and texts.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except DAMAGED:
        raise ValueError(f"'{file}' is damaged or no .npz file: {fix}.") from None


class Refused(Exception):  # noqa: N818 (what was done to it, as in the message)
    """A pickle asks for something that plain data do not need."""


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickles containers, numbers, texts and numpy's arrays and scalars; anything else a file names is refused.

    A pickle is a program that may call any function of any installed package. Here a few names are understood, each
    of which stands for something in this module that makes plain data and nothing else.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name of the file.

        Raises:
            Refused: it stands for more than plain data.
        """
        if (module, name) not in _ALLOWED:
            raise Refused(f"{module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what lies outside the file."""
        raise Refused("an object outside the file")


def restricted_load(file: IO[bytes], source: str) -> Any:
    """Read one pickled object.

    Args:
        file: where to read from.
        source: the file's name in messages.

    Raises:
        ValueError: the file is damaged, or asks for anything but plain data, which the message names.
    """
    try:
        return RestrictedUnpickler(file).load()
    except Refused as refused:
        raise ValueError(f"'{source}' asks for {refused}, which is no plain data: get the published file.") from None
    except DAMAGED as error:
        raise ValueError(f"'{source}' is damaged ({type(error).__name__}): get the published file again.") from None


class _Kind:
    """Stands for ``numpy.dtype``, of numbers and texts only; a pickle sets its byte order afterwards."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        del align, copy
        if not re.fullmatch(r"[biufcSU][0-9]{1,9}", code):
            raise Refused(f"a numpy array of '{code}'")
        self.code = code
        self.order: Literal["<", ">", "|", "="] = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise Refused(f"the byte order '{state[1]}'")
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)


class _Named:
    """Stands for ``numpy.ndarray``, which a pickle only names."""


class _Array(np.ndarray[Any, Any]):
    """An array that a pickle makes empty, and then fills."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        if not isinstance(kind, _Kind) or not isinstance(raw, bytes):
            raise Refused("a numpy array of objects")
        super().__setstate__(cast(Any, (1, shape, kind.dtype, bool(fortran), raw)))


def _empty(named: type, shape: tuple[int, ...], code: bytes) -> _Array:
    del code
    if named is not _Named or shape != (0,):
        raise Refused("a numpy array of an unknown kind")
    return _Array((0,), dtype=np.uint8)


def _from_buffer(buffer: bytes, kind: _Kind, shape: tuple[int, ...], order: str) -> Any:
    return np.frombuffer(buffer, dtype=kind.dtype).reshape(shape, order="F" if order == "F" else "C").copy(order="K")


def _scalar(kind: _Kind, value: bytes) -> Any:
    return np.frombuffer(value, dtype=kind.dtype, count=1)[0]


def _no_bytes() -> bytes:
    """Empty bytes, in the first pickle protocols."""
    return b""


def _encode(text: str, encoding: str) -> bytes:
    """Other bytes, in the first pickle protocols."""
    if encoding != "latin1":
        raise Refused(f"the encoding '{encoding}'")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "bytes"): _no_bytes,
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): _Named,
    **{(f"{core}.multiarray", "scalar"): _scalar for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.multiarray", "_reconstruct"): _empty for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in ("numpy.core", "numpy._core")},
}
