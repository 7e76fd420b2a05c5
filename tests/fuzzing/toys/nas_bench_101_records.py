"""NAS-Bench-101's records, written by hand."""

import base64
import json
import struct

from nas_bench_101_examples import C1, C3, POOL, cell

from lit_metanas.spaces import NASBench101

CHAIN = cell("010 001 000", C3)
DIAMOND = cell("0110 0001 0001 0000", C1, POOL)
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


def record(of, epochs=108, parameters=1_000_000, val=0.5, test=0.4, seconds=100.0, module_hash=None):
    matrix, operations = of
    module_hash = module_hash or SPACE.hash(SPACE.from_matrix(matrix, operations))
    raw = base64.b64encode(metrics(epochs, parameters, val, test, seconds)).decode()
    flat = "".join(str(entry) for row in matrix for entry in row)
    return json.dumps([module_hash, epochs, flat, ",".join(operations), raw]).encode()


def write(path, records):
    with path.open("wb") as file:
        for text in records:
            length = struct.pack("<Q", len(text))
            file.write(length + bytes(4) + text + bytes(4))  # checksums are not compared
    return path
