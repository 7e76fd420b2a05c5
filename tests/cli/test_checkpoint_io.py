"""A checkpoint is replaced as a whole or not at all."""

import tempfile
from pathlib import Path

import pytest
import torch

from lit_metanas.cli.command_line import main
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


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (["--results+=good.json", "--architectures=architectures.json"], "architectures.json"),
        (["--results+=good.json", "--probabilities=probabilities.json"], "probabilities.json"),
    ],
)
def test_the_verb_report_refuses_damaged_files(args, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("good.json").write_text('{"schema": 1, "results": []}')
    Path(name).write_text('{"schema": 1, "resu')
    assert main(["report", *args]) == 2
    said = capsys.readouterr().err
    assert said.startswith("lit-metanas: ")
    assert f"'{name}' is not valid JSON" in said
    assert said.count("\n") == 1
    assert not Path("report").exists()
