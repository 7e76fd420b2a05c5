"""A run's own files, damaged: it goes on without them, or says in a sentence why it cannot."""

from pathlib import Path

import pytest
import torch
import yaml

from lit_metanas.cli.experiment.plan import Step, mark, state


@pytest.mark.parametrize("text", ["{", "[]", '{"state": "finished"}', '{"fingerprint": "other", "state": "finished"}'])
def test_a_damaged_mark_counts_as_none(text, tmp_path):
    step = Step("fit", tmp_path, ["fit"], 0, "this", frozenset())
    mark(step, "finished")
    assert state(step, set()) == "finished"
    (tmp_path / "phase.json").write_text(text)
    assert state(step, set()) == "new"
    (tmp_path / "phase.json").write_text('{"fingerprint": "this"}')
    assert state(step, set()) == "new"


def test_a_resumed_fit_replaces_a_damaged_configuration(toy, toy_folder):
    assert toy("fit", "--trainer.default_root_dir=out", "--trainer.max_epochs=1") == 0
    saved = toy_folder / "out" / "config.fit.yaml"
    text = saved.read_text()
    for damaged in (b"model: [\n", b"\xff\xfe\x00"):
        saved.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"config.fit.yaml' is replaced: it was damaged\."):
            toy("fit", "--trainer.default_root_dir=out", "--ckpt_path=out/checkpoints/last.ckpt")
        assert saved.read_text().splitlines()[0] == text.splitlines()[0]


@pytest.mark.parametrize("lacks", ["optimizer_states", "loops"])
def test_weights_alone_are_no_training_to_go_on_with(lacks, toy, refusal):
    assert toy("fit", "--trainer.default_root_dir=out", "--trainer.max_epochs=1") == 0
    content = torch.load("out/checkpoints/last.ckpt", weights_only=True)
    del content[lacks]
    torch.save(content, "weights.ckpt")
    said = refusal("fit", "-c", "toy.yaml", "--trainer.default_root_dir=out", "--ckpt_path=weights.ckpt")
    assert said.startswith("The checkpoint 'weights.ckpt' holds weights, but no training to resume:")
    assert Path("out/checkpoints/last.ckpt").is_file()


def test_the_number_of_threads_is_kept_and_another_one_is_told(toy, toy_folder):
    assert toy("fit", "--trainer.default_root_dir=out", "--trainer.max_epochs=1", "--trainer.threads=null") == 0
    saved = toy_folder / "out" / "config.fit.yaml"
    assert yaml.safe_load(saved.read_text())["trainer"]["threads"] == torch.get_num_threads() == 1
    with pytest.warns(UserWarning, match=r"this run changes trainer.max_epochs, trainer.threads\."):
        toy("fit", "--trainer.default_root_dir=out", "--ckpt_path=out/checkpoints/last.ckpt", "--trainer.threads=2")
    assert yaml.safe_load(saved.read_text())["trainer"]["threads"] == 2
