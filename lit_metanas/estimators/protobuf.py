"""Protocol buffers, read without their compiler: the wire format, field by field."""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""Wire types: a number of seven bits a byte, 8 bytes, a length and so many bytes, 4 bytes."""


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of each field in its order; 8 and 4 bytes are taken for floating-point numbers.

    Raises:
        ValueError: the message is truncated, or has a field of an unknown kind.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        value: int | float | bytes
        if kind == VARINT:
            value, place = _varint(message, place)
        elif kind in (DOUBLE, FLOAT):
            size = 8 if kind == DOUBLE else 4
            if place + size > end:
                raise ValueError("a message ends within a number")
            value = struct.unpack_from("<d" if kind == DOUBLE else "<f", message, place)[0]
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
    """A number, lowest seven bits first, and the place behind it."""
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a message ends within a number")
