"""TensorFlow's TFRecord format, read without TensorFlow."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""Wire types: a number of seven bits a byte, 8 bytes, a length and so many bytes, 4 bytes."""

_NUMBERS = {DOUBLE: ("<d", 8), FLOAT: ("<f", 4)}
"""Format and bytes of the floating-point numbers."""


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of each field of a message, in order; 8 and 4 bytes are read as floating-point numbers."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        value: int | float | bytes
        if kind == VARINT:
            value, place = _varint(message, place)
        elif kind in (DOUBLE, FLOAT):
            form, size = _NUMBERS[kind]
            if place + size > end:
                raise ValueError("a message ends within a number")
            value = struct.unpack_from(form, message, place)[0]
            place += size
        elif kind == BYTES:
            length, place = _varint(message, place)
            if place + length > end:
                raise ValueError("a message ends within a text")
            value, place = message[place : place + length], place + length
        else:
            raise ValueError(f"a field is of the unknown kind {kind}")
        yield number, value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number, lowest seven bits first, and the place after it."""
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a message ends within a number")


LARGEST_RECORD = 1 << 14
"""Bytes of a record; no table has larger ones."""


def read_tfrecords(path: str | os.PathLike[str], source: str) -> Iterator[bytes]:
    """The records of a file, whose checksums are not compared; messages say to get it from ``source``."""
    # A record is its length (8 bytes, the lowest first), a checksum of it (4 bytes), the data, and their checksum.
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no table '{file}': get it from {source} and give its path.")
    with file.open("rb") as stream:
        while head := stream.read(12):
            length = int.from_bytes(head[:8], "little")
            if len(head) == 12 and length > LARGEST_RECORD:
                raise ValueError(
                    f"'{file}' holds a record of {length} bytes, which no table has: get it from {source}."
                )
            data, checksum = stream.read(length), stream.read(4)
            if len(head) < 12 or len(data) < length or len(checksum) < 4:
                raise ValueError(f"'{file}' ends within a record: get it again from {source}.")
            yield data
