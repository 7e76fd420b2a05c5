"""Zero-cost statistics of a task against the proxies themselves."""

import math
from dataclasses import replace

import pytest
import torch

from lit_metanas.estimators import GradNorm, Jacov, Nwot, ProxyEmbedding, ProxyEstimator
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), depths=(1, 2), widths=(2, 4))


def make_task(seed=0, way=3, each=6):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(way * each, 1, 8, 8, generator=generator)
    split = Split(inputs, torch.arange(way).repeat_interleave(each))
    return Task(f"noise/{seed}", way, split, split, split)


def test_values_are_those_of_the_proxies():
    task = make_task()
    embedding = ProxyEmbedding(SPACE, architectures=3, images=len(task.train), seed=4)
    found = embedding(task)
    generator = torch.Generator().manual_seed(4)
    drawn = list(dict.fromkeys(SPACE.sample(generator) for _ in range(20)))[:3]
    expected = []
    for proxy in (Jacov(), GradNorm()):
        estimator = ProxyEstimator(task, SPACE, 4, proxy, images=len(task.train))
        values = [estimator(architecture, fidelity=1.0).value for architecture in drawn]
        expected += [math.copysign(math.log(1 + abs(value)), value) for value in values]
    assert found == pytest.approx(expected, rel=1e-3)  # the images come in another order
    assert len(set(found)) == 6
    assert embedding(make_task(1)) != found


def test_order_and_other_parts_do_not_matter():
    task = make_task()
    order = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(5))
    embedding = ProxyEmbedding(SPACE, architectures=2, images=7)
    shuffled = Split(task.train.inputs[order], task.train.labels[order])
    assert embedding(replace(task, train=shuffled, val=None, test=None)) == embedding(task)


def test_a_proxy_that_is_no_number_tells_nothing():
    space = LayeredSpace(kernels=(1,), activations=("Tanh",), depths=(1,), widths=(2, 4))
    assert ProxyEmbedding(space, [Nwot()], architectures=2)(make_task()) == (0.0, 0.0)
    with pytest.raises(ValueError, match="architectures is 0; give at least 1"):
        ProxyEmbedding(space, architectures=0)


def test_what_a_proxy_refuses_is_told_and_no_feature():
    with pytest.raises(ValueError, match="Jacov compares images: give at least 2 in a minibatch instead of 1"):
        ProxyEmbedding(SPACE, [Jacov()], architectures=2, images=1)(make_task())
