"""Made-up stories: solvable, balanced, the same each time, each task of its own."""

from collections import Counter

import pytest
import torch

import lit_metanas as lm
from lit_metanas.inputs.preprocessing import UNKNOWN


def test_plain_reading_answers_all_questions():
    stories = lm.kinds.Stories(tasks=3, train=60, val=10, test=30, seed=3)
    for index in range(3):
        asked = [one for part in stories.questions(index) for one in part]
        for one in asked:
            at = {sentence.split()[0]: sentence.rstrip(".").split()[-1] for sentence in one.story}
            assert at[one.question.rstrip("?").split()[-1]] == one.answer, one
        assert len({(*one.story, one.question) for one in asked}) == len(asked) == 100


def test_tasks_are_balanced_have_words_of_their_own_and_one_vocabulary():
    stories = lm.kinds.Stories(tasks=9)
    tasks = [stories[index] for index in range(9)]
    assert {task.shape for task in tasks} == {stories.shape}
    assert [task.id for task in tasks[:2]] == ["stories/0", "stories/1"]
    assert len({task.classes for task in tasks}) == 9
    for task in tasks:
        lm.tasks.check_task(task)
        assert max(Counter(task.test.labels.tolist()).values()) / len(task.test) <= 0.36, task.id
        assert not bool((task.train.inputs == UNKNOWN).any())
    again, other = (lm.kinds.Stories(tasks=9, val=0, seed=seed)[7] for seed in (0, 1))
    assert again.val is None
    assert torch.equal(again.train.inputs, tasks[7].train.inputs)
    assert not torch.equal(other.train.inputs, tasks[7].train.inputs)


def test_wrong_arguments_get_a_sentence():
    with pytest.raises(ValueError, match="train = 1 must be a whole number, from 2 to"):
        lm.kinds.Stories(train=1)
    with pytest.raises(IndexError, match="task 3 of 3"):
        _ = lm.kinds.Stories(tasks=3)[3]
