"""The inner training on a task: its batches, and batch-norm statistics for the score."""

import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.training.task_reptile import TaskReptile

SPACE = lm.LayeredSpace(widths=(4,), dropouts=(0.5,))


@pytest.fixture(scope="module")
def task():
    generator = torch.Generator().manual_seed(0)
    train, val = (lm.Split(torch.rand(size, 1, 8, 8, generator=generator), torch.arange(size) % 2) for size in (33, 9))
    return lm.Task("noise", way=2, train=train, val=val, test=val)


def inner_training(steps=2, size=32):
    """A meta-training whose weights are made, as for the task."""
    model = TaskReptile(space=SPACE, inner_steps=steps, inner_rate=1e-3, batch_size=size)
    model._build((1, 8, 8), 2)
    return model


def adapted(task, steps=2):
    inner = inner_training(steps)
    return inner, inner.adapt(task, torch.Generator().manual_seed(1)).network


def statistics(network):
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    return torch.cat([value for layer in norms for value in (layer.running_mean, layer.running_var)])


def test_statistics_are_those_of_all_examples_however_they_are_ordered(task):
    network = adapted(task)[1]
    bright = torch.cat([0.1 * task.train.inputs[:30], 0.5 + 0.5 * task.train.inputs[:30]])  # a class behind the other
    train = lm.Split(bright, torch.arange(60) // 30)
    found = []
    for size in (20, 60):
        sized = inner_training(size=size)
        sized.score(network, lm.Task("ordered", way=2, train=train, val=task.val, test=task.test))
        found.append(statistics(network))
    first = next(layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    assert torch.allclose(found[0][: 2 * first.num_features], found[1][: 2 * first.num_features], rtol=0.1, atol=0.01)


def test_a_rest_of_one_is_no_batch_of_its_own(task):
    network = adapted(task)[1]
    one = inner_training(size=2)
    train = lm.Split(task.train.inputs[:3], torch.tensor([0, 1, 0]))
    one.score(network, lm.Task("three", way=2, train=train, val=task.val, test=task.test))
    layer = next(layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    seen = []
    layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].mean((0, 2, 3))))
    with torch.no_grad():
        network(train.inputs)
    torch.testing.assert_close(layer.running_mean, seen[0], rtol=1e-4, atol=1e-5)


def test_a_score_does_not_depend_on_the_global_random_state(task):
    inner, network = adapted(task)
    train = lm.Split(task.train.inputs[:32], task.train.labels[:32])
    own = lm.Task("less", way=2, train=train, val=task.val, test=task.test)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        score = inner.score(network, own)
        assert torch.equal(torch.get_rng_state(), state)
        found.append((score, statistics(network)))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
    assert not any(layer.training for layer in network.modules())


def test_it_learns_under_autocast(task):
    """Which keeps what it has cast of the weights, by default: steps after the first must not be taken with that."""
    found = []
    for kept in (True, False):
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=kept):
            network = adapted(task, steps=4)[1]
        found.append(torch.cat([value.detach().flatten() for value in network.parameters()]))
    assert torch.equal(*found)
