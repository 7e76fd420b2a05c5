"""Networks without training, whose weights are far enough from zero that scores differ."""

import torch
from torch import nn

import lit_metanas as lm


def drawn(space: lm.SearchSpace, shape: lm.Shape, way: int = 3, noise: float = 0.2) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = space.child(space.sample(torch.Generator().manual_seed(0)), shape, way)
        for parameter in network.parameters():
            parameter.data += noise * torch.randn(parameter.shape)
    return network
