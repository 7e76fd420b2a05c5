"""Records of searches as batches: whole tasks, each architecture once, nothing of the test part."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lit_metanas.records import Cost, SearchRecord, Trial, write_record_lines
from lit_metanas.spaces import Architecture, Choice, ChoiceSpace, OneHotEncoding
from lit_metanas.surrogates import RecordDataModule


class Pairs(ChoiceSpace):
    """Two letters whose order does not matter."""

    choices = tuple(Choice(name, tuple("abcd")) for name in ("x", "y"))

    def canonical(self, labels):
        labels = super().canonical(labels)
        return Architecture(dict(zip("xy", sorted(labels.values()), strict=True)))


SPACE = Pairs()
ENCODING = OneHotEncoding(SPACE)


def trial(letters, value, **fields):
    return Trial(Architecture(dict(zip("xy", letters, strict=True))), value, Cost(queries=1), **fields)


def a_record(task, *trials, **fields):
    return SearchRecord(task, list(trials), space="Pairs", **fields)


def written(path, *records):
    write_record_lines(path, records)
    return str(path)


def set_up(*paths, **options):
    data = RecordDataModule(list(paths), encoding=ENCODING, **options)
    data.setup("fit")
    return data


@pytest.fixture
def many(tmp_path):
    """Twelve tasks, each searched twice."""
    paths = []
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        records = [
            a_record(f"task {t}", *(trial("ab", float(torch.rand((), generator=generator))), trial("cd", t)), seed=seed)
            for t in range(12)
        ]
        paths.append(written(tmp_path / f"{seed}.jsonl", *records))
    return paths


def test_searches_of_one_task_are_one_batch(tmp_path):
    one = written(
        tmp_path / "1.jsonl",
        a_record(
            "t",
            trial("ab", 0.25, fidelity=0.5),
            trial("cc", 0.5),
            trial("dd", -math.inf, failure="lost"),
            trial("cc", 0.5, duplicate=True),
            trial("dc", 0.125, fidelity=0.1, pruned=True),
            trial("ad", math.nan),
            trial("da", 0.75),
        ),
        a_record("u", trial("ab", 1.0), trial("cd", 2.0)),
    )
    two = written(tmp_path / "2.jsonl", a_record("t", trial("cc", 0.875), trial("ba", 0.375), method="tpe"))
    third = written(tmp_path / "3.jsonl", a_record("u", trial("cd", 5.0, fidelity=0.5)))
    data = set_up(one, two, third)
    t, u = data.train
    assert (t.task_id, u.task_id) == ("t", "u")
    names = ["".join(architecture.values()) for architecture in t.architectures]
    assert dict(zip(names, t.scores.tolist(), strict=True)) == {"ab": 0.375, "cc": 0.5, "ad": 0.75}
    assert torch.equal(t.features, ENCODING(t.architectures))
    assert t.scores.dtype == t.features.dtype == torch.float64
    assert u.scores.tolist() == [1.0, 2.0]
    data.setup("fit")
    assert data.train[0] is t  # read once


def test_of_the_scores_of_a_halving_search_that_of_the_longest_training_counts(tmp_path):
    rungs = [trial("ab", 0.25, trained=10.0), trial("cc", 0.5, trained=10.0), trial("cc", 0.75, trained=30.0)]
    (scores,) = set_up(written(tmp_path / "halving.jsonl", a_record("t", *rungs))).train
    assert sorted(scores.scores.tolist()) == [0.25, 0.75]


def test_refusals(many, tmp_path):
    data = RecordDataModule(many, encoding=ENCODING)
    data.trainer = SimpleNamespace(world_size=2)
    with pytest.raises(ValueError, match="RecordDataModule is for one process"):
        data.setup("fit")
    with pytest.raises(FileNotFoundError, match=r"no file 'nowhere\.jsonl'"):
        set_up(*many, "nowhere.jsonl")
    with pytest.raises(ValueError, match="has no records: give at least one file"):
        RecordDataModule([], encoding=ENCODING)
    other = replace(a_record("v"), space="Digits")
    with pytest.raises(ValueError, match=r"Record 1 is of task 'v' in the space Digits, not Pairs: leave it out"):
        set_up(*many, records=[other])
    single = written(tmp_path / "s.jsonl", a_record("w", trial("ab", 1)))
    with pytest.warns(UserWarning, match="Task 'w', left out: it has 1 score\\."):
        assert len(set_up(*many, single).train) == 12
    with (
        pytest.warns(UserWarning, match="Task 'w', left out"),
        pytest.raises(ValueError, match="no task with two scores to learn from"),
    ):
        set_up(single)
