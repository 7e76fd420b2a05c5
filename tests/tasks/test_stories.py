"""Made-up stories: solvable, balanced, the same each time, each task of its own."""

from collections import Counter

import pytest
import torch
from story_solver import solve

import lit_metanas as lm
from lit_metanas.inputs.preprocessing import UNKNOWN
from lit_metanas.kinds.questions.question_words import Asked
from lit_metanas.kinds.questions.stories import QUESTION_TYPES

KINDS = list(QUESTION_TYPES)


@pytest.mark.parametrize("kind", KINDS)
def test_plain_reading_answers_all_questions(kind):
    stories = lm.kinds.Stories(types=[kind], tasks=3, train=60, val=10, test=30, seed=3)
    for index in range(3):
        parts = stories.questions(index)
        asked = [one for part in parts for one in part]
        for one in asked:
            assert solve(kind, list(one.story), one.question) == one.answer, one
        assert len({(*one.story, one.question) for one in asked}) == len(asked) == 100


def test_tasks_are_balanced_have_words_of_their_own_and_one_vocabulary():
    stories = lm.kinds.Stories(tasks=9)
    tasks = [stories[index] for index in range(9)]
    assert {task.shape for task in tasks} == {stories.shape}
    assert [task.id for task in tasks[:4]] == [f"stories/{name}/{n}" for n, name in enumerate([*KINDS, KINDS[0]])]
    assert len({task.classes for task in tasks[2::3]}) == 3
    assert len({int((task.train.inputs > 0).sum(1).max()) for task in tasks}) > 3
    for task in tasks:
        lm.tasks.check_task(task)
        most = max(Counter(task.test.labels.tolist()).values()) / len(task.test)
        assert most <= (0.55 if task.way == 2 else 0.36), task.id
        assert not bool((task.train.inputs == UNKNOWN).any())
    again, other = (lm.kinds.Stories(tasks=9, val=0, seed=seed)[7] for seed in (0, 1))
    assert again.val is None
    assert torch.equal(again.train.inputs, tasks[7].train.inputs)
    assert not torch.equal(other.train.inputs, tasks[7].train.inputs)


def test_wrong_arguments_get_a_sentence(monkeypatch):
    for arguments, message in (
        ({"types": ["motive"]}, "Stories has no question type 'motive': did you mean 'motives'"),
        ({"types": []}, "there is no question type"),
        ({"types": ["motives", "motives"]}, "or one stands twice"),
        ({"train": 1}, "train = 1 must be a whole number, from 2 to"),
    ):
        with pytest.raises(ValueError, match=message):
            lm.kinds.Stories(**arguments)
    monkeypatch.setitem(QUESTION_TYPES, "motives", lambda *_: Asked("who is ada?", ("ada is ada.",), "ada"))
    with pytest.raises(ValueError, match="only about 1 different questions of the type 'motives': lower train"):
        _ = lm.kinds.Stories(types=["motives"], tasks=1)[0]
    with pytest.raises(IndexError, match="task 3 of 3"):
        _ = lm.kinds.Stories(tasks=3)[3]
