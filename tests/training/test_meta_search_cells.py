"""Cells of two inputs and macro spaces, meta-trained and searched by DARTS; what the searched child inherits."""

import math

import pytest
import torch
from meta_toys import SHAPE, adapting, fit, make_data, make_model

from lit_metanas.meta import (
    MAML,
    TNAS,
    AlternatingInnerLoop,
    MetaNAS,
    PrototypeLinearHead,
    PrototypeLoss,
)
from lit_metanas.relaxations import AnnealedSoftmax, Argmax, Derived, Softmax
from lit_metanas.spaces import DARTSCell, ENASMacro, MetaNASCell, NASBench201, one_hot

SPACES = {"darts": DARTSCell(channels=2, cells=2), "metanas": MetaNASCell(channels=2, cells=2)}
SPACES["enas"] = ENASMacro(layers=4, channels=4)
SPACES["nas-bench-201"] = NASBench201(channels=4, cells=1, merge_isomorphs=False)


PROTOTYPES = {"head": PrototypeLinearHead()}
METHODS = {
    "softmax": lambda: {"meta_gradient": PrototypeLoss(), "relaxation": Softmax()},
    "maml": lambda: adapting(MAML(), **PROTOTYPES),
    "tnas": lambda: adapting(TNAS(), **PROTOTYPES),
    "meta_nas": lambda: adapting(
        MetaNAS(), relaxation=AnnealedSoftmax(), inner_loop=AlternatingInnerLoop(steps=1), **PROTOTYPES
    ),
}


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("darts", "softmax"),
        ("metanas", "meta_nas"),
        ("enas", "maml"),
        ("nas-bench-201", "maml"),
        pytest.param("darts", "tnas", marks=pytest.mark.slow),
    ],
)
def test_two_steps(name, method):
    space = SPACES[name]
    model = make_model(space=space, **METHODS[method]())
    before = model.logits.values.detach().clone()
    weights = {name: value.detach().clone() for name, value in model.supernet.named_parameters()}
    _, losses = fit(model, make_data(steps_per_epoch=2, val_episodes=1))
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    assert float((model.logits.values.detach() - before).abs().max()) > 1e-5
    after = dict(model.supernet.named_parameters())
    stem = next(name for name in weights if "stem" in name)
    assert not torch.equal(after[stem], weights[stem])
    architecture = model.architecture()
    child = space.child(architecture, SHAPE, 3, {**model.meta_parameters().weights, **model.statistics.values}).eval()
    inputs = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    features = model.supernet(inputs, one_hot(space.choices, architecture), statistics=model.statistics.values)
    torch.testing.assert_close(child.embed(inputs), features, rtol=1e-4, atol=1e-5)


def test_statistics_of_a_larger_space_that_derives_the_same_are_taken_over(tmp_path):
    space = SPACES["darts"]
    model = make_model(space=space, **METHODS["softmax"]())
    trainer, _ = fit(model, make_data(steps_per_epoch=1, val_episodes=1))
    trainer.save_checkpoint(tmp_path / "large.ckpt")
    tree = model.logits.tree()
    largest = space.canonical({c.name: c.labels[int(tree[c.name].argmax())] for c in space.choices})
    assert largest != model.architecture()  # "none" is in the way, and the pairs of inputs are not weighed
    small = make_model(space=space, architecture=model.architecture().to_json(), start=str(tmp_path / "large.ckpt"))
    assert small.architecture() == model.architecture()
    assert small.statistics.values.keys() == model.statistics.values.keys() != set()
    assert all(torch.equal(small.statistics.values[name], value) for name, value in model.statistics.values.items())
    other = make_model(space=space, architecture=largest.to_json(), start=str(tmp_path / "large.ckpt"))
    assert other.statistics.values == {}


def test_derived_relaxation_is_the_derived_architecture():
    space = SPACES["darts"]
    generator = torch.Generator().manual_seed(0)
    logits = {c.name: torch.randn(len(c.labels), generator=generator, requires_grad=True) for c in space.choices}
    gates = Derived(space)(logits, {}, 0.0)
    expected = one_hot(space.choices, space.derive(logits))
    assert {name: gate.index for name, gate in gates.items()} == {n: g.index for n, g in expected.items()}
    assert not any(gate.weights.requires_grad for gate in gates.values())
    # The largest logit of each edge by itself would keep more than two inputs.
    assert sum(g.index != 0 for n, g in gates.items() if "edge" in n) == 16
    assert sum(g.index != 0 for n, g in Argmax()(logits, {}, 0.0).items() if "edge" in n) > 16
