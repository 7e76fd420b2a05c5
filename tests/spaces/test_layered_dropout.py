"""Dropout as a choice: masks made from uniform numbers that are drawn outside."""

import pytest
import torch

from lit_metanas.spaces import Gate, LayeredSpace, one_hot
from lit_metanas.spaces.operations import dropout_scale


def uniform(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_rate_and_expectation(rate):
    scale = dropout_scale(Gate(torch.ones(1), 0), [rate], uniform(400, 500), torch.float64)
    assert float((scale == 0).double().mean()) == pytest.approx(rate, abs=0.005)
    assert float(scale.mean()) == pytest.approx(1.0, abs=0.02)
    assert set(scale.unique().tolist()) <= {0.0, 1 / (1 - rate)}


def test_soft_mixture_is_the_weighted_sum_over_one_draw():
    rates, weights, draw = [0.5, 0.0, 0.2], [0.2, 0.3, 0.5], uniform(300, 300)
    scale = dropout_scale(Gate(torch.tensor(weights, dtype=torch.float64)), rates, draw, torch.float64)
    for u, value in zip(draw.flatten()[:500].tolist(), scale.flatten()[:500].tolist(), strict=True):
        expected = sum(w * (u >= rate) / (1 - rate) for w, rate in zip(weights, rates, strict=True))
        assert value == pytest.approx(expected, abs=1e-14)
    assert float(scale.mean()) == pytest.approx(1.0, abs=0.01)


def test_one_candidate_counts_alone():
    draw = uniform(50, 20)
    gate = Gate(torch.tensor([0.1, 0.9], dtype=torch.float64), 1)
    assert torch.equal(dropout_scale(gate, [0.5, 0.2], draw, torch.float64), (draw >= 0.2).double() / 0.8)


@pytest.fixture
def linear_space():
    """Features are linear in the dropout factors: one block, without normalisation."""
    return LayeredSpace(
        kernels=(3,),
        pools=("avg",),
        activations=("Identity",),
        dropouts=(0.0, 0.3, 0.5),
        norms=("none",),
        depths=(1,),
        widths=(6, 12),
    )


@pytest.mark.parametrize("width", ["6", "12"])
@pytest.mark.parametrize("rate", ["0", "0.3", "0.5"])
def test_supernet_scales_channels(linear_space, double_supernet, width, rate):
    net, _ = double_supernet(linear_space, (1, 4, 4))
    architecture = linear_space.restricted({"layer1.width": width, "layer1.dropout": rate}).sample(
        torch.Generator().manual_seed(0)
    )
    gates = one_hot(linear_space.choices, architecture)
    inputs = uniform(9, 1, 4, 4)
    noise = net.draw_noise(9, torch.Generator().manual_seed(4))
    plain = net(inputs, gates)
    factor = (noise["layers.0.dropout"] >= float(rate)).double() / (1 - float(rate))
    torch.testing.assert_close(net(inputs, gates, noise), plain * factor, rtol=0, atol=1e-12)
    assert torch.equal(net(inputs, gates, noise), net(inputs, gates, noise))
    assert torch.equal(net(inputs, gates, None), plain)


def test_noise_is_a_function_of_the_generator(linear_space):
    net = linear_space.supernet((1, 4, 4))
    first, second, other = (net.draw_noise(7, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first["layers.0.dropout"].shape == (7, 12)
    assert torch.equal(first["layers.0.dropout"], second["layers.0.dropout"])
    assert not torch.equal(first["layers.0.dropout"], other["layers.0.dropout"])
    assert 0 <= float(first["layers.0.dropout"].min()) <= float(first["layers.0.dropout"].max()) < 1


def test_noise_only_where_something_can_be_dropped():
    space = LayeredSpace(depths=(3,), fixed={"layer1.dropout": ["0"], "layer3.dropout": ["0"]})
    noise = space.supernet((1, 8, 8)).draw_noise(2, torch.Generator().manual_seed(0))
    assert set(noise) == {"layers.1.dropout"}


def test_noise_lies_where_the_network_lies(linear_space):
    net = linear_space.supernet((1, 4, 4)).to("meta")
    assert net.draw_noise(2, torch.Generator().manual_seed(0))["layers.0.dropout"].device.type == "meta"
