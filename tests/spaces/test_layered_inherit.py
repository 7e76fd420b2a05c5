"""A restricted supernet with inherited parameters is the larger one with the same candidates."""

import pytest
import torch
from space_toys import widened

from lit_metanas.spaces import LayeredSpace, inherit


def inheriting_net(small, weights, shape):
    net = small.supernet(shape).double()
    net.load_state_dict(inherit(weights, dict(net.named_parameters())))
    return net


@pytest.mark.parametrize(
    "labels",
    [
        {"layer1.width": "4", "layer2.width": "2", "layer2.kernel": "11"},
        {"depth": "2", "layer2.width": "4", "layer1.kernel": "3", "layer1.norm": "layer"},
        {"layer1.skip": "none", "layer2.skip": "residual", "layer3.dropout": "0.2"},
    ],
)
def test_partly_restricted_supernet_under_soft_mixtures(rich_space, double_supernet, random_gates, labels):
    shape = (1, 8, 8)
    net, weights = double_supernet(rich_space, shape)
    small = rich_space.restricted(labels)
    small_net = inheriting_net(small, weights, shape)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(4, *shape, dtype=torch.float64, generator=generator)
    gates = random_gates(small, "soft", generator)
    noise = net.draw_noise(4, generator)
    expected = net(inputs, widened(rich_space, small, gates), noise)[:, : small_net.features]
    torch.testing.assert_close(small_net(inputs, gates, noise), expected, rtol=0, atol=1e-10)


def test_subset_of_kernels(double_supernet, random_gates):
    space = LayeredSpace(kernels=(3, 11, 5), depths=(2,), widths=(4,))
    few = LayeredSpace(kernels=(3, 11, 5), depths=(2,), widths=(4,), fixed={"layer1.kernel": ["5", "3"]})
    net, weights = double_supernet(space, (1, 7, 7))
    small_net = inheriting_net(few, weights, (1, 7, 7))
    gates = random_gates(few, "soft", torch.Generator().manual_seed(0))
    inputs = torch.randn(4, 1, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = net(inputs, widened(space, few, gates))
    torch.testing.assert_close(small_net(inputs, gates), expected, rtol=0, atol=1e-10)


def test_inherited_parameters_are_copies():
    space = LayeredSpace(shared=True, depths=(1,), widths=(4, 8))
    weights = {name: value.detach() for name, value in space.supernet((1, 6, 6)).named_parameters()}
    before = {name: value.clone() for name, value in weights.items()}
    cut = inherit(weights, dict(space.restricted({"width": "4"}).supernet((1, 6, 6)).named_parameters()))
    for name, value in cut.items():
        assert torch.equal(value, weights[name][tuple(slice(size) for size in value.shape)])
        value.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in weights.items())


@pytest.mark.parametrize(
    "weights", [{}, {"scale": torch.ones(3)}, {"scale": torch.ones(4, 4)}, {"scale": torch.tensor(1.0)}]
)
def test_foreign_parameters_are_refused(weights):
    with pytest.raises(ValueError, match=r"do not hold 'scale' \(4,\): they come from another space."):
        inherit(weights, {"scale": torch.zeros(4)})
