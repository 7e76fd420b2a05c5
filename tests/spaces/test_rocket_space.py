"""Ridge regressions on fixed convolutions: features and equations against plain ones, costs, and their export."""

from itertools import combinations, pairwise

import pytest
import torch
import torch.nn.functional as F
from space_toys import check_programs, check_weights_move, every_objective

import lit_metanas as lm
from lit_metanas.spaces.any_input.rocket_space import RocketNetwork
from lit_metanas.spaces.any_input.solved_models import PENALTIES, fit_ridge
from lit_metanas.training.child import fit_child, score

SPACE = lm.spaces.RocketSpace()
MANY, FEW = SPACE.architectures()
SHAPE = lm.SeriesShape(4, 20)


def drawn(number, generator=None):
    """Series of three channels and different lengths, with the mask of their steps."""
    generator = generator or torch.Generator().manual_seed(0)
    inputs = torch.randn(number, *SHAPE, generator=generator)
    lengths = torch.randint(9, 21, (number, 1, 1), generator=generator)
    inputs[:, 3:] = 1.0
    return inputs * (torch.arange(20) < lengths)


def waves(number):
    """Series whose class is how fast their second channel swings, and these classes."""
    inputs, labels = drawn(number), torch.arange(number) % 3
    swings = torch.sin(torch.arange(20) * torch.tensor([0.5, 1.0, 2.0])[labels, None])
    inputs[:, 1] += 3 * swings * inputs[:, 3]
    return inputs, labels


def child_of(way, objective=None):
    recipe = lm.Recipe(epochs=1, weight_decay=1.0)
    return lm.Child(space=SPACE, architecture=FEW, shape=SHAPE, way=way, recipe=recipe, objective=objective)


def slow_features(network, series):
    """The features of a series without a mask by loops, the shares and means of each level by kernel."""
    places, found = [*combinations(range(9), 3)], []
    for group in range(len(network.levels)):
        dilation, steps = network.dilations[group // 2], series
        if group % 2:
            steps = [[after - before for before, after in pairwise(row)] for row in series]
        kernels, length = network.kernels[group], len(steps[0])
        answers = []
        for kernel, large in zip(kernels, places, strict=True):
            added = [channel for channel, own in enumerate(kernel) if own.any()]
            assert 1 <= len(added) <= 3
            own = [0.0] * length
            for step in range(length):
                for place in range(9):
                    at = step + (place - 4) * dilation
                    if 0 <= at < length:
                        own[step] += (2 if place in large else -1) * sum(steps[one][at] for one in added)
            answers.append(own)
        for levels in network.levels[group].flatten(1).tolist():
            above = [[one - level for one in own if one > level] for own, level in zip(answers, levels, strict=True)]
            found += [len(own) / length for own in above]
            found += [sum(own) / max(len(own), 1) for own in above]
    return torch.tensor(found)


def test_features_are_shares_and_means_above_levels():
    network, inputs = RocketNetwork(SHAPE, 2, 3).double(), drawn(12).double()
    network.solve(lm.Split(inputs, torch.arange(12) % 3), lm.Classification(3), 1.0, 1, 0)
    assert network.dilations == [1, 2]
    found = network.features(inputs)
    for own, row in zip(found, inputs, strict=True):
        steps = int(row[3].sum())
        expected = slow_features(network, row[:3, :steps].tolist())
        torch.testing.assert_close(own, expected.double(), atol=1e-6, rtol=0)
        shorter = torch.cat([row[None, :, :steps], torch.full((1, 4, 20 - steps), 0.0)], 2)
        torch.testing.assert_close(network.features(shorter)[0], own)


def slow_ridge(x, wanted, weights, penalty):
    """Vectors and bias by the normal equations."""
    x = torch.cat([x, x.new_ones(len(x), 1)], 1)
    penalties = penalty * torch.eye(x.shape[1], dtype=x.dtype)
    penalties[-1, -1] = 0
    return torch.linalg.solve(x.T @ (weights[:, None] * x) + penalties, x.T @ (weights[:, None] * wanted))


@pytest.mark.parametrize(("examples", "features"), [(12, 30), (30, 8)])
@pytest.mark.parametrize("alike", [True, False])
def test_regressions_are_those_without_each_example_under_the_best_penalty(examples, features, alike):
    generator = torch.Generator().manual_seed(examples)
    x = 1 + torch.randn(examples, features, generator=generator, dtype=torch.float64) * torch.arange(1, features + 1)
    x[:, -1] = 5.0  # is always the same
    wanted = x[:, :2] + torch.randn(examples, 2, generator=generator, dtype=torch.float64)
    costs = 0.1 + torch.rand(examples, 2, generator=generator, dtype=torch.float64)
    if alike:
        costs = costs[:, :1].expand(-1, 2)
    found = fit_ridge(x, wanted, costs, 1.0, torch.ones(features, dtype=torch.float64))
    for one in (slice(0, 2),) if alike else (slice(0, 1), slice(1, 2)):
        weights, own = costs[:, one.start] / costs[:, one.start].mean(), wanted[:, one]
        mean = weights @ x / examples
        scaled = (x - mean) / (weights @ (x - mean) ** 2 / examples).sqrt().clamp(min=1e-12)
        left_out = {}
        for penalty in PENALTIES:
            others = [torch.arange(examples) != row for row in range(examples)]
            models = [slow_ridge(scaled[some], own[some], weights[some], penalty) for some in others]
            rows = zip(scaled, models, strict=True)
            left_out[penalty] = torch.stack([row @ model[:-1] + model[-1] for row, model in rows])
        best = min(PENALTIES, key=lambda one: float((weights[:, None] * (left_out[one] - own) ** 2).sum()))
        torch.testing.assert_close(found.left_out[:, one], left_out[best])
        whole = slow_ridge(scaled, own, weights, best)
        torch.testing.assert_close(x @ found.vectors[:, one] + found.bias[one], scaled @ whole[:-1] + whole[-1])


LABELS = waves(90)[1]


@every_objective(LABELS)
def test_series_are_learned_by_how_fast_they_swing(objective, targets):
    inputs, _ = waves(90)
    way = targets.shape[1] if objective else 3
    child, again = child_of(way, objective), child_of(way, objective)
    weights = 1 + torch.rand(60, generator=torch.Generator().manual_seed(0))
    cost = fit_child(child, lm.Split(inputs[:60], targets[:60], weights), seed=0)
    fit_child(again, lm.Split(inputs[:60], targets[:60], weights), seed=0)
    assert cost.images == 60
    assert torch.equal(again.network.head.weight, child.network.head.weight)
    tested = lm.Split(inputs[60:], targets[60:])
    assert score(child, tested) > 0.9
    if objective is None:  # about calibrated
        assert float(F.cross_entropy(child.network(tested.inputs).detach(), tested.labels)) < 0.3


def test_of_very_many_examples_some_are_drawn(monkeypatch):
    monkeypatch.setattr("lit_metanas.spaces.any_input.solved_models.MOST_SOLVED", 40)
    inputs, labels = waves(90)
    child = child_of(3)
    fit_child(child, lm.Split(inputs, labels), seed=0)
    assert score(child, lm.Split(inputs, labels)) > 0.9


def test_costs_are_those_of_the_network_and_weights_move():
    network = SPACE.child(MANY, SHAPE, 3)
    inputs, labels = waves(30)
    network.solve(lm.Split(inputs, labels), lm.Classification(3), 1.0, 1, 0)
    check_weights_move(SPACE, network, MANY, SHAPE, inputs)
    short = lm.SeriesShape(2, 1)  # no convolution has more than one step, no change any
    tiny = SPACE.child(FEW, short, 2)
    assert tiny.solve(lm.Split(torch.ones(4, 2, 1), torch.tensor([0, 1, 0, 1])), lm.Classification(2), 1.0, 1, 0)
    assert torch.isfinite(tiny(torch.ones(1, 2, 1))).all()


@pytest.mark.parametrize("steps", [20, 300])
def test_a_program_gives_the_same_scores(tmp_path, steps):
    inputs, labels = waves(30)
    inputs, shape = F.pad(inputs, (0, steps - 20)), SHAPE._replace(steps=steps)
    network = SPACE.child(FEW, shape, 3)
    network.solve(lm.Split(inputs, labels), lm.Classification(3), 1.0, 1, 0)
    check_programs(network, inputs, tmp_path, shape=shape)
