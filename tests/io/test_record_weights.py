"""Weights files: plain tensors, no code."""

import struct
import zipfile
from pathlib import Path

import pytest
import torch

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import DEEPEST, load_plain, read_weights, write_weights
from lit_metanas.io.files import replacing


def test_weights_come_back_exactly_and_without_their_storage(tmp_path):
    storage = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0))
    weights = {"a.b": storage[0].requires_grad_(), "n": torch.tensor(3), "h": torch.ones(2, dtype=torch.float64)}
    path = tmp_path / "sub" / "weights.pt"
    write_weights(path, weights)
    back = read_weights(path)
    assert list(back) == list(weights)
    assert all(back[name].dtype == weights[name].dtype and torch.equal(back[name], weights[name]) for name in weights)
    assert not any(tensor.requires_grad for tensor in back.values())
    assert path.stat().st_size < 20_000


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_weights(tmp_path / "nowhere")


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(OSError, match="No space left on device") as caught, replacing(path):
        Path("/dev/full").write_text("new")
    assert (caught.value.filename, path.read_text()) == (str(path), "old")
    assert list(tmp_path.iterdir()) == [path]


def nested(levels, inner=1):
    for _ in range(levels):
        inner = [inner]
    return inner


def doubled(times):
    """Few lists, of which each stands twice in the next one: 2 to the power of ``times`` values."""
    inner = ["value"]
    for _ in range(times):
        inner = [inner, inner]
    return inner


def endless():
    holds = {}
    holds["itself"] = [holds]
    return holds


@pytest.mark.parametrize(
    "content",
    [
        doubled(60),
        endless(),
        nested(DEEPEST + 1),
        [nested(DEEPEST - 1, shared := ["shared"]), shared, nested(DEEPEST, shared)],
        [2**63, 10**400],
        torch.zeros(1).expand(10**12),
        [torch.zeros(1000)] * 10**5,
    ],
    ids=["doubled", "endless", "deep", "deep by two ways", "numbers", "expanded", "repeated"],
)
def test_few_bytes_that_stand_for_much_are_refused_at_once(content, tmp_path):
    torch.save({"a": content}, tmp_path / "x.ckpt")
    with pytest.raises(DAMAGED):
        load_plain(tmp_path / "x.ckpt")


def test_what_a_training_keeps_is_read(tmp_path):
    content = {"a": [nested(DEEPEST - 2), (1.5, None, True, b"x"), torch.Size((2, 3)), torch.float32], 3: {4, 5}}
    torch.save(content, tmp_path / "x.ckpt")
    assert load_plain(tmp_path / "x.ckpt") == content


def archive_of(path, steps):
    """An archive as ``torch.save`` writes it, with other steps of its pickle."""
    torch.save({}, path)
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in entries.items():
            new.writestr(name, steps if name.endswith("data.pkl") else data)


def test_a_pickle_in_an_archive_is_looked_at_before_it_is_read(tmp_path):
    """Its one step keeps a value at a place for which there is no memory."""
    archive_of(tmp_path / "x.ckpt", b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b".")
    with pytest.raises(ValueError, match="keeps a value where no writer does"):
        load_plain(tmp_path / "x.ckpt")


def test_keys_of_one_hash_are_refused_at_once(tmp_path):
    """A table of them would take minutes, so that here their pickle is made without one."""
    keys = b"".join(b"\x8a\x0a" + (place * (2**61 - 1)).to_bytes(10, "little") + b"N" for place in range(100_000))
    archive_of(tmp_path / "x.ckpt", b"\x80\x02}X\x01\x00\x00\x00a}(" + keys + b"us.")
    with pytest.raises(DAMAGED):
        load_plain(tmp_path / "x.ckpt")
