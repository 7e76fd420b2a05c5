"""A checkpoint is replaced as a whole or not at all."""

import tempfile

import pytest
import torch

from lit_metanas.training.trainers import AtomicCheckpointIO


def test_a_checkpoint_is_written_beside_the_one_that_it_replaces(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # another file system, to which a move would be a copy
    path = tmp_path / "deep" / "last.ckpt"
    for epoch in (1, 2):
        AtomicCheckpointIO().save_checkpoint({"epoch": epoch, "weight": torch.ones(3)}, path)
        assert torch.load(path, weights_only=True)["epoch"] == epoch
    assert [entry.name for entry in path.parent.iterdir()] == ["last.ckpt"]


def test_what_cannot_be_saved_leaves_the_old_one_and_half_ones_are_cleared_away(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)
    (tmp_path / ".last.ckpt.abcd1234.part").write_text("of a run that was killed")
    (tmp_path / ".other.ckpt.abcd1234.part").write_text("of another file")
    with pytest.raises(AttributeError, match=r"Can't (pickle|get) local object"):
        AtomicCheckpointIO().save_checkpoint({"epoch": lambda: 2}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 1
    AtomicCheckpointIO().save_checkpoint({"epoch": 3}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".other.ckpt.abcd1234.part", "last.ckpt"]
