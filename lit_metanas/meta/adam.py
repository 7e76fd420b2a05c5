"""Adam in the inner loop."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lit_metanas.meta.update_rule import Tensors, UpdateRule


class Adam(UpdateRule):
    """Adam (Kingma and Ba 2015, Algorithm 1), differentiable.

    Departure from the paper: ``epsilon`` stands under the root, squared, since the root has no derivative at zero.

    Args:
        beta1: decay of the gradient's mean.
        beta2: decay of its mean square.
        epsilon: smallest divisor.
    """

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def start(self, values: Tensors) -> Tensors:
        """Both moments of zero."""
        return {f"{moment}.{name}": torch.zeros_like(value) for moment in "mv" for name, value in values.items()}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, Tensor | float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Go against the mean over the root mean square."""
        moved: Tensors = {}
        moments: Tensors = {}
        for name, value in values.items():
            mean = self.beta1 * state[f"m.{name}"] + (1 - self.beta1) * gradients[name]
            square = self.beta2 * state[f"v.{name}"] + (1 - self.beta2) * gradients[name].square()
            moments[f"m.{name}"], moments[f"v.{name}"] = mean, square
            size = (square / (1 - self.beta2 ** (step + 1)) + self.epsilon**2).sqrt()
            moved[name] = value - rates[name] * (mean / (1 - self.beta1 ** (step + 1))) / size
        return moved, moments
