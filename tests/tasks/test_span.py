"""The objective of spans against closed forms and plain loops."""

import math

import pytest
import torch

import lit_metanas as lm
from lit_metanas.objectives.objective import NEVER


def test_the_loss_is_the_mean_cross_entropy_of_start_and_end():
    scores = torch.randn(3, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 2], [6, 6], [3, 5]])
    expected = 0.0
    for row, (start, end) in zip(scores.tolist(), targets.tolist(), strict=True):
        for output, step in ((1, start), (2, end)):
            whole = math.log(sum(math.exp(each[output]) for each in row))
            expected += (whole - row[step][output]) / 6
    assert float(lm.Span().loss(scores, targets)) == pytest.approx(expected, abs=1e-12)


def test_what_lies_outside_of_the_steps_adds_nothing_and_is_a_miss():
    scores = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    one = lm.Span().loss(scores[:1], torch.tensor([[1, 2]]))
    both = lm.Span().loss(scores, torch.tensor([[1, 2], [-1, -1]]))
    assert float(one.detach()) == float(both.detach())
    nothing = lm.Span().loss(scores, torch.full((2, 2), -1))
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert float(scores.grad.abs().sum()) == 0
    assert lm.Span().judge([(0, 0), (1, 2)], torch.tensor([[-1, -1], [1, 2]])).right.tolist() == [0, 1]


@pytest.mark.parametrize("longest", [2, 30])
def test_the_prediction_is_the_best_pair_of_all(longest):
    scores = torch.randn(40, 9, 3, generator=torch.Generator().manual_seed(longest))
    scores[:, 7:, 1:] = NEVER
    found = lm.Span(longest).predictions(scores)
    for row, pair in zip(scores.tolist(), found, strict=True):
        pairs = [(s, e) for s in range(9) for e in range(s, min(s + longest, 9))]
        assert pair == max(pairs, key=lambda one: row[one[0]][1] + row[one[1]][2])
        assert pair[1] < 7


def test_steps_behind_the_end_change_nothing():
    scores = torch.randn(4, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    behind = torch.tensor([0.0, NEVER, NEVER], dtype=torch.float64).expand(4, 3, 3)
    longer, targets = torch.cat([scores, behind], dim=1), torch.tensor([[0, 1], [2, 2], [3, 5], [1, 4]])
    objective = lm.Span()
    assert float(objective.loss(longer, targets)) == pytest.approx(float(objective.loss(scores, targets)), abs=1e-12)
    assert objective.predictions(longer) == objective.predictions(scores)


def test_f1_is_that_of_sets_of_steps():
    said, meant = [(0, 3), (2, 2), (5, 9), (4, 6)], [(2, 5), (2, 2), (0, 4), (5, 5)]
    expected = []
    for one, other in zip(said, meant, strict=True):
        steps, right = (set(range(a, b + 1)) for a, b in (one, other))
        both = len(steps & right)
        precision, recall = both / len(steps), both / len(right)
        expected.append(2 * precision * recall / (precision + recall) if both else 0.0)
    judged = lm.Span().judge(said, torch.tensor(meant))
    assert judged.right.tolist() == pytest.approx(expected)
    assert judged.whole.tolist() == [1, 1, 1, 1]
    assert lm.Span().answers(torch.tensor(meant)) == meant


def test_steps_are_shown_as_words():
    part = lm.Split(torch.tensor([[2, 3, 4, 5]]), torch.tensor([[1, 2]]))
    task = lm.Task("t", way=3, train=part, val=None, test=part, vocabulary=9, objective=lm.Span())
    assert task.goal.show([(1, 2)], part.inputs, task) == ["1 to 2"]
    task.preprocessing = lm.kinds.Words(least=1).fitted(["a b c d"])
    assert task.goal.show([(1, 2)], part.inputs, task) == ["b c"]
    assert task.goal.show([(-1, -1)], part.inputs, task) == [""]


def test_wrong_numbers_get_a_sentence():
    with pytest.raises(ValueError, match="Span: longest = 0 must be at least 1"):
        lm.Span(0)
    with pytest.raises(ValueError, match=r"Span takes no label smoothing: set label_smoothing = 0\.1 to 0"):
        lm.Span().loss(torch.zeros(1, 3, 3), torch.tensor([[0, 1]]), 0.1)
    with pytest.raises(ValueError, match="ends at step 4, and there are scores of 3 steps: take SequenceSpace with"):
        lm.Span().loss(torch.zeros(1, 3, 3), torch.tensor([[0, 4]]))
    lm.Span().check_targets("It", torch.tensor([[0, 0], [-1, -1], [2, 5]]))
    for targets, message in (
        ([1, 2], "give \\(n, 2\\), start and end"),
        ([[3, 2]], "ends before it starts"),
        ([[-1, 2]], "starts before step 0"),
    ):
        with pytest.raises(ValueError, match=message):
            lm.Span().check_targets("It", torch.tensor(targets))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Span wants scores for each step of an input, and SequenceSpace"),
        ({"readouts": ("each",), "stride": 2}, r"makes one of several: set stride=1 and pools=\['none'\]"),
        ({"readouts": ("each",), "pools": ("max",)}, r"makes one of several: set stride=1 and pools=\['none'\]"),
    ],
)
def test_a_space_without_a_score_for_each_step_is_refused(options, message):
    part = lm.Split(torch.randint(1, 9, (6, 12)), torch.tensor([[1, 2]] * 6))
    task = lm.Task("marked", way=3, train=part, val=part, test=part, vocabulary=9, objective=lm.Span(longest=4))
    with pytest.raises(ValueError, match=message):
        lm.search(task, lm.SequenceSpace(**options), queries=1, progress=False)
