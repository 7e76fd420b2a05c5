"""The benchmark of real pairs: each row at a tiny scale, on files that are made up."""

from __future__ import annotations

import gzip
import json
from itertools import product

import numpy as np
import pytest
import torch

import lit_metanas as lm


@pytest.fixture
def module(load):
    return load("real_pairs")


@pytest.fixture
def folder(tmp_path):
    """Digits are hums of their own length; three languages have many words, and three have few."""
    random = np.random.default_rng(0)
    label = np.tile(np.arange(10), 6)
    clips = [(3000 * random.standard_normal(800 + 80 * digit)).astype(np.int16) for digit in label]
    offsets = np.cumsum([0, *map(len, clips)])
    np.savez(
        tmp_path / "fsdd_8k_int16.npz", audio=np.concatenate(clips), offsets=offsets, label=label,
        speaker=np.repeat(np.arange(6), 10), speaker_names=np.array(list("abcdef")),
    )  # fmt: skip
    words = ["".join(letters) for letters in product("abc", repeat=4)]
    rows = [[word, " ".join({"a": "ɑ", "b": "ts"}.get(letter, letter) for letter in word)] for word in words]
    parts = {"train": rows[:40], "dev": rows[40:60], "test": rows[60:]}
    few = {**parts, "train": rows[:20]}
    languages = {**dict.fromkeys(("fre", "ger", "hun"), parts), **dict.fromkeys(("ady", "gre", "ice"), few)}
    (tmp_path / "g2p20.json.gz").write_bytes(gzip.compress(json.dumps({"languages": languages}).encode()))
    pairs = {f"l{code}": [[f"{code} {i}", f"number {i}"] for i in range(60)] for code in range(6)}
    (tmp_path / "tatoeba112.json.gz").write_bytes(gzip.compress(json.dumps({"pairs": pairs}).encode()))
    return tmp_path


def test_a_string_says_the_digits_of_one_speaker(module, folder):
    features = lm.LogMel(hop=0.02, steps=100)
    task = module.digit_strings(folder / "fsdd_8k_int16.npz", 2, 3, 0, features)
    lm.check_task(task)
    said = {part: (getattr(task, part).labels > 0).sum(1) for part in ("train", "val", "test")}
    assert all(int(lengths.min()) >= 3 and int(lengths.max()) <= 7 for lengths in said.values())
    assert 6 <= int(said["test"].sum()) <= 10
    assert 48 <= int(said["train"].sum()) <= 80
    steps = task.test.inputs[:, -1].sum(1)
    hums = torch.tensor([0.0, *(0.1 + 0.01 * digit for digit in range(10))])
    assert torch.allclose(steps, hums[task.test.labels].sum(1) / 0.02, atol=2)


def test_phones_become_letters(module, folder):
    languages = module.g2p(module.GivenPairs(folder))
    assert languages.train.names == ("fre", "ger", "hun")
    assert languages.test.names == ("ady", "gre", "ice")
    task = languages.test[0]
    lm.check_task(task)
    assert (len(task.train), len(task.val), len(task.test)) == (20, 20, 21)
    assert task.goal.metric == "exact match"
    assert int((task.test.labels > 0).sum(1).max()) == 4  # "ts" is one


def test_others_get_the_flops_of_the_searched_network(module, folder):
    languages = module.g2p(module.GivenPairs(folder))
    task, recipe = languages.test[0], lm.Recipe(epochs=2, batch_size=10)
    found = module.train_fixed(task, languages.space, module.TWO_GRU, recipe, 2e9, 0)
    epoch = 3 * found.flops * 40
    assert found.recipe.epochs == round(2e9 / epoch) > 2
    assert module.spent(found) == found.recipe.epochs * epoch


def test_a_speaker_to_choose_by_is_never_tested(module, folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "digit_strings", lambda file, tested, validated, *_: drawn.append((tested, validated)))
    monkeypatch.setattr(module.Tally, "add", lambda *_: None)
    module.digits(module.GivenPairs(folder, seeds=range(5), held_out=1))
    module.digits(module.GivenPairs(folder, seeds=(0, 1)))
    assert drawn == [(speaker, 5) for speaker in (0, 1, 2, 3, 4, 0, 1, 2, 3)]


def test_a_budget_that_is_too_small_gets_a_sentence(module, folder, capsys):
    with pytest.raises(SystemExit) as stop:
        module.main(["--rows", "digits", "--data", str(folder), "--seeds", "0", "--scale", "1e-6"])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("digits stops at --scale 1e-06: The budget of 120000 FLOPs and any number of queries is too")
    assert told.count("\n") == 1


@pytest.mark.slow
def test_each_row_is_measured(module, folder, capsys, fixed_trainings):
    output = folder / "found.json"
    given = ["--data", str(folder), "--seeds", "1", "--held-out", "1", "--scale", "1e-2", "--output", str(output)]
    module.main(["--rows", "digits", "g2p", "tatoeba", *given])
    document = json.loads(output.read_text())
    told = {row["problem"]: row for row in document["comparisons"]}
    assert len(told) == 3
    assert document["peak_mb"] > 0
    assert len(fixed_trainings) == 5
    assert all(abs(spent - asked) <= epoch / 2 for asked, spent, epoch in fixed_trainings)
    assert {asked for asked, _, _ in fixed_trainings} == {row["cost"]["searched"] for row in told.values()}
    for row in told.values():
        assert all(len(scores) == 1 for scores in row["scores"].values())
    assert min(told["words to phones, 800 words"]["notes"]["meta_flops"]) > 0
    assert "searched better by" in capsys.readouterr().out


def test_absent_files_are_skipped_by_name(module, tmp_path, capsys):
    module.main(["--data", str(tmp_path), "--rows", "digits", "g2p"])
    told = capsys.readouterr().out
    assert f"digits is skipped: There is no file {tmp_path / 'fsdd_8k_int16.npz'}." in told
    assert f"g2p is skipped: There is no file {tmp_path / 'g2p20.json.gz'}." in told
