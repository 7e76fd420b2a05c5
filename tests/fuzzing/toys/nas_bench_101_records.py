"""NAS-Bench-101's records, written by hand."""

import base64
import json
import struct

from lit_metanas.io.tfrecord import masked_checksums
from lit_metanas.spaces import NASBench101

C3, C1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
CHAIN = ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", C3, "output"])
DIAMOND = ([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], ["input", C1, POOL, "output"])
FIRST = (  # the first cell of the official files, and its hash there
    [
        [0, 1, 0, 0, 1, 1, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 1],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    ["input", C3, POOL, C3, C3, C1, "output"],
)
FIRST_HASH = "00005c142e6f48ac74fdcf73e3439874"
SPACE = NASBench101()


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def evaluation(epoch, seconds, train, val, test):
    numbers = enumerate((epoch, seconds, train, val, test), start=1)
    return b"".join(bytes([number << 3 | 1]) + struct.pack("<d", value) for number, value in numbers) + b"\x32\x03a/b"


def metrics(epochs, parameters, val, test, seconds):
    halves = [evaluation(epochs * share, seconds * share, 0.9, val * share, test * share) for share in (0.0, 0.5, 1.0)]
    parts = b"".join(b"\x0a" + varint(len(half)) + half for half in halves)
    return parts + b"\x10" + varint(parameters) + b"\x19" + struct.pack("<d", 2 * seconds)


def record(cell, epochs=108, parameters=1_000_000, val=0.5, test=0.4, seconds=100.0, module_hash=None):
    matrix, operations = cell
    module_hash = module_hash or SPACE.hash(SPACE.from_matrix(matrix, operations))
    raw = base64.b64encode(metrics(epochs, parameters, val, test, seconds)).decode()
    flat = "".join(str(entry) for row in matrix for entry in row)
    return json.dumps([module_hash, epochs, flat, ",".join(operations), raw]).encode()


def write(path, records):
    def checksum(text):
        return struct.pack("<I", int(masked_checksums([text])[0]))  # tested beside the framing

    with path.open("wb") as file:
        for text in records:
            length = struct.pack("<Q", len(text))
            file.write(length + checksum(length) + text + checksum(text))
    return path
