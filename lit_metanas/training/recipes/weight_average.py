"""An exponential average of a network's weights during its training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage(nn.Module):
    """A copy of a network whose weights and batch-norm statistics are the averages of a training."""

    # After the step `n` of a training the averages move to the weights by `1 / (window + 1)` of the difference, and in
    # the first steps by `9 / (9 + n)`, so that they forget how the training began.

    def __init__(self, network: nn.Module, window: float = 0.0) -> None:
        super().__init__()
        # With `use_buffers` the statistics of batch norm are averaged like the weights that they belong to. Those of
        # the last weights would not fit, and to compute them again would take another pass over the examples.
        self.averaged = AveragedModel(network, multi_avg_fn=self._move, use_buffers=True)
        self.window = window

    @property
    def network(self) -> nn.Module:
        """The network with averaged weights."""
        module: nn.Module = self.averaged.module
        return module

    def update(self, network: nn.Module) -> None:
        """Take in a network's weights after a step."""
        self.averaged.update_parameters(network)

    @torch.no_grad()
    def _move(self, averages: _Tensors, current: _Tensors, number: Tensor | int) -> None:
        share = max(1 / (self.window + 1), 9 / (9 + int(number)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, share)
        else:  # the number of batches that batch norm has seen
            torch._foreach_copy_(averages, current)
