"""Parameters and multiply-adds against what the layers themselves tell."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces import LayeredSpace


def hook_count(network, shape):
    """Parameters and multiply-adds, counted by forward hooks on a real image."""
    counts = {"parameters": 0, "flops": 0}

    def hook(module, inputs, output):
        counts["parameters"] += sum(p.numel() for p in module.parameters(recurse=False))
        if isinstance(module, nn.Conv2d):
            into = inputs[0].shape[1]
            counts["flops"] += output.numel() * into * module.kernel_size[0] * module.kernel_size[1]
        elif isinstance(module, nn.Linear):
            counts["flops"] += output.numel() * inputs[0].shape[-1]

    handles = [module.register_forward_hook(hook) for module in network.modules()]
    with torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    for handle in handles:
        handle.remove()
    return counts["parameters"], counts["flops"]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 15, 22), (2, 1, 1), (1, 1, 9), (1, 2, 3)])
def test_child_costs_what_its_layers_cost(rich_space, shape):
    generator = torch.Generator().manual_seed(sum(shape))
    depths, skips, norms = set(), set(), set()
    for _ in range(40):
        architecture = rich_space.sample(generator)
        child = rich_space.child(architecture, shape, way=5)
        cost = rich_space.cost(architecture, shape, way=5)
        assert (cost.parameters, cost.flops) == hook_count(child, shape)
        assert child.flops == cost.flops
        depths.add(architecture["depth"])
        skips.add(architecture["layer1.skip"])
        norms.add(architecture["layer1.norm"])
    assert (len(depths), len(skips), len(norms)) == (3, 2, 3)


def test_known_network():
    """Conv-4 with 32 channels on 28 x 28 pixels, counted by hand."""
    space = LayeredSpace(shared=True)
    architecture = space.canonical(
        {
            "depth": "4",
            "kernel": "3",
            "width": "32",
            "norm": "batch",
            "skip": "none",
            "activation": "ReLU",
            "pool": "max",
            "dropout": "0",
        }
    )
    cost = space.cost(architecture, (1, 28, 28), way=5)
    assert cost.parameters == 9 * 32 + 3 * 9 * 32 * 32 + 4 * 64 + 32 * 5 + 5
    assert cost.flops == 9 * 32 * 784 + 9 * 32 * 32 * (14**2 + 7**2 + 3**2) + 32 * 5


def counted_flops(net, gates, shape):
    examples = 2
    inputs = torch.randn(examples, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(inputs, gates)
    # The counter's flop is half a multiply-add; it also sees the product that makes width masks.
    convolutions = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    assert convolutions % (2 * examples) == 0
    return convolutions // (2 * examples)


@pytest.mark.parametrize("kind", ["soft", "hard", "index"])
def test_supernet_costs_what_it_computes(rich_space, double_supernet, random_gates, kind):
    shape = (3, 13, 10)
    net, _ = double_supernet(rich_space, shape)
    generator = torch.Generator().manual_seed(5)
    for _ in range(12):
        gates = random_gates(rich_space, kind, generator)
        assert net.flops(gates) == counted_flops(net, gates, shape)


def test_single_gates_cost_what_they_compute(rich_space, double_supernet, random_gates):
    """Each choice in turn is sampled while the others are mixed, and the other way round."""
    shape = (1, 9, 9)
    net, _ = double_supernet(rich_space, shape)
    generator = torch.Generator().manual_seed(6)
    soft, index = (random_gates(rich_space, kind, generator) for kind in ("soft", "index"))
    for choice in rich_space.choices:
        for most, one in ((soft, index), (index, soft)):
            gates = {**most, choice.name: one[choice.name]}
            assert net.flops(gates) == counted_flops(net, gates, shape)
