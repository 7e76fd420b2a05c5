"""What a student learns of its teacher."""

from __future__ import annotations

import math

import pytest
import torch

import lit_metanas as lm
from lit_metanas.objectives import Distillation


def softmax(row: list[float], temperature: float) -> list[float]:
    """Equation 1."""
    powers = [math.exp(each / temperature) for each in row]
    return [each / sum(powers) for each in powers]


def test_the_loss_of_classes_is_that_of_the_paper() -> None:
    """By plain loops in double precision; of an example without a label it is that of the teacher alone."""
    generator = torch.Generator().manual_seed(0)
    scores, taught = (3 * torch.randn(5, 3, generator=generator).double() for _ in range(2))
    labels, temperature, share = [2, 0, 1], 4.0, 0.7
    objective = Distillation(lm.Classification(3), temperature=temperature, share=share)
    targets = torch.cat([objective.targets(torch.tensor(labels), taught[:3]), objective.targets(None, taught[3:])])
    wanted = []
    for place, (own, said) in enumerate(zip(scores.tolist(), targets[:, 1:].double().tolist(), strict=True)):
        p, q = softmax(said, temperature), softmax(own, temperature)
        loss = temperature**2 * sum(one * math.log(one / other) for one, other in zip(p, q, strict=True))
        if place < 3:
            loss = share * loss - (1 - share) * math.log(softmax(own, 1.0)[labels[place]])
        wanted.append(loss)
    torch.testing.assert_close(objective.losses(scores, targets).tolist(), wanted, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(float(objective.loss(scores, targets)), sum(wanted) / 5, rtol=1e-6, atol=1e-6)


def test_gradients_are_of_one_size_for_high_temperatures() -> None:
    """In the limit the gradient by a score is its difference from the teacher's, over the number of classes (eq. 4)."""
    scores = torch.tensor([[1.0, -1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    taught = torch.tensor([[0.5, 0.5, -1.0]], dtype=torch.float64)
    objective = Distillation(lm.Classification(3), temperature=1e4, share=1.0)
    (gradient,) = torch.autograd.grad(objective.loss(scores, objective.targets(None, taught)), scores)
    torch.testing.assert_close(gradient, (scores.detach() - taught) / 3, rtol=1e-3, atol=1e-4)


def test_numbers_have_the_teachers_next_to_the_true_ones() -> None:
    goal = lm.Regression((10.0, 0.0), (2.0, 1.0))
    true, said = torch.tensor([[12.0, 1.0], [8.0, 0.0]]), torch.tensor([[11.0, 1.0], [8.0, 2.0]])
    objective, scores = Distillation(goal, share=0.25), torch.zeros(2, 2)
    expected = 0.25 * goal.losses(scores, said) + 0.75 * goal.losses(scores, true)
    torch.testing.assert_close(objective.losses(scores, objective.targets(true, said)), expected)
    torch.testing.assert_close(objective.losses(scores, objective.targets(None, said)), goal.losses(scores, said))
    assert objective.judge([(11.0, 1.0), (8.0, 2.0)], objective.targets(true, said)).value == 1


def test_agreement_and_calibration_have_their_own_truth() -> None:
    """The metric is by the teacher, in the goal's terms; temperatures are by known labels alone."""
    goal = lm.Classification(2, "balanced accuracy")
    labels, taught = torch.tensor([0, 0, 0, 1]), torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    objective = Distillation(goal)
    targets = objective.targets(labels, taught)
    assert objective.judge([0, 0, 0, 1], targets).value == 0.75
    assert objective.answers(targets) == [0, 0, 1, 1]
    assert objective.examples_worth(targets) == 4
    scores = 5 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    known = torch.arange(200) % 2
    both = torch.cat([objective.targets(known, scores), objective.targets(None, scores)])
    assert objective.calibrated(scores.repeat(2, 1), both) == goal.calibrated(scores, known)


def test_what_cannot_be_taught_is_refused() -> None:
    with pytest.raises(ValueError, match="the objective is Span: train without a teacher"):
        Distillation(lm.Span(4))
    with pytest.raises(ValueError, match=r"temperature = 0 must be above 0, and share = 2 from 0 to 1"):
        Distillation(lm.Classification(2), temperature=0, share=2)
    objective = Distillation(lm.Classification(2))
    with pytest.raises(ValueError, match="has outputs of a teacher that are not finite"):
        objective.check_targets("The train part", objective.targets(torch.tensor([1]), torch.full((1, 2), math.nan)))
    assert objective.check_targets("The train part", objective.targets(torch.tensor([1]), torch.zeros(1, 2))) is None
