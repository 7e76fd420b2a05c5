"""Made-up stories: solvable, balanced, the same each time, each task of its own."""

from collections import Counter

import pytest
import torch
from story_solver import solve

import lit_metanas as lm
from lit_metanas.inputs.tokens import UNKNOWN
from lit_metanas.kinds.questions.stories import QUESTION_TYPES
from lit_metanas.kinds.questions.whereabouts import Story

KINDS = list(QUESTION_TYPES)


@pytest.mark.parametrize("kind", KINDS)
def test_plain_reading_answers_all_questions(kind):
    stories = lm.kinds.Stories(types=[kind], tasks=3, train=60, val=10, test=30, seed=3)
    for index in range(3):
        parts = stories.questions(index)
        for asked in (one for part in parts for one in part):
            assert solve(kind, list(asked.story), asked.question) == asked.answer, asked
        told = [(*asked.story, asked.question) for part in parts for asked in part]
        assert len(set(told)) == len(told) == 100


def test_no_answer_is_much_more_frequent_than_others():
    for task in lm.kinds.Stories(tasks=len(KINDS)):
        most = max(Counter(task.test.labels.tolist()).values()) / len(task.test)
        assert most <= (0.55 if task.way == 2 else 0.36), task.id


def test_tasks_have_words_and_lengths_of_their_own_and_one_vocabulary():
    stories = lm.kinds.Stories(types=["two-facts", "gifts"], tasks=8)
    tasks = [stories[index] for index in range(8)]
    assert {task.shape for task in tasks} == {stories.shape}
    assert [task.id for task in tasks[:3]] == ["stories/two-facts/0", "stories/gifts/1", "stories/two-facts/2"]
    assert len({task.classes for task in tasks}) == 8
    assert len({int((task.train.inputs > 0).sum(1).max()) for task in tasks}) > 3
    lm.tasks.check_task(tasks[0])
    again, other = (lm.kinds.Stories(types=["two-facts", "gifts"], tasks=8, seed=seed)[7] for seed in (0, 1))
    assert torch.equal(again.train.inputs, tasks[7].train.inputs)
    assert not torch.equal(other.train.inputs, tasks[7].train.inputs)


def test_all_words_of_all_types_are_known_and_no_story_is_cut(recwarn):
    stories = lm.kinds.Stories(tasks=60, train=40, val=0, test=10)
    for index in range(60):
        task = stories[index]
        assert task.val is None
        assert not bool((task.train.inputs == UNKNOWN).any())
    assert not [str(told.message) for told in recwarn if "left out" in str(told.message)]


def test_wrong_arguments_get_a_sentence(monkeypatch):
    for arguments, message in (
        ({"types": ["gift"]}, "Stories has no question type 'gift': did you mean 'gifts'"),
        ({"types": []}, "there is no question type"),
        ({"types": ["gifts", "gifts"]}, "or one stands twice"),
        ({"tasks": 0}, "tasks = 0 must be a whole number, from 1 to"),
        ({"train": 1}, "train = 1 must be a whole number, from 2 to"),
    ):
        with pytest.raises(ValueError, match=message):
            lm.kinds.Stories(**arguments)
    monkeypatch.setitem(QUESTION_TYPES, "gifts", lambda cast, draw: Story(["ada is ada."], "who is ada?", "ada"))
    with pytest.raises(ValueError, match="only about 1 different questions of the type 'gifts': lower train"):
        _ = lm.kinds.Stories(types=["gifts"], tasks=1)[0]
    with pytest.raises(IndexError, match="task 3 of 3"):
        _ = lm.kinds.Stories(tasks=3)[3]


def test_a_network_learns_a_type_and_takes_new_stories_with_unknown_words():
    task = lm.kinds.Stories(types=["motives"], tasks=1, train=200, val=0, test=100)[0]
    space = lm.SequenceSpace(
        operations=("conv_5",), activations=("ReLU",), dropouts=(0.0,), skips=("none",), depths=(1,), widths=(32,),
        readouts=("max",),
    )  # fmt: skip
    result = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=6), progress=False)
    assert result.test_accuracy > max(Counter(task.test.labels.tolist()).values()) / 100 + 0.2
    told = ["zoe feels hungry.", "zoe zips to the bakery."]
    by_pair, by_text = result.predict([("why did Zoe go?", told), "why did Zoe go?\t" + " ".join(told)])
    assert by_pair == by_text
    assert set(by_pair) == set(task.classes)
