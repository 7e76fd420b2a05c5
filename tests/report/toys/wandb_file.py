"""Reads the file of an offline W&B run: blocks of 32 KiB with chunks of protocol buffers, as in LevelDB's log."""

import json
import struct
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER = 32768, 7


def records(file: Path, kind: str) -> list[Any]:
    data = file.read_bytes()
    assert data[:4] == b":W&B"
    found, part, place = [], b"", HEADER
    while place < len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:  # padding
            place += left
            continue
        _, length, chunk = struct.unpack("<IHB", data[place : place + HEADER])
        part += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if chunk in (1, 4):  # whole, or the last of several
            found.append(Record.FromString(part))
            part = b""
    return [getattr(record, kind) for record in found if record.WhichOneof("record_type") == kind]


def history(file: Path) -> list[dict[tuple[str, ...], Any]]:
    """What was logged at each step, by the parts of its name."""
    steps = [step.item for step in records(file, "history")]
    return [{tuple(one.nested_key) or (one.key,): json.loads(one.value_json) for one in items} for items in steps]
