"""TensorFlow's TFRecord format, read without TensorFlow."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

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


POLYNOMIAL = 0x82F63B78
"""The polynomial of CRC-32C (Castagnoli), bits reversed."""

MASK = 0xA282EAD8
"""Added to a rotated checksum, so that checksums of data that hold checksums stay good."""

BATCH = 4096
"""Records whose checksums are computed at once, byte by byte of all of them."""

LARGEST_RECORD = 1 << 14
"""Bytes of a record: a batch of them is held at once, each with room for the largest."""


def read_tfrecords(path: str | os.PathLike[str], source: str) -> Iterator[bytes]:
    """The records of a file, each compared with its checksum; messages say to get it from ``source``."""
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no table '{file}': get it from {source} and give its path.")
    with file.open("rb") as stream:
        place, frames = 0, _frames(stream, file, source)
        while batch := list(islice(frames, BATCH)):
            for (record, stored), found in zip(batch, masked_checksums([record for record, _ in batch]), strict=True):
                place += 1
                if found != stored:
                    raise ValueError(f"'{file}' is damaged in record {place}: get it again from {source}.")
                yield record


def _frames(stream: IO[bytes], file: Path, source: str) -> Iterator[tuple[bytes, int]]:
    """The records of a stream, and the checksum of each in the file."""
    # A record is its length (8 bytes, the lowest first), the length's masked checksum (4 bytes), the data, and their
    # masked checksum (4 bytes). Where a length is wrong, so is the checksum of the data that it leads to.
    left = file.stat().st_size
    while left:
        head = stream.read(12)
        length = int.from_bytes(head[:8], "little")
        left -= 12 + length + 4
        if len(head) < 12 or left < 0:
            raise ValueError(f"'{file}' ends within a record: get it again from {source}.")
        if length > LARGEST_RECORD:
            raise ValueError(f"'{file}' holds a record of {length} bytes, which no table has: get it from {source}.")
        data = stream.read(length)
        yield data, int.from_bytes(stream.read(4), "little")


def masked_checksums(texts: Sequence[bytes]) -> np.ndarray[Any, Any]:
    """The masked CRC-32C of each text, as the file format has it."""
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    lengths = np.array([len(texts[place]) for place in order])
    width = int(lengths.max(initial=0))
    table = np.zeros((width, len(texts)), dtype=np.uint8)  # a row for each byte's place: texts that have it come first
    for column, place in enumerate(order):
        table[: lengths[column], column] = np.frombuffer(texts[place], dtype=np.uint8)
    states = np.full(len(texts), 0xFFFFFFFF, dtype=np.uint32)
    ends = np.searchsorted(-lengths, -np.arange(width), side="left")
    steps = _steps()
    for row, end in zip(table, ends, strict=True):
        part = states[:end]
        states[:end] = steps[(part ^ row[:end]) & 0xFF] ^ (part >> np.uint32(8))
    states ^= np.uint32(0xFFFFFFFF)
    masked = ((states >> np.uint32(15)) | (states << np.uint32(17))) + np.uint32(MASK)
    result = np.empty_like(masked)
    result[order] = masked
    return result


@cache
def _steps() -> np.ndarray[Any, Any]:
    """The change of a checksum by a byte, for each of the 256 bytes."""
    states = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        states = np.where(states & 1, np.uint32(POLYNOMIAL) ^ (states >> np.uint32(1)), states >> np.uint32(1))
    return states
