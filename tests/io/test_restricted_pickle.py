"""The restricted unpickler reads plain data and nothing else."""

import io
import os
import pickle
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch

from lit_metanas.io.arrays import restricted_load

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def load(data):
    return restricted_load(io.BytesIO(data), "table.pickle")


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_come_back_equal(protocol):
    data = {
        "numbers": [1, -(2**70), 0.25, True, None, 1 + 2j],
        "texts": ("a", "ä", b"\x00\xff"),
        ("cifar10", 777): OrderedDict([("b", {1, 2}), ("a", frozenset({3}))]),
    }
    if protocol < 3:  # these protocols write bytes, sets and complex numbers as calls of built-in functions
        data = {
            "numbers": [1, -(2**70), 0.25, True, None],
            "texts": ("a", "ä"),
            ("cifar10", 777): OrderedDict(b=1, a=2),
        }
    elif protocol < 4:
        data[("cifar10", 777)] = OrderedDict(b=1, a=2)
        data["numbers"].pop()
    else:
        data["numbers"].pop()
    assert load(pickle.dumps(data, protocol)) == data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<i4").reshape(2, 3),
        np.arange(6, dtype=">f8").reshape(2, 3).T,
        np.asfortranarray(np.arange(24, dtype="f4").reshape(2, 3, 4)),
        np.array(["ab", "c"]),
        np.array([b"ab", b"c"]),
        np.zeros((0, 3), dtype=bool),
    ],
)
def test_arrays_come_back_equal(protocol, array):
    found = load(pickle.dumps({"x": array, "y": array}, protocol))["x"]
    assert isinstance(found, np.ndarray)
    assert found.dtype == pickle.loads(pickle.dumps(array, protocol)).dtype
    assert np.array_equal(found, array)


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
        (Call(sys.setrecursionlimit, 1), "sys.setrecursionlimit"),
        (np.array([1, "a"], dtype=object), "a numpy array of 'O8'"),
        (np.zeros(2, dtype=[("a", "i4")]), "a numpy array of 'V4'"),
        (slice(1), r"(__builtin__|builtins).slice"),
        (OrderedDict, None),
        (Call(bytearray, 10), r"(__builtin__|builtins).bytearray"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_wants_more_is_refused_and_nothing_is_run(hostile, named, protocol, tmp_path):
    witness = tmp_path / "witness"
    if isinstance(hostile, Call):
        function, arguments = hostile.reduced
        hostile = Call(function, *(a.format(witness) if isinstance(a, str) else a for a in arguments))
    data = pickle.dumps({"x": hostile}, protocol)
    if named is None:
        assert load(data) == {"x": OrderedDict}
        return
    with pytest.raises(
        ValueError, match=f"^'table.pickle' asks for {named}, which is no plain data: get the published"
    ):
        load(data)
    assert not witness.exists()


def test_what_stands_for_numpy_makes_nothing_but_small_arrays():
    for hostile in (
        b"cnumpy\nndarray\n(I9\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I9\ntS'b'\ntR.",
    ):
        with pytest.raises(ValueError, match=r"^'table.pickle' (asks for a numpy array of an unknown kind|is damaged)"):
            load(hostile)


def test_an_encoding_that_is_not_that_of_bytes_is_refused():
    with pytest.raises(ValueError, match="asks for the encoding 'rot13'"):
        load(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")


def test_flags_of_a_type_are_not_taken_over():
    number = np.float64(1.0)
    state = (3, "<", None, None, None, -1, -1, 63)
    data = pickle.dumps(Call(np._core.multiarray.scalar, Dtype(state), number.tobytes()), 4)
    assert load(data) == 1.0
    assert not load(data).dtype.hasobject


class Dtype:
    """Pickles as numpy's float64 with a state of choice."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return np.dtype, ("f8", False, True), self.state


def test_an_object_outside_the_file_is_refused():
    with pytest.raises(ValueError, match="asks for an object outside the file"):
        load(b"Pstorage\n.")


def test_a_truncated_file_is_damaged_at_every_length():
    data = pickle.dumps({"a": [1, 2.5, "text"], "b": np.arange(3)})
    for length in range(0, len(data), 7):
        with pytest.raises(ValueError, match=r"^'table.pickle' is damaged \(\w+\): get the published file again\.$"):
            load(data[:length])
