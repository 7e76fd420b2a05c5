"""The memory layout changes neither features nor first and second derivatives, and it holds from the first block on."""

import pytest
import torch

from lit_metanas.spaces import LayeredSpace, Mixture, one_hot


def derivatives(layout: torch.memory_format, mixture: Mixture, space: LayeredSpace, images: torch.Tensor):
    torch.manual_seed(0)
    net = space.supernet((1, 12, 12)).double().to(memory_format=layout)
    features = net(images, mixture)
    parameters = list(net.parameters())
    used = {"allow_unused": True, "materialize_grads": True}
    first = torch.autograd.grad(features.pow(3).sum(), parameters, create_graph=True, **used)
    second = torch.autograd.grad(sum(value.square().sum() for value in first), parameters, **used)
    return [features, *first, *second]


@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "SiLU"])
@pytest.mark.parametrize("pool", ["max", "avg"])
def test_layouts_agree(activation: str, pool: str) -> None:
    space = LayeredSpace(kernels=(3,), pools=(pool,), activations=(activation,), dropouts=(0.0,), depths=(2,))
    images = torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mixture = one_hot(space.choices, space.sample(torch.Generator()))
    plain = derivatives(torch.contiguous_format, mixture, space, images)
    last = derivatives(torch.channels_last, mixture, space, images)
    torch.testing.assert_close(last, plain, rtol=1e-8, atol=1e-10)


def test_first_block_is_channels_last() -> None:
    space = LayeredSpace(depths=(2,))
    net = space.supernet((1, 12, 12)).to(memory_format=torch.channels_last)
    seen: list[bool] = []
    net.layers[0].register_forward_hook(
        lambda module, inputs, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    net(torch.rand(5, 1, 12, 12), one_hot(space.choices, space.sample(torch.Generator())))
    assert seen == [True]
