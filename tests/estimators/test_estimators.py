"""Estimators against plain training loops and plain forward passes."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from sharing_toys import make_task

from lit_metanas.estimators import Score, SupernetEstimator, TrainingEstimator, fresh_weights
from lit_metanas.estimators.estimator import BestSoFar
from lit_metanas.estimators.training_estimator import overlay
from lit_metanas.io.checkpoints import write_weights
from lit_metanas.records import Cost
from lit_metanas.spaces import LayeredSpace, one_hot
from lit_metanas.training import Recipe

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), dropouts=(0.0,), depths=(2,), widths=(2, 4))
WIDE = SPACE.canonical({c.name: c.labels[-1] for c in SPACE.choices})
NARROW = SPACE.canonical({**WIDE, "layer1.width": "2", "layer2.kernel": "1"})
RECIPE = Recipe(epochs=4, batch_size=10)


def test_training_cost_is_known_beforehand_and_follows_the_formula():
    task = make_task(each=6)
    estimator = TrainingEstimator(task, SPACE, 0, RECIPE)
    # Less than one epoch is one over a part of the 18 images, of at least a batch of ten.
    for fidelity, epochs, images in ((1.0, 4, 18), (0.5, 2, 18), (0.3, 1, 18), (0.2, 1, 14), (0.01, 1, 10)):
        cost = estimator.cost(NARROW, fidelity)
        flops = SPACE.cost(NARROW, task.shape, task.way).flops
        assert (cost.queries, cost.images, cost.flops) == (1, epochs * images, 3 * flops * images * epochs)
        score = estimator(NARROW, fidelity=fidelity)
        assert (score.cost.flops, score.cost.queries, score.cost.images) == (cost.flops, 1, cost.images)
        assert score.cost.steps == -(-images // 10) * epochs


def test_training_is_repeatable_learns_and_goes_on_from_weights():
    task = make_task(each=6)
    state = torch.random.get_rng_state()
    scores = [TrainingEstimator(task, SPACE, 3, RECIPE)(WIDE, fidelity=1.0) for _ in range(2)]
    assert torch.equal(state, torch.random.get_rng_state())
    assert scores[0].value == scores[1].value
    assert all(torch.equal(scores[0].weights[n], scores[1].weights[n]) for n in scores[0].weights)
    longer = TrainingEstimator(task, SPACE, 3, Recipe(epochs=40, batch_size=10))(WIDE, fidelity=1.0)
    assert longer.value > 0.6
    still = TrainingEstimator(task, SPACE, 3, Recipe(epochs=1, batch_size=10, learning_rate=0.0))
    kept = still(WIDE, fidelity=1.0, start=longer.weights)
    assert torch.equal(kept.weights["body.layers.1.conv.3.weight"], longer.weights["body.layers.1.conv.3.weight"])
    assert torch.equal(kept.weights["head.weight"], longer.weights["head.weight"])


def test_a_task_without_validation_part_is_refused():
    with pytest.raises(ValueError, match="Task 'patterns' has no validation examples"):
        TrainingEstimator(replace(make_task(each=6), val=None), SPACE, 0)
    with pytest.raises(ValueError, match=r"do not fit LayeredSpace .*'body"):
        SupernetEstimator(make_task(each=6), SPACE, 0, weights={"x": torch.zeros(1)})
    with pytest.raises(ValueError, match="give one of the two"):
        SupernetEstimator(make_task(each=6), SPACE, 0)


@torch.no_grad()
def plain_supernet_accuracy(task, weights, architecture):
    """Nearest class mean of one-hot features, statistics of the train part, in plain torch."""
    supernet = SPACE.supernet(task.shape)
    supernet.load_state_dict(weights)
    mixture = one_hot(SPACE.choices, architecture)
    record = {}
    train = supernet(task.train.inputs, mixture, record=record)
    val = supernet(task.val.inputs, mixture, statistics=record)
    right = 0
    for feature, label in zip(val, task.val.labels, strict=True):
        distances = [((feature - train[task.train.labels == c].mean(0)) ** 2).sum().item() for c in range(task.way)]
        right += int(distances.index(min(distances)) == label)
    return right / len(val)


def test_the_supernet_estimator_equals_plain_nearest_means(tmp_path):
    task = make_task(each=9)
    weights = fresh_weights(SPACE, task.shape, 1)
    write_weights(tmp_path / "weights.pt", weights)
    estimator = SupernetEstimator(task, SPACE, 0, weights=str(tmp_path / "weights.pt"))
    for architecture in (WIDE, NARROW):
        score = estimator(architecture, fidelity=1.0)
        assert score.value == pytest.approx(plain_supernet_accuracy(task, weights, architecture))
        assert (score.cost.queries, score.cost.flops) == (1, 0)


def test_the_supernet_estimator_uses_the_supernets_own_head():
    task = make_task(each=6)
    weights = fresh_weights(SPACE, task.shape, 1)
    head = {"head.weight": torch.zeros(3, 4), "head.bias": F.one_hot(torch.tensor(2), 3).float()}
    score = SupernetEstimator(task, SPACE, 0, weights={**weights, **head})(WIDE, fidelity=1.0)
    assert score.value == pytest.approx((task.val.labels == 2).float().mean().item())


def test_a_score_that_is_no_number_is_never_the_best_so_far():
    class Listed(TrainingEstimator):
        values = iter([math.nan, 0.5, math.nan, 0.25, 0.75, 0.5])

        def __call__(self, architecture, *, fidelity, start=None):
            return Score(next(self.values), Cost(queries=1))

    best = BestSoFar(Listed(make_task(each=6), SPACE, 0, RECIPE), "patterns")
    best(WIDE, fidelity=1.0)
    assert best.outcome is None
    found = []
    for architecture in (WIDE, NARROW, NARROW, NARROW, WIDE):
        best(architecture, fidelity=1.0)
        found.append(best.outcome.architecture)
    assert found == [WIDE, WIDE, WIDE, NARROW, NARROW]
    assert best.outcome.record.best.value == 0.75
    assert len(best.outcome.record.trials) == 6


SHAPE = (1, 8, 8)


def test_children_inherit_from_narrower_and_wider_ones():
    space = LayeredSpace(kernels=(3,), depths=(1, 2), widths=(4, 8, 6), dropouts=(0.0,), skips=("none", "residual"))
    generator = torch.Generator().manual_seed(0)
    base = fresh_weights(space, SHAPE, 0)
    images = torch.rand(5, *SHAPE, generator=generator)
    extended = 0
    for _ in range(12):
        first = space.child(space.sample(generator), SHAPE, 3)
        first(images)  # moves the running statistics
        learned = space.supernet_weights(first)
        second = space.child(space.sample(generator), SHAPE, 3, overlay(base, learned))
        for name, tensor in space.supernet_weights(second).items():
            known = learned.get(name)
            if name.endswith((".mean", ".var")):
                fresh = 0.0 if name.endswith("mean") else 1.0
                length = 0 if known is None else min(len(known), len(tensor))
                assert known is None or torch.equal(tensor[:length], known[:length])
                assert (tensor[length:] == fresh).all()
                extended += 0 < length < len(tensor)
            elif not name.startswith("head"):
                assert torch.equal(tensor, overlay(base, learned)[name][tuple(map(slice, tensor.shape))])
        assert second.eval()(images).isfinite().all()
    assert extended
