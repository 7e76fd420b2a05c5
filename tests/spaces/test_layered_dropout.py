"""Dropout as a choice: masks made from uniform numbers that are drawn outside."""

import pytest
import torch

from lit_metanas.spaces import Gate, LayeredSpace
from lit_metanas.spaces.operations import dropout_scale


def uniform(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_rate_and_expectation(rate):
    scale = dropout_scale(Gate(torch.ones(1), 0), [rate], uniform(400, 500), torch.float64)
    assert float((scale == 0).double().mean()) == pytest.approx(rate, abs=0.005)
    assert float(scale.mean()) == pytest.approx(1.0, abs=0.02)
    assert set(scale.unique().tolist()) <= {0.0, 1 / (1 - rate)}


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


def test_noise_only_where_something_can_be_dropped():
    space = LayeredSpace(depths=(3,), fixed={"layer1.dropout": ["0"], "layer3.dropout": ["0"]})
    noise = space.supernet((1, 8, 8)).draw_noise(2, torch.Generator().manual_seed(0))
    assert set(noise) == {"layers.1.dropout"}


def test_noise_lies_where_the_network_lies(linear_space):
    net = linear_space.supernet((1, 4, 4)).to("meta")
    assert net.draw_noise(2, torch.Generator().manual_seed(0))["layers.0.dropout"].device.type == "meta"
