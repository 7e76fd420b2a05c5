"""Rare classes: metric and weights against scikit-learn, and a loss with weights against a plain loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_sample_weight

import lit_metanas as lm
from lit_metanas.tasks.labels import balanced_task
from lit_metanas.tasks.task import join_parts


def imbalanced(rare=6, examples=90, **options):
    """Rows of two classes."""
    labels = torch.arange(examples) >= examples - rare
    X = torch.randn(examples, 3, generator=torch.Generator().manual_seed(0)) + 2 * labels[:, None]
    return lm.task_from_arrays(X, labels.long(), classes=["common", "rare"], **options)


def test_balanced_accuracy_is_that_of_scikit_learn():
    draw = np.random.default_rng(0)
    targets, said = draw.choice(4, 200, p=(0.7, 0.2, 0.06, 0.04)), draw.choice(4, 200)
    said[targets == 0] = 0
    objective = lm.Classification(5, "balanced accuracy")  # of which one class has no example
    judged = objective.judge(said.tolist(), torch.from_numpy(targets))
    assert judged.value == pytest.approx(balanced_accuracy_score(targets, said))
    sizes = np.bincount(targets)[targets]
    assert objective.examples_worth(torch.from_numpy(targets)) == round((1 / sizes).sum() ** 2 / (1 / sizes**2).sum())
    assert lm.Classification(5).examples_worth(torch.from_numpy(targets)) == 200


@pytest.mark.parametrize(("rare", "metric"), [(14, "balanced accuracy"), (15, "accuracy")])
def test_a_class_with_less_than_a_third_of_the_mean_is_rare(rare, metric):
    part = lm.Split(torch.zeros(75 + rare, 3), torch.arange(75 + rare) // 75)
    task, sentence = balanced_task(lm.Task("x", 2, part, None, part, classes=("common", "rare")), None)
    assert task.goal.metric == metric
    assert ("class 'rare' has 14 of 89 examples" in sentence) == (rare == 14)


def test_weights_are_those_of_scikit_learn():
    task, _ = balanced_task(imbalanced(), None)
    expected = compute_sample_weight("balanced", task.train.labels.numpy())
    assert task.train.weights.numpy() == pytest.approx(expected)
    lm.tasks.check_task(task)
    joined = join_parts(task.train, lm.Split(task.test.inputs, task.test.labels)).weights
    assert joined.tolist() == [*task.train.weights.tolist(), *[1.0] * len(task.test)]
    assert balanced_task(imbalanced(), None, None)[0].train.weights is None
    assert balanced_task(imbalanced(), "accuracy")[0].train.weights is None
    named, _ = balanced_task(imbalanced(), "balanced_accuracy", {"rare": 5})
    assert named.val.weights.tolist() == [1.0 + 4 * label for label in named.val.labels.tolist()]
    again, _ = balanced_task(named, None, "balanced")  # which has its metric already
    assert again.goal.metric == "balanced accuracy"
    assert again.train.weights.numpy() == pytest.approx(expected * named.train.weights.numpy())


def test_what_is_wrong_is_named():
    phones = lm.Task(
        "calls", 3, *[lm.Split(torch.zeros(2, 3, 4), torch.ones(2, 1).long())] * 3, objective=lm.Transcription(2)
    )
    for task, options, reason in (
        (imbalanced(), ("f2",), "There is no metric 'f2' for 2 classes: give accuracy, balanced accuracy, "),
        (imbalanced(), (None, "equal"), "class_weight = 'equal' is unknown: give 'balanced', None"),
        (imbalanced(), (None, {"raer": 2}), "class_weight has 'raer', which is none of the classes"),
        (imbalanced(), (None, {"rare": -2}), "class_weight of 'rare' is -2: give a number from 0 on"),
        (phones, ("accuracy",), "Transcription is judged by word accuracy alone: leave 'metric' out"),
        (phones, (None, "balanced"), "has no classes: leave 'class_weight' out"),
    ):
        with pytest.raises(ValueError, match=reason):
            balanced_task(task, *options)
    part = lm.Split(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="The train part of task 'x' has weights that are not one number from 0 on"):
        lm.tasks.check_task(lm.Task("x", 2, part, None, part))
    lm.tasks.check_task(lm.Task("x", 2, one := replace(part, weights=torch.tensor([1.0, 0.0])), None, one))


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_a_weight_counts_as_so_many_examples(mixup):
    """A step with weights against a plain loop over the examples."""
    task, _ = balanced_task(imbalanced(), None)
    space, recipe = lm.MLPSpace(), lm.Recipe(label_smoothing=0.1, mixup=mixup)
    architecture = space.sample(torch.Generator().manual_seed(0))
    child = lm.Child(
        space=space, architecture=architecture, shape=task.shape, way=2, recipe=recipe, objective=task.goal
    ).eval()
    inputs, labels, weights = task.train.inputs[-8:], task.train.labels[-8:], task.train.weights[-8:]
    asked = {"seed": 0, "epoch": 0, "step": 0}
    found = child.step_loss(inputs, labels, weights, **asked).item()
    if not mixup:
        examples = zip(inputs[:, None], labels[:, None], strict=True)
        losses = [child.step_loss(*one, **asked).item() for one in examples]
        assert found == pytest.approx(np.mean(np.array(losses) * weights.numpy()), rel=1e-5)
    equal = child.step_loss(inputs, labels, torch.ones(8), **asked).item()
    assert equal == pytest.approx(child.step_loss(inputs, labels, **asked).item(), rel=1e-5)
    assert found != pytest.approx(equal, rel=1e-3)


def test_losses_of_examples_have_the_loss_as_their_mean():
    generator = torch.Generator().manual_seed(0)
    scores, targets = torch.randn(6, 4, 3, generator=generator), torch.randint(0, 3, (6, 4), generator=generator)
    classes = lm.Classification(3)
    assert classes.losses(scores[:, 0], targets[:, 0], 0.1).mean() == pytest.approx(
        float(classes.loss(scores[:, 0], targets[:, 0], 0.1))
    )
    span = lm.Span(3)
    one, pairs = scores[:, :3], targets[:, :2].sort(1).values
    assert float(span.losses(one, pairs).mean()) == pytest.approx(float(span.loss(one, pairs)))
