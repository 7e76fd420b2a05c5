"""Objectives against closed forms and plain enumeration."""

import itertools
import math

import pytest
import torch

from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import NEVER, Judged
from lit_metanas.objectives.step_objectives import Transcription
from lit_metanas.records.statistics import wilson
from lit_metanas.spaces.sequence.sequence_network import silenced


def collapse(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def likelihoods(log_probabilities):
    """The probability of each sequence of symbols: that of all its paths, one by one."""
    steps, outputs = log_probabilities.shape
    found = {}
    for path in itertools.product(range(outputs), repeat=steps):
        value = math.exp(sum(float(log_probabilities[step, symbol]) for step, symbol in enumerate(path)))
        found[collapse(path)] = found.get(collapse(path), 0.0) + value
    return found


@pytest.mark.parametrize("seed", range(2))
def test_transcription_is_the_sum_over_all_paths(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(1, 5, 3, generator=generator, dtype=torch.float64)
    known = likelihoods(scores[0].log_softmax(1))
    objective = Transcription(2)
    for target in ([1], [1, 2], [2, 2], [1, 2, 1]):
        loss = float(objective.loss(scores, torch.tensor([target + [0] * (4 - len(target))])))
        assert loss == pytest.approx(-math.log(known[tuple(target)]) / len(target), abs=1e-9)
    assert objective.predictions(scores) == [list(collapse(scores[0].argmax(1).tolist()))]


def test_steps_behind_the_end_change_nothing():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    targets = torch.tensor([[1, 3, 0], [2, 2, 1]])
    objective = Transcription(3)
    padding = torch.tensor([0.0, NEVER, NEVER, NEVER], dtype=torch.float64).expand(2, 3, 4)
    longer = torch.cat([scores, padding], dim=1)
    assert float(objective.loss(longer, targets)) == pytest.approx(float(objective.loss(scores, targets)), abs=1e-9)
    assert objective.predictions(longer) == objective.predictions(scores)
    ours, theirs = (one.clone().requires_grad_() for one in (scores, scores))
    objective.loss(torch.cat([ours, padding], dim=1), targets).backward()
    objective.loss(theirs, targets).backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-9)


def test_what_cannot_be_said_in_so_few_steps_adds_nothing():
    scores = torch.zeros(1, 2, 3, requires_grad=True)
    loss = Transcription(2).loss(scores, torch.tensor([[1, 2, 1]]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(scores.grad.abs().sum()) == 0


def test_scores_that_are_no_numbers_have_no_loss_of_zero():
    scores = torch.full((1, 4, 3), math.nan)
    assert not math.isfinite(float(Transcription(2).loss(scores, torch.tensor([[1, 2, 1]]))))


def test_what_cannot_be_said_in_its_own_steps_adds_nothing_beside_longer_ones():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, 9, 3, generator=generator, dtype=torch.float64)
    scores = drawn.requires_grad_()
    outside = torch.zeros(2, 9, 1, dtype=torch.bool)
    outside[0, 2:] = True
    targets = torch.tensor([[1, 2, 1], [2, 1, 0]])
    loss = Transcription(2).loss(silenced(scores, outside), targets)
    loss.backward()
    alone = Transcription(2).loss(drawn.detach()[1:], targets[1:])
    assert float(loss.detach()) == pytest.approx(float(alone) / 2, abs=1e-9)
    assert float(scores.grad[0].abs().sum()) == 0 < float(scores.grad[1].abs().sum())


def distance(one, other):
    """Levenshtein's, by its definition."""
    if not one or not other:
        return len(one) + len(other)
    rest = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(rest, 1 + distance(one[1:], other), 1 + distance(one, other[1:]))


def test_word_accuracy_counts_errors_of_all_words():
    said = [[1, 2, 3], [2], [], [1, 1, 1, 4, 5]]
    meant = [[1, 3], [2], [4, 4], [1, 1]]
    targets = torch.tensor([row + [0] * (3 - len(row)) for row in meant])
    judged = Transcription(5).judge(said, targets)
    errors = [distance(a, b) for a, b in zip(said, meant, strict=True)]
    assert judged.right.tolist() == [len(row) - error for row, error in zip(meant, errors, strict=True)]
    assert judged.value == pytest.approx(1 - sum(errors) / sum(map(len, meant)))


def test_accuracy_is_the_share_of_the_right_ones():
    scores = torch.eye(4).repeat(50, 1)
    targets = torch.arange(200) % 4
    targets[:40] = 0
    objective = Classification(4)
    judged = objective.judge(objective.predictions(scores), targets)
    assert judged.value == pytest.approx(float((scores.argmax(1) == targets).float().mean()))
    assert judged.half == pytest.approx(wilson(judged.value, 200), rel=0.03)


def test_the_interval_of_a_ratio_covers_it():
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(400):
        whole = torch.randint(1, 6, (80,), generator=generator).double()
        right = torch.binomial(whole, torch.full((80,), 0.8, dtype=torch.float64), generator=generator)
        judged = Judged(right, whole)
        covered += abs(judged.value - 0.8) <= judged.half
    assert 0.92 <= covered / 400 <= 0.98
    assert math.isnan(Judged(torch.ones(1), torch.ones(1)).half)


def test_wrong_numbers_get_a_sentence():
    with pytest.raises(ValueError, match="symbols = 0 must be at least 1"):
        Transcription(0)
    with pytest.raises(ValueError, match=r"no label smoothing: set label_smoothing = 0\.1 to 0"):
        Transcription(2).loss(torch.zeros(1, 3, 3), torch.tensor([[1]]), 0.1)


def test_wrong_targets_get_a_sentence():
    with pytest.raises(ValueError, match=r"^The test part has labels from 0 to 3, but way = 3: give labels"):
        Classification(3).check_targets("The test part", torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="give one for each example"):
        Classification(3).check_targets("It", torch.zeros(2, 2, dtype=torch.int64))
    objective = Transcription(3)
    objective.check_targets("It", torch.tensor([[1, 3, 0], [2, 0, 0], [0, 0, 0]]))
    for targets, message in (
        ([1, 2], "give \\(n, longest\\)"),
        ([[1, 4]], "symbols from 1 to 4: give numbers from 1 to 3"),
        ([[1, 0, 2]], "a 0 within a transcript"),
        ([[0, 0]], "no symbol at all"),
    ):
        with pytest.raises(ValueError, match=message):
            objective.check_targets("It", torch.tensor(targets))
