"""The restricted unpickler reads plain data and nothing else, in bounded time and memory."""

import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest
import torch

from lit_metanas.io import arrays
from lit_metanas.io.arrays import check_pickle, restricted_load
from lit_metanas.io.checkpoints import check_plain

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def load(data):
    return restricted_load(data, "table.pickle")


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_come_back_equal(protocol):
    data = {
        "numbers": [1, -(2**63), 0.25, True, None, 1 + 2j],
        "texts": ("a", "ä", b"\x00\xff"),
        ("cifar10", 777): OrderedDict([("b", {1, 2}), ("a", frozenset({3}))]),
    }
    data["numbers"].pop()
    if protocol < 4:  # these protocols write bytes, sets and complex numbers as calls of built-in functions
        data[("cifar10", 777)] = OrderedDict(b=1, a=2) if protocol > 1 else {"b": 1, "a": 2}
    if protocol < 3:
        data["texts"] = ("a", "ä")
    assert load(pickle.dumps(data, protocol)) == data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True)])
def test_scalars_come_back_equal(protocol, value):
    found = load(pickle.dumps([value, value], protocol))
    assert found == [value, value]
    assert type(found[0]) is type(value)


@pytest.mark.parametrize(
    ("hostile", "named"),
    [
        (Call(os.system, "touch {}"), f"{os.system.__module__}.system"),
        (Call(eval, "open('{}', 'w')"), r"(__builtin__|builtins).eval"),
        (Call(getattr, 1, "real"), r"(__builtin__|builtins).getattr"),
        (Call(np.load, "{}"), r"numpy\S*.load"),
        (Call(torch.load, "{}"), "torch.serialization.load"),
        (np.array([1, 2]), r"numpy\._core\.\S+"),
        (np.dtype("O"), "numbers of the kind 'O8'"),
        (np.dtype("S64"), "numbers of the kind 'S64'"),
        (slice(1), r"(__builtin__|builtins).slice"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 4])
def test_a_pickle_that_wants_more_is_refused_and_nothing_is_run(hostile, named, protocol, tmp_path):
    witness = tmp_path / "witness"
    if isinstance(hostile, Call):
        function, arguments = hostile.reduced
        hostile = Call(function, *(a.format(witness) if isinstance(a, str) else a for a in arguments))
    data = pickle.dumps({"x": hostile}, protocol)
    words = f"^'table.pickle' asks for {named}, which is not plain data: get the published"
    with pytest.raises(ValueError, match=words):
        load(data)
    assert not witness.exists()


def repeated(made, times=20_000):
    """A pickle that keeps something large, and then does ``made``, which uses it, many times."""
    return b"\x80\x02" + made[0] + b"](" + made[1] * times + b"e."


KEPT = b"(" + b"".join(b"K%cK\x01" % number for number in range(256)) + b"dq\x00"
TEXT = b"X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20) + b"q\x00"
BOMBS = {
    "a place far beyond": b"\x80\x04]r" + struct.pack("<I", 2**32 - 1) + b".",
    "a place in words": b"(lp4000000000\n.",
    "numbers of one hash": b"\x80\x02}(" + b"".join(
        b"\x8a\x10" + (place * (2**61 - 1)).to_bytes(16, "little") + b"N" for place in range(1, 50_000)
    ) + b"u.",
    "more bytes": b"\x80\x02X" + struct.pack("<I", 1 << 24) + b"x" * (1 << 24) + b".",
    "copies of a dictionary": repeated((KEPT + b"ccollections\nOrderedDict\nq\x01", b"h\x01)Rh\x00b")),
    "dictionaries of a dictionary": repeated((KEPT + b"ccollections\nOrderedDict\nq\x01", b"h\x01h\x00\x85R")),
    "copies of a text": repeated(
        (TEXT + b"c_codecs\nencode\nq\x01X\x06\x00\x00\x00latin1q\x02", b"h\x01h\x00h\x02\x86R")
    ),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_few_bytes_take_neither_memory_nor_time(bomb):
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"^'table.pickle' (is damaged \(\w+\)|asks for the encoding .*): get the"):
        load(BOMBS[bomb])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200 << 20


def test_what_no_writer_makes_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="asks for an object outside the file"):
        load(b"Pstorage\n.")
    with pytest.raises(ValueError, match="asks for another byte order"):
        load(pickle.dumps(np.dtype("i4"), 0).replace(b"V<", b"V?"))
    monkeypatch.setattr(arrays, "MOST_STEPS", 9)
    with pytest.raises(ValueError, match="holds more than 9 values"):
        check_pickle(b"N0" * 5 + b"N.")
    with pytest.raises(ValueError, match="holds more than plain values"):
        check_plain([slice(1)], 8)


def test_a_truncated_file_is_damaged_at_every_length():
    data = pickle.dumps({"a": [1, 2.5, "text"], "b": np.float32(3)})
    for length in range(0, len(data), 7):
        with pytest.raises(ValueError, match=r"^'table.pickle' is damaged \(\w+\): get the published file again\.$"):
            load(data[:length])
