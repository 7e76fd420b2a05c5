"""Cells of NAS-Bench-201 under meta-training, and what the searched child inherits."""

import math

import pytest
import torch
from meta_toys import SHAPE, fit, make_data, make_model

from lit_metanas.meta import MAML, TNAS, JointInnerLoop, PrototypeLinearHead, PrototypeLoss
from lit_metanas.relaxations import SampledChild, Softmax
from lit_metanas.spaces import NASBench201, one_hot

METHODS = {
    "softmax": lambda: {"meta_gradient": PrototypeLoss(), "relaxation": Softmax()},
    "sampled child": lambda: {"meta_gradient": PrototypeLoss(), "relaxation": SampledChild()},
    "paired score": lambda: {},
    "maml": lambda: {
        "meta_gradient": MAML(),
        "relaxation": Softmax(),
        "head": PrototypeLinearHead(),
        "inner_loop": JointInnerLoop(steps=1),
    },
    "tnas": lambda: {
        "meta_gradient": TNAS(),
        "relaxation": Softmax(),
        "head": PrototypeLinearHead(),
        "inner_loop": JointInnerLoop(steps=1),
    },
}


@pytest.mark.parametrize("method", METHODS)
def test_two_steps(method):
    space = NASBench201(channels=4, cells=1, merge_isomorphs=False)
    model = make_model(space=space, **METHODS[method]())
    before = model.logits.values.detach().clone()
    weights = {name: value.detach().clone() for name, value in model.supernet.named_parameters()}
    _, losses = fit(model, make_data(steps_per_epoch=2, val_episodes=1))
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    assert float((model.logits.values.detach() - before).abs().max()) > 1e-4
    after = dict(model.supernet.named_parameters())
    assert not torch.equal(after["stem.kernel"], weights["stem.kernel"])
    architecture = model.architecture()
    statistics = model.inheritance()
    child = space.child(architecture, SHAPE, 3, statistics).eval()
    inputs = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    features = model.supernet(inputs, one_hot(space.choices, architecture), statistics=model.statistics.values)
    torch.testing.assert_close(child.embed(inputs), features, rtol=1e-4, atol=1e-5)
