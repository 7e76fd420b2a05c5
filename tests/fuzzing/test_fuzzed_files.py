"""Every kind of file that is read, edited by its bytes and by what is in it: what was written, or one sentence."""

import bz2
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_kinds import KINDS, Kind, good
from fuzz_tools import CASES, Case, cases, edited, edited_bytes, ending
from hypothesis import given
from pickle_steps import pickled

from lit_metanas.io.json_files import parse_json
from lit_metanas.records import write_architectures, write_record_lines, write_results


def read(kind: Kind, content: bytes, home: Path) -> tuple[str, Any]:
    path = home / "work" / kind.name
    path.write_bytes(content)
    found = ending(lambda: kind.read(path), home, names=path.name)
    assert path.read_bytes() == content or kind.name == "studies.db"
    return found


@pytest.mark.parametrize("name", KINDS)
@cases(12, 800)
@given(random=CASES)
def test_bytes(name: str, random: Case, canary: Path) -> None:
    content = good(name)
    for _ in range(random.choice([1, 1, 3])):
        content = edited_bytes(random, content)
    read(KINDS[name], content, canary)


JSON = ["results", "architectures", "record lines", "history"]


@pytest.mark.parametrize("name", JSON)
@cases(30, 4000)
@given(random=CASES)
def test_json(name: str, random: Case, canary: Path) -> None:
    document, told = edited(random, json.loads(good(name)))
    content = json.dumps(document).encode()
    how, found = read(KINDS[name], content, canary)
    if how == "success" and name != "history":
        WRITERS[name](canary / "work" / "again", found)
        again = parse_json((canary / "work" / "again").read_bytes())
        assert KINDS[name].read(canary / "work" / "again") == found, told
        assert again


WRITERS: dict[str, Callable[[Path, Any], None]] = {
    "results": write_results,
    "architectures": write_architectures,
    "record lines": write_record_lines,
}


def npz(random: Case, content: bytes) -> bytes:
    """An archive of arrays, of which some are others, or say that they are others."""
    with np.load(io.BytesIO(content)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = random.choice(sorted(arrays))
    kind = random.choice(["drop", "value", "kind", "shape", "header", "more", "compressed"])
    raw: dict[str, bytes] = {}
    if kind == "drop":
        del arrays[name]
    elif kind == "value":
        arrays[name] = np.array(random.choice([-1, 0, 2**62, math.nan, "x", b"x", True, [[1]], 1e308]))
    elif kind == "kind":
        kinds = ["f8", "i1", "u8", "c16", "U3", "S1", "?", ">i4"]
        with np.errstate(all="ignore"):
            try:
                arrays[name] = arrays[name].astype(random.choice(kinds))
            except ValueError:
                del arrays[name]
    elif kind == "shape":
        shapes = [(-1,), (-1, 1), (1, -1), (0, 3), (2, 2, 2, -1)]
        try:
            arrays[name] = np.resize(arrays[name], random.choice([(0,), (3,), (2, 0), (15625, 3), (1,)]))
            arrays[name] = arrays[name].reshape(random.choice(shapes))
        except ValueError:
            pass
    elif kind == "header":
        shape = random.choice([(10**12,), (2**40, 2**40), (0,), (-3,), (1,), (10**6, 1)])
        code = random.choice(["|u1", "<f8", "|O", "|S999999999", "<U99999999", "|V4", "<M8[D]"])
        stream = io.BytesIO()
        described = {"descr": code, "fortran_order": random.random() < 0.5, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, described)
        raw[name] = stream.getvalue() + bytes(random.choice([0, 8, 10**6]))
    elif kind == "more":
        raw["../../thesis/chapter.tex"] = b"owned"
    out = io.BytesIO()
    packed = zipfile.ZIP_DEFLATED if kind == "compressed" or random.random() < 0.5 else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", packed) as archive:
        for own, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, array, allow_pickle=False)
            archive.writestr(f"{own}.npy", raw.pop(own, stream.getvalue()))
        for own, data in raw.items():
            archive.writestr(own, data)
    return out.getvalue()


@pytest.mark.parametrize("name", ["omniglot", "NAS-Bench-201"])
@cases(40, 5000)
@given(random=CASES)
def test_arrays(name: str, random: Case, canary: Path) -> None:
    read(KINDS[name], npz(random, good(name)), canary)


@pytest.mark.parametrize("name", ["NATS-Bench", "NAS-Bench-Graph"])
@cases(80, 10_000)
@given(random=CASES)
def test_pickles(name: str, random: Case, canary: Path) -> None:
    if name == "NATS-Bench":
        content = bz2.compress(pickled(random, bz2.decompress(good(name))))
    else:
        content = pickled(random, good(name))
    read(KINDS[name], content, canary)
