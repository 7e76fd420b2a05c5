"""Supernets of cells that compute once what a state's edges begin with, against those that compute it for each edge."""

import pytest
import torch
from space_toys import images
from torch.nn import functional as F

from lit_metanas.spaces import DARTSCell, Gate, MetaNASCell
from lit_metanas.spaces.cells.cell_operations import DilatedConv2d, even_pixels

SHAPE = (2, 9, 6)
SPACES = {
    "darts": (DARTSCell, {}),
    "metanas": (MetaNASCell, {}),
    "metanas, plain pools": (MetaNASCell, {"normalised_pools": False}),
}


@pytest.fixture(params=SPACES)
def both(request, double_supernet):
    """A space, its supernet and the one that reuses nothing, with the same parameters."""
    kind, options = SPACES[request.param]
    space = kind(channels=2, cells=3, **options)
    net, weights = double_supernet(space, SHAPE)
    plain = kind(channels=2, cells=3, **options).supernet(SHAPE).double()
    for cell in plain.body.cells:
        cell.reuse = False
    plain.load_state_dict(weights)
    return space, net.to(memory_format=torch.channels_last), plain


def gates_of(space, random_gates, kind, seed=0):
    gates = random_gates(space, kind, torch.Generator().manual_seed(seed))
    return {name: Gate(gate.weights.requires_grad_(), gate.index) for name, gate in gates.items()}


def first_gradients(net, gates, inputs, *, create_graph=False):
    wanted = [inputs, *net.parameters(), *(gate.weights for gate in gates.values())]
    loss = net(inputs, gates).square().sum()
    return torch.autograd.grad(loss, wanted, create_graph=create_graph, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("kind", ["soft", "index"])
def test_same_gradients_of_first_and_second_order(both, random_gates, kind):
    space, net, plain = both
    gates, inputs = gates_of(space, random_gates, kind), images(4, SHAPE).requires_grad_()
    second = []
    for one in (net, plain):
        first = first_gradients(one, gates, inputs, create_graph=True)
        total, wanted = sum(gradient.square().sum() for gradient in first), [inputs, *one.parameters()]
        second.append((first, torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)))
    assert max(float(gradient.abs().max()) for gradient in second[0][1]) > 1e-3
    torch.testing.assert_close(second[0], second[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["soft", "index"])
def test_same_statistics_and_each_edge_has_its_own(both, random_gates, kind):
    space, net, plain = both
    gates = random_gates(space, kind, torch.Generator().manual_seed(1))
    records = {}, {}
    outputs = [one(images(4, SHAPE), gates, record=record) for one, record in zip((net, plain), records, strict=True)]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-9)
    assert list(records[0]) == list(records[1])
    torch.testing.assert_close(*records, rtol=0, atol=1e-9)
    # Means over several tasks may differ between edges that one task's are equal for.
    generator = torch.Generator().manual_seed(2)
    given = {name: value + torch.rand(value.shape, generator=generator) for name, value in records[0].items()}
    found, expected = (one(images(3, SHAPE, 1), gates, statistics=given) for one in (net, plain))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(8, 8), (7, 8), (9, 5), (1, 1)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_dilated_convolution_of_stride_two(size, kernel):
    layer = DilatedConv2d(3, kernel, 2).double()
    inputs = images(2, (3, *size)).requires_grad_()
    expected = F.conv2d(inputs, layer.weight, stride=2, padding=kernel - 1, dilation=2, groups=3)
    found = layer(even_pixels(inputs))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    away, wanted = torch.randn_like(expected), [inputs, layer.weight]
    torch.testing.assert_close(torch.autograd.grad(found, wanted, away), torch.autograd.grad(expected, wanted, away))
