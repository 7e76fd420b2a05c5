"""Weights files: plain tensors, no code."""

import os
import pickle

import pytest
import torch

from lit_metanas.io.checkpoints import read_weights, write_weights
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


class Hostile:
    def __reduce__(self):
        return os.system, ("touch was-executed",)


def hostile(path):
    path.write_bytes(pickle.dumps({"a": Hostile()}))


def hostile_archive(path):
    torch.save({"a": Hostile()}, path)


def truncated(path):
    write_weights(path, {"a": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:200])


def text(path):
    path.write_text("no weights at all")


def empty(path):
    path.write_bytes(b"")


def nested(path):
    torch.save({"a": {"b": torch.zeros(1)}}, path)


def a_list(path):
    torch.save([torch.zeros(1)], path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("make", [hostile, hostile_archive, truncated, text, empty, nested, a_list])
def test_a_bad_file_gets_one_sentence_and_is_not_executed(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights.pt' is damaged or holds more than plain tensors") as caught:
        read_weights(tmp_path / "weights.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "was-executed").exists()


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
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
