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
    two = written(
        tmp_path / "2.jsonl", a_record("t", trial("cc", 0.875), trial("ba", 0.375), embedding=(1.0, 2.0), method="tpe")
    )
    third = written(tmp_path / "3.jsonl", a_record("u", trial("cd", 5.0, fidelity=0.5), embedding=(3.0, 4.0)))
    data = set_up(one, two, third)
    t, u = data.train
    assert (t.task_id, u.task_id) == ("t", "u")
    names = ["".join(architecture.values()) for architecture in t.architectures]
    assert dict(zip(names, t.scores.tolist(), strict=True)) == {"ab": 0.375, "cc": 0.5, "ad": 0.75}
    assert torch.equal(t.features, ENCODING(t.architectures))
    assert t.scores.dtype == t.features.dtype == torch.float64
    assert t.embedding.tolist() == [1.0, 2.0]
    assert u.scores.tolist() == [1.0, 2.0]


def test_of_the_scores_of_a_halving_search_that_of_the_longest_training_counts(tmp_path):
    rungs = [trial("ab", 0.25, trained=10.0), trial("cc", 0.5, trained=10.0), trial("cc", 0.75, trained=30.0)]
    (scores,) = set_up(written(tmp_path / "halving.jsonl", a_record("t", *rungs))).train
    assert sorted(scores.scores.tolist()) == [0.25, 0.75]


def test_tasks_are_split_and_never_trials(many):
    data = set_up(*many, val_tasks=0.25, seed=3)
    train, val = ({scores.task_id for scores in part} for part in (data.train, data.val))
    assert len(val) == 3
    assert len(train) == 9
    assert not train & val
    assert all(len(scores) == 2 for scores in (*data.train, *data.val))
    again = set_up(*many[::-1], val_tasks=0.25, seed=3)
    assert {scores.task_id for scores in again.val} == val  # whatever the order of the files
    splits = {tuple(scores.task_id for scores in set_up(*many, val_tasks=0.25, seed=s).val) for s in range(5)}
    assert len(splits) > 1
    named = set_up(*many, val_tasks=["task 3", "task 10"])
    assert {scores.task_id for scores in named.val} == {"task 3", "task 10"}
    assert len(named.train) == 10
    assert set_up(*many).val == ()


def test_processes_share_the_tasks(many):
    seen = []
    for rank in range(2):
        data = RecordDataModule(many, encoding=ENCODING, val_tasks=["task 3", "task 5", "task 7"])
        data.trainer = SimpleNamespace(world_size=2, global_rank=rank)
        data.setup("fit")
        seen.append(([b.task_id for b in data.train_dataloader()], [b.task_id for b in data.val_dataloader()[0]]))
    (train, val), (other_train, other_val) = seen
    assert len(train) == len(other_train) == 5  # one of nine twice, so that no process waits
    assert {*train, *other_train} == {f"task {t}" for t in range(12)} - {"task 3", "task 5", "task 7"}
    assert sorted([*val, *other_val]) == ["task 3", "task 5", "task 7"]
    data.trainer.world_size = 10
    data.train = ()
    with pytest.raises(ValueError, match="to learn from, there must be 10 others, one for each process"):
        data.setup("fit")
    data.trainer.world_size = 4
    data.train = ()
    with pytest.raises(ValueError, match="Too few held-out tasks: 3 for 4 processes"):
        data.setup("fit")


def test_refusals(many, tmp_path):
    with pytest.raises(ValueError, match="no task 'task 33' to validate on: they have task 0, task 1, task 10"):
        set_up(*many, val_tasks=["task 33"])
    with pytest.raises(ValueError, match="scores of 12 tasks, 12 of them held out: to learn from, there must be 1 o"):
        set_up(*many, val_tasks=[f"task {t}" for t in range(12)])
    with pytest.raises(FileNotFoundError, match=r"no file 'nowhere\.jsonl'"):
        set_up(*many, "nowhere.jsonl")
    with pytest.raises(ValueError, match="has no records: give at least one file"):
        RecordDataModule([], encoding=ENCODING)
    with pytest.raises(ValueError, match=r"val_tasks = 1\.5 is not a share"):
        RecordDataModule(many, encoding=ENCODING, val_tasks=1.5)
    other = replace(a_record("v"), space="Digits")
    with pytest.raises(ValueError, match=r"Record 1 is of task 'v' in the space Digits, not Pairs: leave it out"):
        set_up(*many, records=[other])
    embedded = written(tmp_path / "e.jsonl", a_record("v", trial("ab", 1), trial("cd", 2), embedding=(1.0,)))
    with pytest.raises(ValueError, match="Tasks 'task 9' and 'v' have embeddings of 0 and 1 numbers"):
        set_up(*many, embedded)
    single = written(tmp_path / "s.jsonl", a_record("w", trial("ab", 1)))
    with pytest.warns(UserWarning, match="Task 'w', left out: it has 1 score\\."):
        assert len(set_up(*many, single).train) == 12
