"""Gradient descent in the inner loop."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lit_metanas.meta.update_rule import Tensors, UpdateRule


class SGD(UpdateRule):
    """Gradient descent, with momentum as in ``torch.optim.SGD``.

    Args:
        momentum: share of the last step's direction that is kept, in [0, 1).
    """

    def __init__(self, *, momentum: float = 0.0) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD momentum {momentum} is outside [0, 1): give a share such as 0.9.")
        self.momentum = momentum

    def start(self, values: Tensors) -> Tensors:
        """Velocities of zero where there is momentum."""
        return {name: torch.zeros_like(value) for name, value in values.items()} if self.momentum else {}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, Tensor | float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Go against the velocity."""
        del step
        if self.momentum:
            gradients = state = {name: self.momentum * state[name] + gradients[name] for name in values}
        return {name: value - rates[name] * gradients[name] for name, value in values.items()}, state
