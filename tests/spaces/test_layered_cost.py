"""Parameters and multiply-adds, by hand and by PyTorch's counter."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces import LayeredSpace


def test_known_network():
    """Conv-4 with 32 channels on 28 x 28 pixels, counted by hand."""
    space = LayeredSpace(shared=True)
    architecture = space.restricted({"kernel": "3"}).sample(torch.Generator())
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
