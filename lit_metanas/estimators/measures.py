"""What is known of an architecture without training it: parameters, multiply-adds, latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import torch
from torch import nn

from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace, Shape

Measure = Callable[[Architecture], float]
"""Something about an architecture that is better the smaller it is."""


def network_measures(space: SearchSpace, shape: Shape, way: int, device: torch.device) -> Mapping[str, Measure]:
    """The measures of child networks.

    Args:
        space: where architectures come from.
        shape: channels, height and width of an input.
        way: number of classes.
        device: where latency is measured.

    Returns:
        ``parameters``; ``flops``, forward multiply-adds for one input; and ``latency``, seconds for one input, which
        is measured anew at each call and so differs a little between calls.
    """

    def parameters(architecture: Architecture) -> float:
        return float(space.cost(architecture, shape, way).parameters)

    def flops(architecture: Architecture) -> float:
        return float(space.cost(architecture, shape, way).flops)

    def seconds(architecture: Architecture) -> float:
        with torch.random.fork_rng(devices=[]):
            network = space.child(architecture, shape, way)
        return latency(network.to(device), shape)

    return {"parameters": parameters, "flops": flops, "latency": seconds}


@torch.no_grad()
def latency(network: nn.Module, shape: Shape, *, repeats: int = 21, warmup: int = 3) -> float:
    """Median seconds of a forward pass of one input, in evaluation mode, on the network's device."""
    parameter = next(network.parameters(), torch.empty(0))
    inputs = torch.zeros(1, *shape, device=parameter.device)
    network.eval()
    times = []
    for _ in range(warmup + repeats):
        begin = perf_counter()
        network(inputs)
        if not inputs.is_cpu:
            torch.accelerator.synchronize(inputs.device)
        times.append(perf_counter() - begin)
    return median(times[warmup:])
