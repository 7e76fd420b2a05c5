"""Gradients: given statistics, and what reaches the logits of sampled candidates."""

import pytest
import torch

from lit_metanas.spaces import Gate, LayeredSpace
from lit_metanas.spaces.operations import batch_normalise

SHAPE = (1, 7, 6)
LABELS = {
    "kernels": (5, 3),
    "activations": ("Tanh", "Sigmoid"),
    "depths": (1, 2),
    "widths": (4, 2),
    "skips": ("none", "residual"),
    "norms": ("batch", "layer"),
}


def test_given_statistics_have_gradients():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    mean = torch.randn(2, dtype=torch.float64, generator=generator, requires_grad=True)
    var = (torch.rand(2, dtype=torch.float64, generator=generator) + 0.5).requires_grad_()
    one = torch.ones(2, dtype=torch.float64)

    def normal(inputs, mean, var):
        return batch_normalise(
            inputs, one, torch.zeros_like(one), key="a", statistics={"a.mean": mean, "a.var": var}, record=None
        )

    assert torch.autograd.gradcheck(normal, (inputs, mean, var))
    assert torch.autograd.gradgradcheck(normal, (inputs, mean, var))


def test_index_gates_lead_gradients_to_all_logits(double_supernet):
    """By a difference quotient: the output times the gate's weight, whose value is one."""
    space = LayeredSpace(**LABELS)
    net, _ = double_supernet(space, SHAPE)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(5, *SHAPE, dtype=torch.float64, generator=generator)
    target = torch.randn(5, net.features, dtype=torch.float64, generator=generator)
    noise = net.draw_noise(5, generator)
    for _ in range(4):
        places = {c.name: int(torch.randint(len(c.labels), (), generator=generator)) for c in space.choices}
        places["depth"] = 1

        def value(weights, places=places):
            gates = {c.name: Gate(weights[c.name].expand(len(c.labels)), places[c.name]) for c in space.choices}
            return ((net(inputs, gates, noise) - target) ** 2).mean()

        ones = {c.name: torch.ones((), dtype=torch.float64, requires_grad=True) for c in space.choices}
        found = torch.autograd.grad(value(ones), list(ones.values()))
        for (name, one), gradient in zip(ones.items(), found, strict=True):
            ends = []
            for step in (1e-6, -1e-6):
                moved = (one.detach() + step).requires_grad_()
                ends.append(value({**ones, name: moved}).item())
            assert float(gradient) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-8), name
