"""Objectives against closed forms."""

import math

import pytest
import torch

from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Judged
from lit_metanas.records.statistics import wilson


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


def test_wrong_targets_get_a_sentence():
    with pytest.raises(ValueError, match=r"^The test part has labels from 0 to 3, but way = 3: give labels"):
        Classification(3).check_targets("The test part", torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="give one for each example"):
        Classification(3).check_targets("It", torch.zeros(2, 2, dtype=torch.int64))
