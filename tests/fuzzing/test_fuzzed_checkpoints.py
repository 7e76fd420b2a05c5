"""Checkpoints of every kind, edited by what is in them: what was written, or one sentence."""

import zipfile
from pathlib import Path

import pytest
import torch
from file_kinds import KINDS
from fuzz_tools import CASES, TENSORS, VALUES, Case, cases, edited, ending
from hypothesis import given
from meta_toys import make_data, make_model, make_trainer
from pickle_steps import pickled

TREES = [*VALUES, *TENSORS, b"bytes", 1j, (1, 2), {1, 2}, {3: 4}, torch.float16]


@pytest.fixture(scope="module")
def meta_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a meta-training of one epoch."""
    trainer = make_trainer()
    trainer.fit(make_model(), make_data(steps_per_epoch=1, val_episodes=1))
    path = tmp_path_factory.mktemp("meta") / "last.ckpt"
    trainer.save_checkpoint(path)
    return path


@cases(25, 3000)
@given(random=CASES)
def test_a_meta_training_starts(random: Case, meta_run: Path, canary: Path) -> None:
    tree, _ = edited(random, torch.load(meta_run, weights_only=True), TREES)
    path = canary / "work" / "start.ckpt"
    torch.save(tree, path)
    ending(lambda: make_model(start=str(path)).probabilities(), canary)


@pytest.mark.parametrize("name", ["checkpoint", "start", "weights", "surrogate"])
@cases(30, 4000)
@given(random=CASES)
def test_trees(name: str, random: Case, canary: Path) -> None:
    path = canary / "work" / KINDS[name].name
    KINDS[name].write(path)
    tree, _ = edited(random, torch.load(path, weights_only=True), TREES)
    torch.save(tree, path)
    ending(lambda: KINDS[name].read(path), canary, names=path.name)


@pytest.mark.parametrize("name", ["checkpoint", "start", "surrogate"])
@cases(30, 4000)
@given(random=CASES)
def test_steps_of_the_pickle(name: str, random: Case, canary: Path) -> None:
    path = canary / "work" / KINDS[name].name
    KINDS[name].write(path)
    with zipfile.ZipFile(path) as old:
        entries = {entry: old.read(entry) for entry in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for entry, content in entries.items():
            new.writestr(entry, pickled(random, content) if entry.endswith("data.pkl") else content)
    ending(lambda: KINDS[name].read(path), canary, names=path.name)
