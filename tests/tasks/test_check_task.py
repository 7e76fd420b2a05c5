"""What no network can be trained on gets one sentence."""

from dataclasses import replace

import pytest
import torch

from lit_metanas.objectives import Transcription
from lit_metanas.tasks import Episode, Split, Task, check_task


def part(**changes):
    return Split(**{"inputs": torch.rand(4, 1, 8, 8), "labels": torch.tensor([0, 1, 0, 1]), **changes})


TASK = Task("toy", 2, part(), part(), part(), classes=("a", "b"))


def nan():
    inputs = torch.rand(4, 1, 8, 8)
    inputs[2, 0, 3, 3] = float("nan")
    return inputs


def of_type(dtype):
    return part(inputs=torch.zeros(4, 1, 8, 8, dtype=dtype))


def test_a_good_task_passes():
    check_task(TASK)
    check_task(replace(TASK, val=None, classes=()))
    check_task(replace(TASK, train=part(inputs=20 * torch.randn(4, 1, 8, 8))))  # standardised


def test_what_is_printed_is_short():
    assert repr(TASK) == "Task('toy', 2 classes, train 4, val 4, test 4, shape (1, 8, 8))"
    heard = replace(TASK, way=3, objective=Transcription(2))
    assert repr(heard) == "Task('toy', Transcription, 3 outputs, train 4, val 4, test 4, shape (1, 8, 8))"
    assert repr(replace(TASK, val=None)) == "Task('toy', 2 classes, train 4, test 4, shape (1, 8, 8))"
    episode = Episode("toy/1", 2, part(), None, part())
    assert repr([episode]) == "[Episode('toy/1', 2 classes, support 4, query 4, shape (1, 8, 8))]"
    assert repr(TASK.train) == "Split(4 examples, shape (1, 8, 8))"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, "Task 'toy' has way = 2, but the class names a: name each class once."),
        ({"val": part(inputs=torch.rand(4, 8, 8))}, "The val part of task 'toy' has images of shape (4, 8, 8)"),
        ({"train": part(inputs=torch.rand(4, 784))}, "The val part of task 'toy' has inputs of shape (4, 1, 8, 8)"),
        ({"train": of_type(torch.int16)}, "The train part of task 'toy' has images of type"),
        ({"train": of_type(torch.uint8)}, "The val part of task 'toy' has images of type"),
        ({"test": of_type(torch.float64)}, "The test part of task 'toy' has images of type"),
        ({"train": part(labels=torch.tensor([0, 1, 0]))}, "The train part of task 'toy' has 4 images, but labels"),
        ({"test": part(labels=torch.tensor([0, 2, 0, 1]))}, "The test part of task 'toy' has labels from 0 to 2"),
        ({"train": part(inputs=nan())}, "The train part of task 'toy' has images with values that are not finite"),
        ({"val": part(inputs=255 * torch.rand(4, 1, 8, 8))}, "The val part of task 'toy' has images with values up"),
        ({"train": part(inputs=torch.rand(4, 1, 8, 8).numpy())}, "The train part of task 'toy' holds no tensors"),
        ({"test": Split(torch.rand(0, 1, 8, 8), torch.zeros(0).long())}, "Task 'toy' has no test examples: give it"),
    ],
)
def test_a_mistake_gets_one_sentence(changes, message):
    with pytest.raises(ValueError) as caught:
        check_task(replace(TASK, **changes))
    assert str(caught.value).startswith(message)
    assert str(caught.value).count(". ") == 0
