"""Gradients: maps over tasks, given statistics, and what reaches the logits of sampled candidates."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, vmap

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


@pytest.fixture(params=["merged", "normalised"])
def space(request):
    return LayeredSpace(**LABELS, mix=request.param)


@pytest.fixture
def tasks(space, double_supernet):
    """Three tasks' images, targets and noise, and one tree of parameters and logits."""
    net, weights = double_supernet(space, SHAPE)
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    draws = [net.draw_noise(5, generator) for _ in range(3)]
    noise = {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}
    data = (normal(3, 5, *SHAPE), normal(3, 5, *SHAPE), normal(3, 5, net.features), noise)
    logits = {choice.name: normal(len(choice.labels)) for choice in space.choices}
    tree = {"weights": {name: value.detach() for name, value in weights.items()}, "logits": logits}
    return net, tree, data


def loss(net, tree, inputs, target, noise, statistics=None, record=None):
    gates = {name: Gate(torch.softmax(value, 0)) for name, value in tree["logits"].items()}
    arguments = (inputs, gates, noise, statistics, record)
    return ((functional_call(net, tree["weights"], arguments) - target) ** 2).mean()


def adapted_loss(net, tree, support, query, target, noise):
    """One step on the support set, then the loss on the query set under the support set's statistics."""
    gradient = grad(lambda tree: loss(net, tree, support, target, noise))(tree)
    return moved_loss(net, tree, gradient, support, query, target, noise)


def moved_loss(net, tree, gradient, support, query, target, noise):
    moved = {part: {name: v - 0.1 * gradient[part][name] for name, v in tree[part].items()} for part in tree}
    statistics = {}
    loss(net, moved, support, target, noise, record=statistics)
    return loss(net, moved, query, target, None, statistics=statistics)


def plain_gradient(loss, leaves, **options):
    """That of ``torch.autograd.grad``, as a tree."""
    places = [(part, name) for part in leaves for name in leaves[part]]
    found = iter(torch.autograd.grad(loss, [leaves[part][name] for part, name in places], **options))
    return {part: {name: next(found) for name in leaves[part]} for part in leaves}


def assert_trees_equal(mapped, loops):
    for part, values in mapped.items():
        for name, value in values.items():
            expected = torch.stack([one[part][name] for one in loops])
            torch.testing.assert_close(
                value, expected, rtol=1e-9, atol=1e-11, msg=lambda text, name=name: f"{name} {text}"
            )


def task(data, place):
    support, query, target, noise = data
    return support[place], query[place], target[place], {name: value[place] for name, value in noise.items()}


def test_vmap_of_second_order_grad_is_the_loop(tasks):
    net, tree, data = tasks
    mapped = vmap(grad(lambda tree, *data: adapted_loss(net, tree, *data)), in_dims=(None, 0, 0, 0, 0))(tree, *data)

    loops = []
    for support, query, target, noise in (task(data, place) for place in range(3)):
        leaves = {part: {name: v.clone().requires_grad_() for name, v in tree[part].items()} for part in tree}
        gradient = plain_gradient(loss(net, leaves, support, target, noise), leaves, create_graph=True)
        adapted = moved_loss(net, leaves, gradient, support, query, target, noise)
        loops.append(plain_gradient(adapted, leaves, allow_unused=True, materialize_grads=True))
    assert_trees_equal(mapped, loops)


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
    """By a difference quotient: the output times the gate's weight, whose value is one; without a skip nothing is."""
    space = LayeredSpace(**LABELS)
    net, _ = double_supernet(space, SHAPE)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(5, *SHAPE, dtype=torch.float64, generator=generator)
    target = torch.randn(5, net.features, dtype=torch.float64, generator=generator)
    noise = net.draw_noise(5, generator)
    for _ in range(4):
        places = {c.name: int(torch.randint(len(c.labels), (), generator=generator)) for c in space.choices}
        places["depth"] = 1
        labels = {choice.name: choice.labels[places[choice.name]] for choice in space.choices}

        def value(weights, places=places):
            gates = {}
            for choice in space.choices:
                place = places[choice.name]
                one_hot = F.one_hot(torch.tensor(place), len(choice.labels)).double()
                gates[choice.name] = Gate(weights[choice.name] * one_hot, place)
            return ((net(inputs, gates, noise) - target) ** 2).mean()

        ones = {c.name: torch.ones((), dtype=torch.float64, requires_grad=True) for c in space.choices}
        found = torch.autograd.grad(value(ones), list(ones.values()), allow_unused=True, materialize_grads=True)
        for (name, one), gradient in zip(ones.items(), found, strict=True):
            ends = []
            for step in (1e-6, -1e-6):
                moved = (one.detach() + step).requires_grad_()
                ends.append(value({**ones, name: moved}).item())
            assert float(gradient) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-8), name
            assert gradient != 0 or labels[name] == "none", name
