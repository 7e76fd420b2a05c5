"""Networks whose scores are averaged: ensembles of one architecture, alone or with a linear model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Any

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.space import SearchSpace


class Ensemble(nn.Module):
    """Separately trained networks of classes, with the mean of their scores (Lakshminarayanan et al. 2017)."""

    # The paper takes the arithmetic mean of probabilities. The mean of scores is their geometric mean, normalised.

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to the mean scores, shape ``(n, way)``."""
        first, *others = (network(inputs) for network in self.networks)
        return torch.mul(sum(others, start=first), 1 / len(self.networks))


class WithLinear(nn.Module):
    """A network or an ensemble, and a linear model, whose scores count ``factor`` times as much in the mean of both."""

    shares: Tensor  # of the network and of the linear model

    def __init__(
        self, network: nn.Module, linear: nn.Module, steps: tuple[int, int] | None = None, factor: float = 1.0
    ) -> None:
        # With `steps`, an input has first so many tokens for the network, and then so many for the linear model.
        super().__init__()
        self.network, self.linear, self.steps = network, linear, steps
        self.register_buffer("shares", torch.tensor([1.0, factor]) / (1 + factor))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to the mean scores, shape ``(n, way)``."""
        own, others = inputs, inputs
        if self.steps is not None:
            first, second = self.steps
            if inputs.shape[1] != first + second:
                raise ValueError(
                    f"The inputs have {inputs.shape[1]} tokens, and the network takes {first} of one kind and then "
                    f"{second} of another: give texts, or what its preprocessing makes of them."
                )
            own, others = inputs[:, :first], inputs[:, first:]
            if others.is_floating_point():  # behind features of an encoder
                others = others.long()
        return self.shares[0] * self.network(own) + self.shares[1] * self.linear(others)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Also read what was saved with the sum of both halved."""
        if (factor := state_dict.pop(f"{prefix}factor", None)) is not None:
            state_dict[f"{prefix}shares"] = torch.stack([torch.ones_like(factor), factor]) / 2
        super()._load_from_state_dict(state_dict, prefix, *args)


LINEAR_FACTORS = [2.0 ** (power / 2) for power in range(-4, 9)]
"""How many times as much the scores of a linear model may count as those of networks."""

FEWEST_WEIGHED, FACTOR_SPREAD = 20, 0.7
"""Examples by which both are weighed, and the standard deviation of the factor's logarithm before any is seen."""


def linear_factor(networks: Tensor, linear: Tensor, losses: Callable[[Tensor], Tensor]) -> float:
    """How many times as much a linear model's scores are to count as those of networks; 1 for too few examples."""
    # Of the lowest log-loss on examples that they have not learned from, each factor at its best temperature, as
    # networks grow too sure of themselves the longer they are trained. The factor's logarithm has a normal prior around
    # 0, as few examples say little.
    if len(networks) < FEWEST_WEIGHED:
        return 1.0
    scales = [2.0 ** (power / 2) for power in range(-10, 5)]

    def lowest(factor: float) -> float:
        both = (networks + factor * linear) / (1 + factor)
        least = min(float(losses(scale * both).sum()) for scale in scales)
        return least + (log(factor) / FACTOR_SPREAD) ** 2 / 2

    return min(LINEAR_FACTORS, key=lowest)


def build_network(
    space: SearchSpace, architecture: Mapping[str, str], shape: Shape, way: int, *, ensemble: int = 1
) -> nn.Module:
    """A network with new weights, or an ensemble of so many."""
    one = space.canonical(architecture)
    if ensemble == 1:
        return space.child(one, shape, way)
    return Ensemble([space.child(one, shape, way) for _ in range(ensemble)])


def members_of(network: nn.Module) -> int:
    """The number of networks in an ensemble, not counting a linear model; 1 for a single network."""
    if isinstance(network, WithLinear):
        return members_of(network.network)
    if isinstance(network, Ensemble):
        return len(network.networks)
    return 1
